import type { OnnxInput } from '../graph/interface.ts';

/** What an open axis counts, as far as its place and its name tell. */
export type AxisKind = 'batch' | 'sequence' | 'image';

/** A size in each of two runs. */
type SizePair = readonly [first: number, second: number];

/** Two different sizes for every group of open axes, in their order. */
export interface SizeChoice {
  readonly first: readonly number[];
  readonly second: readonly number[];
}

/**
 * Sizes to try by kind, the likeliest first: the n-th group of a kind gets the n-th pair of a list, and there may be more groups than pairs. At first all groups get
 * different primes, so that no size is taken for another or for a product; then one size, for axes that are the same under several names; then what models are
 * made for: windows and strides, lines of text 48 high, squares, a single sample.
 */
const SIZES: Readonly<Record<AxisKind, readonly (readonly SizePair[])[]>> = {
  batch: [pairs(2, 3, 5, 7), pairs(2, 3), pairs(1, 2)],
  sequence: [
    pairs(7, 11, 13, 17, 19, 23, 29, 31, 37, 41),
    ...[pairs(7, 11), pairs(64, 128), pairs(256, 512), pairs(512, 1024)],
  ],
  image: [pairs(64, 96, 96, 160, 128, 192), pairs(48, 64, 192, 320), pairs(224, 256), pairs(128, 256)],
};

const NAMES: readonly (readonly [AxisKind, RegExp])[] = [
  ['batch', /batch|^(n|b|bs|bsz)$/i],
  ['sequence', /seq|len|time|token|past|step|frame|^(t|l|s)$/i],
  ['image', /height|width|^(h|w)$/i],
];

/** What a name says that an axis counts, null where it says nothing. */
export function kindOfName(name: string): AxisKind | null {
  return NAMES.find(([, pattern]) => pattern.test(name))?.[0] ?? null;
}

/** Channels of an image whose axis for them is the last. */
const MAX_CHANNELS = 4;

/** Axes that have one size: those of one name, or those without a name in the same place. */
interface AxisGroup {
  readonly kind: AxisKind;
  /** Its place among those of its kind. */
  readonly rank: number;
  /** Its place among all. */
  readonly index: number;
}

/** A size that is the sum of fixed and open ones: exporters write `past_length + 1`. */
interface AxisSize {
  readonly fixed: number;
  /** Indices of groups. */
  readonly open: readonly number[];
}

/** An axis of an input. */
export interface AxisPlace {
  readonly name: string;
  readonly axis: number;
}

/** Sizes of open axes that are taken to hang on those of others, whatever they are called. */
export interface AxisTies {
  /** Inputs whose axes without a name are not those of other inputs in the same place. */
  readonly caches: ReadonlySet<string>;
  readonly ties: readonly {
    readonly place: AxisPlace;
    readonly parts: readonly AxisPlace[];
    readonly fixed: number;
  }[];
}

/** The axes of a model's inputs that are open, and the sizes that they may have. */
export class OpenAxes {
  readonly #groups = new Map<string, AxisGroup>();
  readonly #counts = new Map<AxisKind, number>();
  readonly #sizes = new Map<string, readonly AxisSize[]>();

  /** Takes inputs whose rank is known. */
  constructor(inputs: readonly OnnxInput[], { caches, ties }: AxisTies = { caches: new Set(), ties: [] }) {
    const keyOf = ({ name, axis }: AxisPlace) => `${axis} ${name}`;
    const tied = new Map(ties.map((tie) => [keyOf(tie.place), tie]));
    const byName = new Map(inputs.map((input) => [input.name, input]));
    const sizeOf = (place: AxisPlace): AxisSize => {
      const tie = tied.get(keyOf(place));
      const input = byName.get(place.name);
      if (tie === undefined) return input ? this.#sizeOf(input, place.axis, caches) : { fixed: 0, open: [] };
      const sizes = tie.parts.map(sizeOf);
      return {
        fixed: sizes.reduce((sum, { fixed }) => sum + fixed, tie.fixed),
        open: sizes.flatMap(({ open }) => open),
      };
    };
    for (const { name, dims } of inputs) {
      this.#sizes.set(
        name,
        (dims ?? []).map((_, axis) => sizeOf({ name, axis })),
      );
    }
  }

  /** Indices of the groups that are of one kind, kind by kind. */
  get kinds(): readonly (readonly number[])[] {
    const groups = [...this.#groups.values()];
    return [...Map.groupBy(groups.keys(), (index) => groups[index].kind).values()];
  }

  /** The inputs' shapes, by name, where each group has the size given for it. */
  shapes(sizes: readonly number[]): ReadonlyMap<string, readonly number[]> {
    const shape = (axes: readonly AxisSize[]) =>
      axes.map(({ fixed, open }) => open.reduce((sum, group) => sum + sizes[group], fixed));
    return new Map([...this.#sizes].map(([name, axes]) => [name, shape(axes)]));
  }

  /** What to try, the likeliest first; one choice where nothing is open. */
  choices(): SizeChoice[] {
    const groups = [...this.#groups.values()];
    const kinds = [...new Set(groups.map(({ kind }) => kind))];
    let picks: Partial<Record<AxisKind, number>>[] = [{}];
    for (const kind of kinds) {
      picks = picks.flatMap((pick) => SIZES[kind].map((_, index) => ({ ...pick, [kind]: index })));
    }
    const unlikeliness = (pick: Partial<Record<AxisKind, number>>) =>
      Object.values(pick).reduce((sum, index) => sum + index, 0);
    picks.sort((a, b) => unlikeliness(a) - unlikeliness(b));
    const choices = picks.map((pick): SizeChoice => {
      const chosen = groups.map(({ kind, rank }) => {
        const list = SIZES[kind][pick[kind] ?? 0];
        return list[rank % list.length];
      });
      return { first: chosen.map(([size]) => size), second: chosen.map(([, size]) => size) };
    });
    return [...new Map(choices.map((choice) => [JSON.stringify(choice), choice])).values()];
  }

  #sizeOf(input: OnnxInput, axis: number, caches: ReadonlySet<string>): AxisSize {
    const dim = input.dims?.[axis] ?? null;
    if (typeof dim === 'number') return { fixed: dim, open: [] };
    const isCache = caches.has(input.name);
    const found = kindOfPlace(input, axis);
    const place = isCache && found === 'image' ? 'sequence' : found;
    if (dim === null || !/[a-z]/i.test(dim)) {
      // Batches are one, wherever they stand.
      const key = place === 'batch' ? place : `${isCache ? 'cache ' : ''}${place} ${axis}`;
      return { fixed: 0, open: [this.#group(key, place)] };
    }
    const terms = dim.split('+').map((term) => term.trim());
    const isNumber = (term: string) => terms.length > 1 && /^\d+$/.test(term);
    const names = terms.filter((term) => !isNumber(term));
    const fixed = terms.filter(isNumber).reduce((sum, term) => sum + Number(term), 0);
    return { fixed, open: names.map((name) => this.#group(`name ${name}`, kindOfName(name) ?? place)) };
  }

  /** The index of a group, which is created where it is new. */
  #group(key: string, kind: AxisKind): number {
    const known = this.#groups.get(key);
    if (known) return known.index;
    const rank = this.#counts.get(kind) ?? 0;
    this.#counts.set(kind, rank + 1);
    const index = this.#groups.size;
    this.#groups.set(key, { kind, rank, index });
    return index;
  }
}

function kindOfPlace({ dims, dtype }: OnnxInput, axis: number): AxisKind {
  const [first] = dims ?? [];
  const last = dims?.at(-1);
  const rank = dims?.length ?? 0;
  const firstSpatial = typeof last === 'number' && last <= MAX_CHANNELS ? 1 : 2;
  if (rank >= 4 && axis >= firstSpatial && /float|uint8/.test(dtype ?? '')) return 'image';
  const isState = axis === 1 && typeof first === 'number' && first > 1; // [layers, batch, ...]
  return axis === 0 || isState ? 'batch' : 'sequence';
}

function pairs(...sizes: readonly number[]): SizePair[] {
  return sizes.flatMap((size, index): SizePair[] => (index % 2 === 0 ? [[size, sizes[index + 1]]] : []));
}
