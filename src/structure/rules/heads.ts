import { setFloat, setIntegers } from '../../graph/messages.ts';
import type { GraphEdit } from '../graph-edit.ts';
import { mergeAxes, splitAxis } from '../lane-axes.ts';
import type { LaneAxis } from '../lanes.ts';
import type { AnalysedNode } from '../structure-rule.ts';

/** How many heads of keys and values there are, how many of queries read each of them, and how wide they are. */
export type HeadSizes = readonly [heads: number, places: number, width: number];

/** Queries, keys or values by head, whatever form an operator has them in. */
export interface HeadAxes {
  readonly batch: LaneAxis;
  readonly sequence: LaneAxis;
  /** Heads of keys and values. */
  readonly heads: LaneAxis;
  /** Queries that share a head of keys and values: they stay a group of one size, so that a place goes in all groups. */
  readonly places: LaneAxis;
  readonly width: LaneAxis;
  readonly sizes: HeadSizes;
}

export const CACHE = 'is an axis of a cache of keys and values';

/** One axis of heads times their width. */
export function splitHeads(
  at: AnalysedNode,
  [batch, sequence]: readonly LaneAxis[],
  hidden: LaneAxis,
  sizes: HeadSizes,
): HeadAxes {
  const obstacle = at.obstacle('cannot be told apart by heads');
  const [heads, places, width] = splitAxis(at.lanes, hidden, sizes, obstacle);
  return { batch, sequence, heads, places, width, sizes };
}

/** `[batch, heads, sequence, width]`, of which `count` heads are groups of queries. */
export function headsApart(at: AnalysedNode, input: number, count: number): HeadAxes {
  const [batch, all, sequence, width] = at.axes(input);
  const [, size, , wide] = at.sizes(input);
  const places = size / count;
  const obstacle = at.obstacle('cannot be told apart by groups of heads');
  const [heads, place] = splitAxis(at.lanes, all, [count, places], obstacle);
  return { batch, sequence, heads, places: place, width, sizes: [count, places, wide] };
}

/** `[batch, sequence, heads * width]`, of which `count` heads are groups of queries. */
export function headsTogether(at: AnalysedNode, input: number, count: number, places: number): HeadAxes {
  const width = at.sizes(input)[2] / (count * places);
  return splitHeads(at, at.axes(input), at.axes(input)[2], [count, places, width]);
}

/** Some positions of an axis, in their order. */
export function stretchOf(axis: LaneAxis, start: number, size: number): LaneAxis {
  return axis?.map((column) => column.subarray(start, start + size)) ?? null;
}

/** All heads of queries as one axis. */
export function queryHeads({ heads, places, sizes }: HeadAxes): LaneAxis {
  return mergeAxes([heads, places], sizes.slice(0, 2));
}

/** The heads of queries, each as wide as a value. */
export function mixedValues({ heads, places, sizes }: HeadAxes, value: HeadAxes): LaneAxis {
  return mergeAxes([heads, places, value.width], [sizes[0], sizes[1], value.sizes[2]]);
}

/** States what goes together in any attention: samples, heads, and the widths of what is multiplied. Keys are normalized over. */
export function tieHeads(at: AnalysedNode, query: HeadAxes, key: HeadAxes, value: HeadAxes): void {
  for (const other of [key, value]) {
    at.tie(query.batch, other.batch);
    at.tie(query.heads, other.heads);
  }
  at.tie(key.sequence, value.sequence);
  at.freeze(key.sequence, 'is normalized over');
  at.tie(query.width, key.width);
  for (const axis of [query.heads, query.places]) at.tag(axis, 'head');
  for (const axis of [query.width, value.width]) at.tag(axis, 'head_width');
}

/** `[batch, heads, sequence, width]`, or nothing, of what earlier runs left: what goes in comes out. */
export function tieCache(at: AnalysedNode, cache: readonly LaneAxis[], own: HeadAxes): void {
  if (cache.length === 0) return;
  const [batch, heads, sequence, width] = cache;
  at.tie(batch, own.batch);
  at.freeze(sequence, 'is normalized over');
  if (heads === null) at.freeze(own.heads, CACHE);
  else at.tie(heads, own.heads);
  at.fixed([width, own.width], CACHE);
}

/** Changes an attribute that counts the heads of queries, where the node has it. */
export function countHeads(at: AnalysedNode, edit: GraphEdit, attribute: string, axes: HeadAxes): void {
  const { heads, places, sizes } = axes;
  const kept = edit.kept(heads, sizes[0]).length * edit.kept(places, sizes[1]).length;
  if (at.has(attribute)) setIntegers(at.node.proto, attribute, kept);
}

/** Writes down the scale that follows from the width of a head, which is another now. */
export function keepScale(at: AnalysedNode, edit: GraphEdit, { width, sizes }: HeadAxes): void {
  const isGiven = at.float('scale', 0) !== 0;
  if (edit.shrinks(width) && !isGiven) setFloat(at.node.proto, 'scale', 1 / Math.sqrt(sizes[2]));
}
