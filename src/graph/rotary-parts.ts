import { type FusedNode, type Parts, SHAPE_PARTS_SINCE } from './fused-node.ts';

/** Turns pairs of the first numbers of every head; the angles are `[batch, sequence, pairs]`, or rows of a table. */
function rotate(at: FusedNode, x: string, isApart: boolean, heads: string, cos: string, sin: string): string {
  const isPartial = at.integer('rotary_embedding_dim', 0) > 0;
  const split = isApart ? x : at.op('Reshape', [x, heads]);
  const [c, s] = [cos, sin].map((angles) => at.unsqueezed(angles, [isApart ? 1 : 2]));
  const half = at.sizes(cos, 2, 3);
  const turned = at.plus(half, half);
  const rest = () => at.op('Sub', [at.sizes(split, 3, 4), turned]);
  const [first, ...others] = isPartial
    ? at.ops('Split', [split, at.joined([turned, rest()])], { axis: -1 }, 2)
    : [split];
  const isInterleaved = at.integer('interleaved', 0) === 1;
  const [a, b] = isInterleaved
    ? at
        .ops(
          'Split',
          [at.op('Reshape', [first, at.vector([0, 0, 0, -1, 2])]), at.vector([1, 1])],
          { axis: -1 },
          2,
        )
        .map((part) => at.op('Squeeze', [part, at.vector([-1])]))
    : at.ops('Split', [first, at.joined([half, half])], { axis: -1 }, 2);
  const real = at.op('Sub', [at.times(a, c), at.times(b, s)]);
  const imaginary = at.plus(at.times(a, s), at.times(b, c));
  const pairs = () =>
    at.op('Concat', [at.unsqueezed(real, [-1]), at.unsqueezed(imaginary, [-1])], { axis: -1 });
  const joined = isInterleaved ? [at.op('Reshape', [pairs(), at.vector([0, 0, 0, -1])])] : [real, imaginary];
  const whole = at.op('Concat', [...joined, ...others], { axis: -1 });
  return isApart ? whole : at.op('Reshape', [whole, at.vector([0, 0, -1])]);
}

/** Of opset 23. */
const rotaryEmbedding: Parts = (at) => {
  const [x, cos, sin, ids] = [0, 1, 2, 3].map((index) => at.input(index) ?? '');
  const rank = at.values.rankOf(x);
  if (rank === null) return null;
  const [c, s] = [cos, sin].map((table) => (ids === '' ? table : at.op('Gather', [table, ids])));
  return [rotate(at, x, rank === 4, at.vector([0, 0, at.integer('num_heads', 1), -1]), c, s)];
};

/** Positions are given one by one, or that of the first. */
const fusedRotaryEmbedding: Parts = (at) => {
  const [x, ids, cos, sin] = [0, 1, 2, 3].map((index) => at.input(index) ?? '');
  const [rank, idRank] = [at.values.rankOf(x), at.values.rankOf(ids)];
  const isOther = at.integer('is_packed_batching', 0) !== 0 || at.float('scale', 1) !== 1;
  if (at.opset < SHAPE_PARTS_SINCE || isOther || rank === null || idRank === null) return null;
  const isApart = rank === 4;
  const following = () => {
    const length = at.op('Squeeze', [at.sizes(x, isApart ? 2 : 1, isApart ? 3 : 2)]);
    return at.unsqueezed(at.plus(at.op('Range', [at.whole(0), length, at.whole(1)]), ids), [0]);
  };
  const positions = idRank === 2 ? ids : following();
  const [c, s] = [cos, sin].map((table) => at.op('Gather', [table, positions]));
  const isPartial = at.integer('rotary_embedding_dim', 0) > 0;
  const half = at.sizes(cos, 1, 2);
  const heads = isPartial
    ? at.vector([0, 0, at.integer('num_heads', 1), -1])
    : at.joined([at.vector([0, 0, -1]), at.plus(half, half)]);
  return [rotate(at, x, isApart, heads, c, s)];
};

/** By operator and domain. */
export const ROTARY_PARTS: ReadonlyMap<string, Parts> = new Map<string, Parts>([
  ['RotaryEmbedding', rotaryEmbedding],
  ['com.microsoft.RotaryEmbedding', fusedRotaryEmbedding],
]);
