import { type FusedNode, type Parts, SHAPE_PARTS_SINCE } from './fused-node.ts';

const FLOAT = 1;
const INT64 = 7;
const BOOL = 9;
/** What onnxruntime gives a score that is not to count: softmax takes no infinite ones. */
const LOWEST = -3.4028234663852886e38;

/** Queries, keys and values, `[batch, heads, sequence, width]`. */
interface Heads {
  readonly query: string;
  readonly key: string;
  readonly value: string;
}

interface Attended extends Heads {
  /** Whether there may be more heads of queries than of keys and values. */
  readonly isGrouped: boolean;
  /** Null for 1 / sqrt(width). */
  readonly scale: number | null;
  readonly softcap: number;
  /** Whether a query to which no key counts has nothing, rather than the mean of all. */
  readonly canBeEmpty: boolean;
  /** What is added to scores `[batch, heads, queries, keys]`, or put in their place. */
  mask(scores: string): string;
}

/** `[batch, sequence, heads * width]` by head. */
function splitHeads(at: FusedNode, x: string, heads: number): string {
  const split = at.op('Reshape', [x, at.vector([0, 0, heads, -1])]);
  return at.op('Transpose', [split], { perm: [0, 2, 1, 3] });
}

function joinHeads(at: FusedNode, x: string): string {
  const back = at.op('Transpose', [x], { perm: [0, 2, 1, 3] });
  return at.op('Reshape', [back, at.vector([0, 0, -1])]);
}

/** softmax(scale Q K' + mask) V, and the scores on the way. */
function attend(at: FusedNode, attended: Attended) {
  const { query, key, value, isGrouped, scale, softcap, canBeEmpty, mask } = attended;
  const zero = at.vector([0]);
  const rest = at.vector([-1]);
  const inGroups = (x: string) =>
    isGrouped ? at.op('Reshape', [x, at.joined([zero, at.sizes(key, 1, 2), rest, at.sizes(x, 2, 4)])]) : x;
  const outOfGroups = (x: string) =>
    isGrouped ? at.op('Reshape', [x, at.joined([zero, rest, at.sizes(x, 3, 5)])]) : x;
  const shared = (x: string) => (isGrouped ? at.unsqueezed(x, [2]) : x);
  const perm = isGrouped ? [0, 1, 2, 4, 3] : [0, 1, 3, 2];
  const turned = at.op('Transpose', [shared(key)], { perm });
  const product = outOfGroups(at.op('MatMul', [inGroups(query), turned]));
  const width = () => at.op('Sqrt', [at.op('Cast', [at.sizes(query, 3, 4)], { to: FLOAT })]);
  const scores = scale === null ? at.op('Div', [product, width()]) : at.times(product, scale);
  const capped = softcap > 0 ? at.times(at.op('Tanh', [at.times(scores, 1 / softcap)]), softcap) : scores;
  const masked = mask(capped);
  const weights = canBeEmpty ? softmaxOrNothing(at, masked) : at.op('Softmax', [masked], { axis: -1 });
  const mixed = outOfGroups(at.op('MatMul', [inGroups(weights), shared(value)]));
  return { mixed, scores, capped, masked, weights };
}

/** Weights of which none counts are zeros. */
function softmaxOrNothing(at: FusedNode, scores: string): string {
  const largest = at.most(scores);
  const isEmpty = at.op('LessOrEqual', [largest, at.scalar(LOWEST)]);
  const zero = at.scalar(0);
  const weights = at.op('Softmax', [at.op('Where', [isEmpty, zero, scores])], { axis: -1 });
  return at.op('Where', [isEmpty, zero, weights]);
}

/** The numbers from 0 to the size of an axis of scores. */
function places(at: FusedNode, scores: string, axis: number): string {
  const limit = at.op('Squeeze', [at.sizes(scores, axis, axis + 1)]);
  return at.op('Range', [at.whole(0), limit, at.whole(1)]);
}

/** Whether keys are behind the query, which is `offset` further. */
function isLater(at: FusedNode, scores: string, offset: string | null): string {
  const query = at.unsqueezed(places(at, scores, 2), [1]);
  return at.op('Greater', [places(at, scores, 3), at.plus(query, offset)]);
}

/** Scores that do not count. */
const without = (at: FusedNode, scores: string, excluded: string) =>
  at.op('Where', [excluded, at.scalar(LOWEST), scores]);

/** What came before, and what is new. */
function joinCache(at: FusedNode, past: string | null, x: string): string {
  return past === null ? x : at.op('Concat', [past, x], { axis: 2 });
}

/** Of opset 23 and 24. */
const attention: Parts = (at) => {
  const [q, k, v, mask] = [0, 1, 2, 3].map((index) => at.input(index) ?? '');
  const [pastKey, pastValue, lengths] = [4, 5, 6].map((index) => at.input(index));
  const rank = at.values.rankOf(q) ?? at.values.rankOf(k) ?? at.values.rankOf(v);
  const isMasked = mask !== '';
  const isBoolean = at.values.typeOf(mask) === BOOL;
  if (rank === null || (isMasked && at.values.typeOf(mask) === null)) return null;
  const isCausal = at.integer('is_causal', 0) === 1;
  const [queryHeads, heads] = [at.integer('q_num_heads', 0), at.integer('kv_num_heads', 0)];
  const apart = (x: string, count: number) => (rank === 3 ? splitHeads(at, x, count) : x);
  const key = joinCache(at, pastKey, apart(k, heads));
  const value = joinCache(at, pastValue, apart(v, heads));
  const scale = at.float('scale', 0);
  const found = attend(at, {
    ...{ query: apart(q, queryHeads), key, value },
    isGrouped: heads === 0 || heads !== queryHeads,
    scale: scale === 0 ? null : scale,
    softcap: at.float('softcap', 0),
    canBeEmpty: isMasked || isCausal || lengths !== null,
    mask(scores) {
      const added = isMasked && !isBoolean ? at.plus(scores, mask) : scores;
      const chosen = isBoolean ? without(at, added, at.op('Not', [mask])) : added;
      const ends = lengths && at.unsqueezed(lengths, [1, 2, 3]);
      const before = ends ? at.op('Sub', [ends, at.sizes(scores, 2, 3)]) : pastKey && at.sizes(pastKey, 2, 3);
      const ordered = isCausal ? without(at, chosen, isLater(at, scores, before)) : chosen;
      if (ends === null) return ordered;
      return without(at, ordered, at.op('GreaterOrEqual', [places(at, scores, 3), ends]));
    },
  });
  const told = [found.scores, found.capped, found.masked, found.weights];
  const output = rank === 3 ? joinHeads(at, found.mixed) : found.mixed;
  return giveAll(at, [output, key, value, told[at.integer('qk_matmul_output_mode', 0)]]);
};

/** What a node gives, of all that it could. */
function giveAll(at: FusedNode, values: readonly string[], first = 0): (string | null)[] {
  return values.map((value, i) => (at.gives(first + i) ? at.op('Identity', [value]) : null));
}

/** Whether keys count, by a mask of ones and zeros: of keys, or of queries and keys, or the places where each sample ends and then those where it starts. */
function isKept(at: FusedNode, scores: string, mask: string, rank: number): string {
  if (rank > 1) return at.unsqueezed(at.op('Cast', [mask], { to: BOOL }), rank === 2 ? [1, 2] : [1]);
  const batch = at.sizes(scores, 0, 1);
  const starts = at.op('Expand', [at.vector([0]), batch]);
  const both = at.joined([at.op('Cast', [mask], { to: INT64 }), starts]);
  const bounds = at.op('Slice', [both, at.vector([0]), at.plus(batch, batch)]);
  const [end, start] = at
    .ops('Split', [bounds, at.joined([batch, batch])], { axis: 0 }, 2)
    .map((bound) => at.unsqueezed(bound, [1, 2, 3]));
  const key = places(at, scores, 3);
  return at.op('And', [at.op('Less', [key, end]), at.op('GreaterOrEqual', [key, start])]);
}

/** What onnxruntime's own operators have in common: a mask, order, and something added. Null where it is not known what the mask is. */
function fusedMask(
  at: FusedNode,
  mask: string | null,
  addend: string | null,
  past: string | null,
): Attended['mask'] | null {
  const rank = mask === null ? 1 : at.values.rankOf(mask);
  if (rank === null || rank > 3) return null;
  const isCausal = at.integer('unidirectional', 0) === 1;
  return (scores) => {
    const filter = at.scalar(at.float('mask_filter_value', -10000));
    const kept = mask && at.op('Where', [isKept(at, scores, mask, rank), at.scalar(0), filter]);
    const added = at.plus(scores, kept);
    return at.plus(isCausal ? without(at, added, isBehind(at, scores, past)) : added, addend);
  };
}

/** Whether keys are behind the query; the last query, behind which none is meant to be, may have any. */
function isBehind(at: FusedNode, scores: string, past: string | null): string {
  const last = at.op('Sub', [at.sizes(scores, 2, 3), at.vector([1])]);
  const isInner = at.op('Less', [at.unsqueezed(places(at, scores, 2), [1]), last]);
  return at.op('And', [isInner, isLater(at, scores, past && at.sizes(past, 2, 3))]);
}

function fusedHeads(at: FusedNode, heads: Heads, mask: Attended['mask']): string {
  const scale = at.float('scale', 0);
  const found = attend(at, {
    ...heads,
    isGrouped: false,
    canBeEmpty: false,
    scale: scale === 0 ? null : scale,
    softcap: 0,
    mask,
  });
  return joinHeads(at, found.mixed);
}

/** One weight gives queries, keys and values side by side. */
const mergedAttention: Parts = (at) => {
  const [x, weight, bias, mask, past, addend] = [0, 1, 2, 3, 4, 5].map((index) => at.input(index));
  const masked = fusedMask(at, mask, addend, past && at.op('Gather', [past, at.whole(0)]));
  const isOther = ['do_rotary', 'past_present_share_buffer'].some((name) => at.integer(name, 0) !== 0);
  if (at.opset < SHAPE_PARTS_SINCE || isOther || masked === null) return null;
  const all = at.plus(at.op('MatMul', [x, weight]), bias);
  const given = at.integers('qkv_hidden_sizes');
  const third = at.op('Div', [at.sizes(all, 2, 3), at.vector([3])]);
  const split = given ? at.vector(given) : at.joined([third, third, third]);
  const parts = at.ops('Split', [all, split], { axis: -1 }, 3);
  const [query, ...own] = parts.map((part) => splitHeads(at, part, at.integer('num_heads', 1)));
  const [key, value] = own.map((each, index) =>
    joinCache(at, past && at.op('Gather', [past, at.whole(index)]), each),
  );
  const output = fusedHeads(at, { query, key, value }, masked);
  const present = () => at.op('Concat', [at.unsqueezed(key, [0]), at.unsqueezed(value, [0])], { axis: 0 });
  return [output, at.gives(1) ? present() : null];
};

/** Queries, keys and values come one by one, and one bias for all three. */
const multiHeadAttention: Parts = (at) => {
  const [q, k, v] = [0, 1, 2].map((index) => at.input(index) ?? '');
  const [bias, mask, addend, pastKey, pastValue] = [3, 4, 5, 6, 7].map((index) => at.input(index));
  const masked = fusedMask(at, mask, addend, pastKey);
  const isOther = k === '' || v === '' || at.gives(3) || [8, 9].some((index) => at.input(index) !== null);
  if (at.opset < SHAPE_PARTS_SINCE || isOther || masked === null) return null;
  const heads = at.integer('num_heads', 1);
  const ranks = [k, v].map((name) => at.values.rankOf(name) ?? 3);
  const hidden = () => at.joined([q, k, v].map((x) => at.sizes(x, 2, 3)));
  const biases = bias === null ? [null, null, null] : at.ops('Split', [bias, hidden()], { axis: 0 }, 3);
  const [query, ...own] = [q, k, v].map((x, i) =>
    i > 0 && ranks[i - 1] === 4 ? x : splitHeads(at, at.plus(x, biases[i]), heads),
  );
  const [key, value] = [joinCache(at, pastKey, own[0]), joinCache(at, pastValue, own[1])];
  return [fusedHeads(at, { query, key, value }, masked), ...giveAll(at, [key, value], 1)];
};

/** By operator and domain. */
export const ATTENTION_PARTS: ReadonlyMap<string, Parts> = new Map([
  ['Attention', attention],
  ['com.microsoft.MultiHeadAttention', multiHeadAttention],
]);

/** Of attention that has a layer inside. */
export const MERGED_ATTENTION_PARTS: ReadonlyMap<string, Parts> = new Map([
  ['com.microsoft.Attention', mergedAttention],
]);
