import type {
  ArrayFile,
  ConstantArray,
  GivenSamples,
  SampledArray,
  SampleSet,
} from '../formats/sample-set.ts';
import type { OnnxInput } from '../graph/interface.ts';
import { findSampleAxes } from './sample-axes.ts';

type Dims = NonNullable<OnnxInput['dims']>;

/** An input of the model, the axis of it that counts samples (null: none), and the array given for it. */
export interface FedInput {
  readonly input: OnnxInput;
  readonly axis: number | null;
  readonly array: ArrayFile;
}

/** One way to take an array for samples. */
interface SampledReading {
  readonly array: SampledArray;
  readonly count: number;
  /** Samples at a time; null where the model leaves that open. */
  readonly atATime: number | null;
}

/** The ways to take one array. */
interface Readings {
  readonly sampled: readonly SampledReading[];
  readonly constant: ConstantArray | null;
}

/** The inputs that got an array, by the part that it came in. */
export function pairInputs(given: GivenSamples, inputs: readonly OnnxInput[]) {
  const axes = findSampleAxes(inputs);
  const pair = (arrays: readonly ArrayFile[]): FedInput[] => {
    const byName = new Map(arrays.map((array) => [array.name, array]));
    return inputs.flatMap((input) => {
      const array = byName.get(input.name);
      const axis = axes.get(input.name) ?? null;
      return array ? [{ input, axis: input.dims === null && array.shape.length > 0 ? 0 : axis, array }] : [];
    });
  };
  return { sampled: pair(given.inputs), constants: pair(given.constants ?? []) };
}

/** How an array that is the same for all samples is fed to an input; null where it does not fit. */
export function readConstant({ input: { dims }, axis, array }: FedInput): ConstantArray | null {
  const { shape } = array;
  if (dims === null || axis === null) return fits(shape, dims) ? { ...array, repeatedAxis: null } : null;
  const isWhole = shape.length === dims.length;
  const single = isWhole ? shape : shape.toSpliced(axis, 0, 1);
  return single[axis] === 1 && fits(single, dims) ? { ...array, shape: single, repeatedAxis: axis } : null;
}

/** Whether an array can be taken for samples, or in a set of them for what all share. */
export function isReadable(fed: FedInput): boolean {
  const { sampled, constant } = readingsOf(fed);
  return sampled.length > 0 || constant !== null;
}

/**
 * Takes arrays for samples of one number, on the axes that count them, `[n, ...]` in front of inputs without such an axis, or in whole batches of a fixed size. An array that has
 * what one sample has is the same for all.
 * @returns null where they do not go together
 */
export function layOutSamples(fed: readonly FedInput[]):
  | (Pick<SampleSet, 'nSamples' | 'inputs'> & {
      readonly constants: readonly ConstantArray[];
    })
  | null {
  const all = fed.map(readingsOf);
  const isOpen = all.some(({ sampled }) => sampled.some(({ atATime }) => atATime === null));
  for (const { count, atATime } of candidates(all)) {
    const inputs: SampledArray[] = [];
    const constants: ConstantArray[] = [];
    for (const { sampled, constant } of all) {
      const same = sampled.find(
        (reading) => reading.count === count && (reading.atATime ?? atATime) === atATime,
      );
      // Beside an open number of samples, a fixed shape is what it is.
      const isShared = isOpen && same !== undefined && same.atATime !== null;
      if (same !== undefined && !(isShared && constant !== null)) inputs.push(same.array);
      else if (constant !== null) constants.push(constant);
    }
    if (inputs.length > 0 && inputs.length + constants.length === all.length) {
      return { nSamples: count, inputs, constants };
    }
  }
  return null;
}

/** What the array says that can be taken for nothing but samples, the likeliest first. */
function candidates(all: readonly Readings[]): { count: number; atATime: number | null }[] {
  const sampled = all.filter((readings) => readings.sampled.length > 0);
  const isOpen = ({ sampled: [first] }: Readings) => first.atATime === null;
  const ranked = sampled.toSorted((a, b) => rank(a) - rank(b));
  function rank(readings: Readings): number {
    return (readings.constant === null ? 0 : 2) + (isOpen(readings) ? 0 : 1);
  }
  const [anchor] = ranked;
  if (anchor === undefined) return [];
  const sizes = new Set(sampled.flatMap((readings) => readings.sampled.map(({ atATime }) => atATime)));
  // Where all is open, one fixed input may still say how many go at a time.
  if (isOpen(anchor))
    return [...sizes].sort().map((atATime) => ({ count: anchor.sampled[0].count, atATime }));
  const first = sampled.map(({ sampled: [reading] }) => reading.atATime);
  const isCommon = ({ atATime }: SampledReading) => first.every((size) => size === atATime);
  const place = (reading: SampledReading) => (isCommon(reading) ? 0 : reading.atATime === 1 ? 1 : 2);
  return anchor.sampled.toSorted((a, b) => place(a) - place(b));
}

function readingsOf(fed: FedInput): Readings {
  const { input, axis, array } = fed;
  const { dims } = input;
  const { shape } = array;
  const isScalar = shape.length === 0;
  const constant = readConstant(fed);
  if (axis !== null) {
    const isWhole = dims === null || (shape.length === dims.length && fits(shape, dims, axis));
    const placed = axis === 0 ? array : { ...array, axis };
    const sampled = isWhole && !isScalar ? [{ array: placed, count: shape[axis], atATime: null }] : [];
    const isGivenOnce = isScalar || (dims !== null && sampled.length > 0);
    return { sampled, constant: isGivenOnce ? constant : null };
  }
  const fixed = (dims ?? []).flatMap((size, place): SampledReading[] => {
    if (typeof size !== 'number' || size === 0 || !fits(shape, dims, place) || shape[place] % size !== 0)
      return [];
    return [{ array: place === 0 ? array : { ...array, axis: place }, count: shape[place], atATime: size }];
  });
  const isStacked = dims !== null && shape.length === dims.length + 1 && fits(shape.slice(1), dims);
  const stacked = isStacked ? [{ array: { ...array, axis: null }, count: shape[0], atATime: 1 }] : [];
  return { sampled: [...fixed, ...stacked], constant };
}

/** Whether an array has the rank and the fixed sizes of an input, but for the size of one axis. */
function fits(shape: readonly number[], dims: Dims | null, except?: number): boolean {
  if (dims === null) return true;
  return (
    shape.length === dims.length &&
    dims.every((size, axis) => axis === except || typeof size !== 'number' || size === shape[axis])
  );
}
