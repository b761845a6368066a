import type { GradientNode, GradientRule, GradientRules } from '../derivative.ts';

/** Y = A B: dA = dY B', dB = A' dY. A vector is a matrix of one row (A) or one column (B). */
const matMul: GradientRule = (at) => {
  const [a, b] = [at.input(0), at.input(1)];
  const [rankA, rankB] = [at.rank(a), at.rank(b)];
  const left = rankA === 1 ? at.unsqueeze(a, [0]) : a;
  const right = rankB === 1 ? at.unsqueeze(b, [1]) : b;
  const added = [...(rankA === 1 ? [-2] : []), ...(rankB === 1 ? [-1] : [])];
  const gradient = added.length > 0 ? at.unsqueeze(at.gradient(), added) : at.gradient();
  const rank = Math.max(rankA, rankB, 2);

  const gradientOfA = () => {
    const product =
      rank === 2
        ? at.op('Gemm', [gradient, right], { transB: 1 })
        : at.op('MatMul', [gradient, transposeMatrices(at, right, Math.max(rankB, 2))]);
    return sumRepeats(at, product, a, rank - 2);
  };
  const gradientOfB = () => {
    if (rankB > 2) {
      const product = at.op('MatMul', [transposeMatrices(at, left, Math.max(rankA, 2)), gradient]);
      return sumRepeats(at, product, b, rank - 2);
    }
    // One matrix for all: the matrices of A become one, so that nothing is left to be summed.
    const product = at.op('Gemm', [stack(at, left, rank), stack(at, gradient, rank)], { transA: 1 });
    return rankB === 1 ? at.reshape(product, [-1]) : product;
  };
  return [at.needs(0) ? gradientOfA() : null, at.needs(1) ? gradientOfB() : null];
};

function transposeMatrices(at: GradientNode, matrices: string, rank: number): string {
  const batchAxes = Array.from({ length: rank - 2 }, (_, axis) => axis);
  return at.transpose(matrices, [...batchAxes, rank - 1, rank - 2]);
}

/** Matrices one below the other. */
function stack(at: GradientNode, matrices: string, rank: number): string {
  return rank === 2 ? matrices : at.op('Flatten', [matrices], { axis: rank - 1 });
}

/** `product`, of the shape that `operand` was broadcast to, summed over the batch axes along which it was repeated. */
function sumRepeats(at: GradientNode, product: string, operand: string, batchRank: number): string {
  const own = at.shape(operand)?.slice(0, -2) ?? [];
  // The matrices have one shape, so only batch axes can differ when the model runs.
  if (own.includes(null)) return at.unbroadcast(product, operand, product);
  const batch = at.shape(at.output());
  const missing = batchRank - own.length;
  const axes = Array.from({ length: batchRank }, (_, axis) => axis).filter(
    (axis) => axis < missing || (own[axis - missing] === 1 && batch?.[axis] !== 1),
  );
  const summed = at.sum(product, axes);
  return missing > 0 || at.rank(operand) === 1 ? at.reshapeLike(summed, operand) : summed;
}

/** Y = alpha op(A) op(B) + beta C, where op transposes if asked to. */
const gemm: GradientRule = (at) => {
  const [a, b, c] = [at.input(0), at.input(1), at.optionalInput(2)];
  const [transA, transB] = [at.integer('transA', 0), at.integer('transB', 0)];
  const alpha = { float: at.float('alpha', 1) };
  const beta = at.float('beta', 1);
  const gradient = at.gradient();
  const product = (left: string, right: string, transLeft: number, transRight: number) =>
    at.op('Gemm', [left, right], { alpha, transA: transLeft, transB: transRight });
  const gradientOfA = () => (transA ? product(b, gradient, transB, 1) : product(gradient, b, 0, 1 - transB));
  const gradientOfB = () => (transB ? product(gradient, a, 1, transA) : product(a, gradient, 1 - transA, 0));
  const gradientOfC = (added: string) =>
    at.unbroadcast(beta === 1 ? gradient : at.mul(gradient, at.scalar(beta)), added, at.output());
  return [
    at.needs(0) ? gradientOfA() : null,
    at.needs(1) ? gradientOfB() : null,
    c !== null && at.needs(2) ? gradientOfC(c) : null,
  ];
};

/** Products of matrices. */
export const LINEAR_RULES: GradientRules = new Map([
  ['MatMul', matMul],
  ['Gemm', gemm],
]);
