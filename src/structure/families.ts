import type { KeptPositions } from '../formats/gather.ts';
import { elementCount, type ModelInventory, type ModelTensor } from '../formats/model.ts';
import { FreeNames } from '../graph/free-names.ts';
import type { StoredTensor } from '../graph/weights/constants.ts';
import type { GraphAnalysis } from './analysis.ts';
import type { Obstacle } from './lanes.ts';
import { findLastingAxes, type LastingAxis } from './lasting-axes.ts';
import type { LaneTag } from './structure-rule.ts';

/** What structures are; `head_width` (a dimension within every head) and `other` are no granularity of a recipe. */
export type StructureKind = 'channel' | 'head' | 'kan_node' | 'head_width' | 'other';

/** Positions along one axis of a stored tensor. */
export interface Site {
  /** By the name of the model's inventory. */
  readonly tensor: string;
  readonly axis: number;
  /** Ascending. */
  readonly positions: readonly number[];
}

/** What can only be removed together. */
export interface Structure {
  /** Of the analysis's lanes. */
  readonly root: number;
  /** Everywhere it has weights. */
  readonly sites: readonly Site[];
  /** Those of the sites that compute it: rows of the layers it comes out of. */
  readonly producers: readonly Site[];
  /** Those that read it: columns of the layers it goes into. */
  readonly consumers: readonly Site[];
}

/** Structures that lie along the same axes, such as the channels of one convolution, in the order of the first of them. */
export interface Family {
  readonly name: string;
  readonly kind: StructureKind;
  readonly structures: readonly Structure[];
  /** Whether nothing sums over them, with weights or without: what they give has no effect. */
  readonly isUnread: boolean;
}

/** An axis of a stored tensor of which some positions must stay. */
export interface FrozenAxis extends Obstacle {
  readonly tensor: string;
  readonly axis: number;
}

export interface Structures {
  readonly families: readonly Family[];
  readonly frozen: readonly FrozenAxis[];
  /** What has to stay beside one structure of every family. */
  readonly lasting: readonly LastingAxis[];
}

/** Of the axes that are read: of those that nothing reads and nothing makes there is nothing to remove. */
const NO_PRODUCER = 'is made by no layer whose units can be told: what would go cannot be scored';
/** Of these nothing is to be said: nobody expects a kernel to lose a corner. */
const NO_STRUCTURE = 'is a position of a kernel';
const ONE_STRUCTURE = 'is one structure: nothing would be left of it';
const SPLINES = /\.spline_weight$/;

/**
 * Sorts the roots of an analysis into families, and says what is frozen.
 * @param names of the inventory, by the stored tensors of the analysed model
 */
export function findStructures(
  analysis: GraphAnalysis,
  inventory: ModelInventory,
  names: ReadonlyMap<StoredTensor, string>,
): Structures {
  const { lanes, tags, stored, axesOf } = analysis;
  const tensors = new Map(inventory.tensors.map((tensor) => [tensor.name, tensor]));
  const sitesByRoot = new Map<number, Map<number, NumberedSite>>();
  // By numbers: a family is known by all its axes, whose names together are long.
  const numbers = new Map<string, number>();
  const frozen: FrozenAxis[] = [];
  const units = new Map(inventory.tensors.map((tensor) => [tensor.name, unitAxes(tensor)]));
  const isWeight = (tensor: string) => tensors.get(tensor)?.role === 'weight';
  for (const [value, proto] of stored) {
    const tensor = names.get(proto) ?? value;
    for (const [axis, own] of axesOf(value).entries()) {
      if (own === null) continue;
      const place = `${tensor}#${axis}`;
      const number = numbers.get(place) ?? numbers.size;
      numbers.set(place, number);
      let obstacle: Obstacle | null = null;
      for (const position of own[0].keys()) {
        for (const root of lanes.rootsAt(own, position)) {
          const met = lanes.obstacleOf(root);
          obstacle ??= met;
          if (met) continue;
          const sites = sitesByRoot.get(root) ?? new Map();
          sitesByRoot.set(root, sites);
          const site = sites.get(number) ?? { tensor, axis, positions: [] };
          sites.set(number, site);
          site.positions.push(position);
        }
      }
      if (obstacle && isWeight(tensor) && obstacle.reason !== NO_STRUCTURE)
        frozen.push({ tensor, axis, ...obstacle });
    }
  }
  const families = new Map<string, Omit<Family, 'name' | 'structures'> & { structures: Structure[] }>();
  const read = rootsRead(analysis);
  for (const [root, found] of sitesByRoot) {
    const sites = [...found.values()];
    const emptied = sites.find(
      ({ tensor, axis, positions }) => positions.length === tensors.get(tensor)?.shape[axis],
    );
    if (emptied) {
      const { tensor, axis } = emptied;
      frozen.push({ tensor, axis, node: '', operator: '', reason: ONE_STRUCTURE });
      continue;
    }
    const weights = sites.filter(({ tensor }) => isWeight(tensor));
    const isUnit = ({ tensor, axis }: Site) => units.get(tensor)?.has(axis) ?? false;
    // Where layers read a weight in different directions, one computes what the other reads.
    const isBoth = ({ tensor }: Site) => tensors.get(tensor)?.rows === null;
    const producers = weights.filter((site) => isUnit(site) || isBoth(site));
    const consumers = weights.filter((site) => !isUnit(site));
    const kind = kindOf(producers, tags.get(root) ?? null);
    const isUnread = consumers.length === 0 && !read.has(root);
    const places = Array.from(found, ([number, { positions }]) => `${number}x${positions.length}`);
    const key = [kind, isUnread, ...places].join('|');
    const family = families.get(key) ?? { kind, structures: [], isUnread };
    families.set(key, family);
    family.structures.push({ root, sites, producers, consumers });
  }
  const named = nameFamilies([...families.values()]);
  return {
    families: named,
    frozen: [...frozen, ...unmadeAxes(named, frozen)],
    lasting: findLastingAxes(analysis, named),
  };
}

/** The roots that some node sums over. What is not summed over, and is free to go, no output of the graph depends on. */
function rootsRead({ lanes, axesOf, contractions }: GraphAnalysis): Set<number> {
  const read = new Set<number>();
  for (const { node, input, axis } of contractions) {
    const own = axesOf(node.inputs[input]?.name ?? '')[axis];
    for (const position of own?.[0].keys() ?? [])
      for (const root of lanes.rootsAt(own, position)) read.add(root);
  }
  return read;
}

/** A site that grows. */
interface NumberedSite extends Site {
  readonly positions: number[];
}

/** Of weights the axes that only families without a producer hold, which no recipe names. */
function unmadeAxes(families: readonly Family[], frozen: readonly FrozenAxis[]): FrozenAxis[] {
  const keyOf = ({ tensor, axis }: Pick<Site, 'tensor' | 'axis'>) => `${axis} ${tensor}`;
  const others = families.filter(({ kind }) => kind === 'other');
  const offered = families.filter(({ kind }) => kind !== 'other');
  const told = new Set([...frozen, ...placesOf(offered, ({ sites }) => sites)].map(keyOf));
  const lost = placesOf(others, ({ consumers }) => consumers).filter((place) => !told.has(keyOf(place)));
  return lost.map((place) => ({ ...place, node: '', operator: '', reason: NO_PRODUCER }));
}

/** Names of the weights that compute a family. */
export function producersOf({ structures: [{ producers }] }: Family): string[] {
  return [...new Set(producers.map(({ tensor }) => tensor))];
}

/** Names of the weights that read a family. */
export function consumersOf({ structures: [{ consumers }] }: Family): string[] {
  return [...new Set(consumers.map(({ tensor }) => tensor))];
}

/** Sites of all structures of `families`, each tensor and axis once. */
export function placesOf(
  families: readonly Family[],
  sitesOf: (structure: Structure) => readonly Site[],
): Pick<Site, 'tensor' | 'axis'>[] {
  const found = new Map<string, Pick<Site, 'tensor' | 'axis'>>();
  for (const { structures } of families) {
    for (const { tensor, axis } of structures.flatMap(sitesOf))
      found.set(`${axis} ${tensor}`, { tensor, axis });
  }
  return [...found.values()];
}

/** The output units of a weight's layer that are left of a stored weight; null where all are, undefined where they lie along no whole axes. */
export function keptUnits(tensor: ModelTensor, kept: KeptPositions): readonly number[] | null | undefined {
  const axes = [...unitAxes(tensor)];
  if (axes.length === 0) return undefined;
  if (axes.every((axis) => kept[axis] === null)) return null;
  let units = [0];
  for (const axis of axes) {
    const size = tensor.shape[axis];
    const positions = kept[axis] ?? [...Array(size).keys()];
    units = units.flatMap((unit) => positions.map((position) => unit * size + position));
  }
  return units;
}

/** Axes of a weight along which output units of its layer lie: one, or several such as the directions and gates of an LSTM. */
function unitAxes({ role, rows, shape }: ModelTensor): ReadonlySet<number> {
  if (!rows || role !== 'weight') return new Set();
  const strides = [0, ...shape.keys()].map((_, count) => elementCount(shape.slice(0, count)));
  const [start, end] = [rows.outer * rows.reduced, rows.outer * rows.reduced * rows.units];
  const isWhole = strides.includes(start) && strides.includes(end);
  const axes = [...shape.keys()].filter((axis) => strides[axis] >= start && strides[axis + 1] <= end);
  return new Set(isWhole ? axes : []);
}

function kindOf(producers: readonly Site[], tag: LaneTag | null): StructureKind {
  if (tag !== null) return tag;
  if (producers.length === 0) return 'other';
  return producers.some(({ tensor }) => SPLINES.test(tensor)) ? 'kan_node' : 'channel';
}

/** By the first tensor that computes them; of several kinds along one tensor those that are no channels say so. */
function nameFamilies(families: readonly Omit<Family, 'name'>[]): Family[] {
  const taken = new FreeNames();
  return families.map(({ kind, structures, isUnread }) => {
    const [{ sites, producers }] = structures;
    const { tensor, axis } = producers[0] ?? sites[0];
    const stem = kind === 'head' || kind === 'head_width' ? `${tensor}#${kind}` : tensor;
    const name = taken.take(stem, `${stem}#${axis}`) ?? taken.number(`${stem}#${axis}.`);
    const inOrder = structures.toSorted((a, b) => firstPosition(a) - firstPosition(b));
    return { name, kind, structures: inOrder, isUnread };
  });
}

function firstPosition({ sites, producers }: Structure): number {
  return (producers[0] ?? sites[0]).positions[0];
}
