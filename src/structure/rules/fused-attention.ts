import { setIntegers } from '../../graph/messages.ts';
import type { LaneAxis } from '../lanes.ts';
import type { AnalysedNode, StructureRule, StructureRules } from '../structure-rule.ts';
import { tieBroadcast } from './elementwise.ts';
import {
  CACHE,
  countHeads,
  headsApart,
  headsTogether,
  keepScale,
  mixedValues,
  queryHeads,
  splitHeads,
  stretchOf,
  tieCache,
  tieHeads,
} from './heads.ts';

const MASKED = 'is masked by numbers of its own';
const PLACE = 'is a place in a sequence';

/** Stretches of an axis, one after the other. */
function stretches(axis: LaneAxis, sizes: readonly number[]): LaneAxis[] {
  let start = 0;
  return sizes.map((size) => {
    start += size;
    return stretchOf(axis, start - size, size);
  });
}

/** X W + B holds queries, keys and values side by side. */
const merged: StructureRule = (at) => {
  const [x, weight] = [at.axes(0), at.axes(1)];
  const [, columns] = at.sizes(1);
  const count = at.integer('num_heads', 1);
  const widths = at.integers('qkv_hidden_sizes') ?? [columns / 3, columns / 3, columns / 3];
  at.tie(x[2], weight[0]);
  at.contract(0, 2);
  at.contract(1, 1);
  if (at.hasInput(2)) at.tie(at.axes(2)[0], weight[1]);
  const parts = stretches(weight[1], widths);
  const [query, key, value] = parts.map((part, i) => splitHeads(at, x, part, [count, 1, widths[i] / count]));
  tieHeads(at, query, key, value);
  if (at.hasInput(3)) at.freeze(x[0], MASKED);
  const [kinds = null, ...past] = at.axes(4);
  at.freeze(kinds, 'tells keys from values');
  tieCache(at, past, key);
  if (at.hasInput(4)) at.freeze(value.width, CACHE);
  if (at.hasInput(5)) tieBroadcast(at, 5, [x[0], query.heads, null, null]);
  at.onRemoval((edit) => {
    if (!edit.shrinks(weight[1])) return;
    keepScale(at, edit, query);
    countHeads(at, edit, 'num_heads', query);
    const kept = parts.map((part, i) => edit.kept(part, widths[i]).length);
    setIntegers(at.node.proto, 'qkv_hidden_sizes', kept);
  });
  const outputs = [
    [x[0], null, mixedValues(query, value)],
    [null, x[0], query.heads, null, value.width],
  ];
  return outputs.slice(0, at.node.outputs.length);
};

/** Queries, keys and values that layers computed, to which a bias may be added first. */
const separate: StructureRule = (at) => {
  const isSeparate = at.hasInput(1) && at.hasInput(2) && at.sizes(0).length === 3;
  if (!isSeparate || at.sizes(1).length === 5) return at.frozen('holds queries, keys and values in one');
  const count = at.integer('num_heads', 1);
  const read = (input: number) =>
    at.sizes(input).length === 4 ? headsApart(at, input, count) : headsTogether(at, input, count, 1);
  const [query, key, value] = [0, 1, 2].map(read);
  tieHeads(at, query, key, value);
  at.contract(0, 2);
  if (at.sizes(1).length === 4) at.fixed([query.width, value.width], 'is a width that keys and values share');
  if (at.hasInput(3)) tieBias(at);
  if (at.hasInput(4)) at.fixed([query.batch, query.sequence], MASKED);
  if (at.integer('unidirectional', 0) === 1) at.freeze(query.sequence, PLACE);
  if (at.hasInput(5)) tieBroadcast(at, 5, [query.batch, query.heads, query.sequence, null]);
  tieCache(at, at.axes(6), key);
  tieCache(at, at.axes(7), value);
  at.onRemoval((edit) => {
    keepScale(at, edit, query);
    countHeads(at, edit, 'num_heads', query);
  });
  return [
    [query.batch, query.sequence, mixedValues(query, value)],
    [query.batch, query.heads, null, key.width],
    [query.batch, query.heads, null, value.width],
    [query.batch, query.heads, query.sequence, null],
  ].slice(0, at.node.outputs.length);
};

/** What is added to queries, keys and values, side by side. */
function tieBias(at: AnalysedNode): void {
  const hidden = [0, 1, 2].map((input) => at.sizes(input)[2]);
  const parts = stretches(at.axes(3)[0], hidden);
  for (const [input, part] of parts.entries()) at.tie(part, at.axes(input)[2]);
  at.contract(3, 0);
}

/** Heads of queries in groups, which read one head of keys and values each; all may come in one value. The kernel takes widths in multiples of 8 only. */
const grouped: StructureRule = (at) => {
  if (at.hasInput(12) || at.hasInput(13)) return at.frozen('keeps its cache in quantized numbers');
  const x = at.axes(0);
  const count = at.integer('kv_num_heads', 1);
  const places = at.integer('num_heads', 1) / count;
  const isPacked = !at.hasInput(1);
  const width = at.sizes(0)[2] / (count * places + (isPacked ? 2 * count : 0));
  const packed = isPacked
    ? stretches(x[2], [count * places * width, count * width, count * width])
    : [x[2], at.axes(1)[2], at.axes(2)[2]];
  const [query, key, value] = packed.map((hidden, i) =>
    splitHeads(at, isPacked ? x : at.axes(i), hidden, [count, i === 0 ? places : 1, width]),
  );
  tieHeads(at, query, key, value);
  at.fixed([query.width, value.width], 'is a width that the operator takes in multiples of 8');
  at.fixed([query.batch, query.sequence], PLACE);
  tieCache(at, at.axes(3), key);
  tieCache(at, at.axes(4), value);
  for (const input of [7, 8, 14, 15]) at.fixed(at.axes(input), 'is of all heads');
  const all = queryHeads(query);
  if (at.hasInput(10)) tieBroadcast(at, 10, [null, all, null, null]);
  if (at.hasInput(11)) at.tie(at.axes(11)[0], all);
  at.onRemoval((edit) => {
    countHeads(at, edit, 'num_heads', query);
    countHeads(at, edit, 'kv_num_heads', key);
  });
  return [
    [null, null, mixedValues(query, value)],
    [null, query.heads, null, null],
    [null, query.heads, null, null],
    [null, all, null, null],
  ].slice(0, at.node.outputs.length);
};

/** What onnxruntime's optimizer makes of attention, and its model builder writes. */
export const FUSED_ATTENTION_RULES: StructureRules = new Map<string, StructureRule>([
  ['com.microsoft.Attention', merged],
  ['com.microsoft.MultiHeadAttention', separate],
  ['com.microsoft.GroupQueryAttention', grouped],
]);
