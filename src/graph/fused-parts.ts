import type { FusedNode, Parts } from './fused-node.ts';

const ERF_SINCE = 9;
const EINSUM_SINCE = 12;
const CONVOLUTION = ['auto_pad', 'dilations', 'group', 'kernel_shape', 'pads', 'strides'];

/** Activation functions that are operators, and the names of their parameters, in order. */
const ACTIVATIONS: ReadonlyMap<string, readonly string[]> = new Map([
  ...['Relu', 'Sigmoid', 'Tanh', 'Softplus', 'Softsign'].map((name): [string, string[]] => [name, []]),
  ...['LeakyRelu', 'Elu', 'ThresholdedRelu'].map((name): [string, string[]] => [name, ['alpha']]),
  ['HardSigmoid', ['alpha', 'beta']],
  ['Selu', ['alpha', 'gamma']],
]);

/** An activation function by name, with its parameters; null for one that is not known. */
function activate(
  at: FusedNode,
  x: string,
  name: string,
  given: Readonly<Record<string, number | undefined>>,
): string | null {
  const parameters = ACTIVATIONS.get(name);
  const floats = (from: Readonly<Record<string, number | undefined>>, names: readonly string[]) =>
    Object.fromEntries(
      names.flatMap((each) => (from[each] === undefined ? [] : [[each, { float: from[each] }]])),
    );
  if (parameters) return at.op(name, [x], floats(given, parameters));
  if (name === 'HardSwish')
    return at.times(x, at.op('HardSigmoid', [x], { alpha: { float: 1 / 6 }, beta: { float: 0.5 } }));
  const { alpha: min, beta: max } = given;
  if (name !== 'Clip' || min === undefined || max === undefined) return null;
  return at.opset < 11
    ? at.op(name, [x], floats({ min, max }, ['min', 'max']))
    : at.op(name, [x, at.scalar(min), at.scalar(max)]);
}

const fusedConv: Parts = (at) => {
  const conv = at.op('Conv', [at.input(0), at.input(1), at.input(2)], {}, at.own(...CONVOLUTION));
  const sum = at.plus(conv, at.input(3));
  const [alpha, beta] = at.attribute('activation_params')?.floats ?? [];
  const name = at.text('activation', '');
  const y = name === '' ? sum : activate(at, sum, name, { alpha, beta });
  return y === null ? null : [y];
};

const fusedGemm: Parts = (at) => {
  const inputs = [at.input(0), at.input(1), at.input(2)];
  const product = at.op('Gemm', inputs, {}, at.own('alpha', 'beta', 'transA', 'transB'));
  const [alpha, beta, gamma] = ['alpha', 'beta', 'gamma'].map(
    (name) => at.attribute(`activation_${name}`)?.f,
  );
  const y = activate(at, product, at.text('activation', ''), { alpha, beta, gamma });
  return y === null ? null : [y];
};

/** alpha op(A) op(B); it is the operand that is not stored that alpha multiplies, so that a layer's own product stands before its bias. */
const fusedMatMul: Parts = (at) => {
  const [a, b] = ['A', 'B'].map((name, input) => transposed(at, at.input(input) ?? '', name));
  if (a === null || b === null) return null;
  const alpha = at.float('alpha', 1);
  if (alpha === 1) return [at.op('MatMul', [a, b])];
  const isLeftStored = at.values.shapeOf(at.input(0) ?? '') !== null;
  return [at.op('MatMul', isLeftStored ? [a, at.times(b, alpha)] : [at.times(a, alpha), b])];
};

/** `transBatch` puts the first axis before the last one, `trans` exchanges the last two; a vector stays. Null where it cannot be written. */
function transposed(at: FusedNode, value: string, name: string): string | null {
  const [isMoved, isTurned] = ['transBatch', 'trans'].map((each) => at.integer(each + name, 0) !== 0);
  const rank = at.values.rankOf(value);
  if ((!isMoved && !isTurned) || (rank !== null && rank < 2)) return value;
  if (rank === null) {
    if (at.opset < EINSUM_SINCE) return null;
    const [from, to] = [isMoved ? 'a...b' : '...ab', isTurned ? '...ba' : '...ab'];
    return at.op('Einsum', [value], { equation: `${from}->${to}` });
  }
  const axes = [...Array(rank).keys()];
  const [row, column] = [isMoved ? 0 : rank - 2, rank - 1];
  const batch = axes.filter((axis) => axis !== row && axis !== column);
  return at.op('Transpose', [value], { perm: [...batch, ...(isTurned ? [column, row] : [row, column])] });
}

/** x Phi(x) = x (1 + erf(x / sqrt(2))) / 2 */
function gelu(at: FusedNode, x: string): string[] | null {
  if (at.opset < ERF_SINCE) return null;
  return [at.times(at.times(x, 0.5), at.plus(at.op('Erf', [at.times(x, Math.SQRT1_2)]), 1))];
}

/** x (1 + tanh(k (x + c x^3))) / 2 */
export function tanhGelu(at: FusedNode, x: string): string {
  const bent = at.plus(at.times(at.times(x, x), 0.044715), 1);
  const t = at.op('Tanh', [at.times(at.times(x, Math.sqrt(2 / Math.PI)), bent)]);
  return at.times(at.times(x, 0.5), at.plus(t, 1));
}

const EPSILON = 1e-12;

/** The sum of two inputs and a bias, normalized; the bias is added to what a layer gives, whose it is. */
function skipNormalization(op: string, parameters: readonly number[], bias: number): Parts {
  return (at) => {
    const [input, skip] = [at.input(0) ?? '', at.input(1) ?? ''];
    const [layer, other] = at.values.isLoneProduct(skip) ? [skip, input] : [input, skip];
    const sum = at.plus(at.plus(layer, at.input(bias)), other);
    const given = [sum, ...parameters.map((index) => at.input(index))];
    const attributes = { axis: -1, epsilon: { float: at.float('epsilon', EPSILON) } };
    if (at.gives(1) || at.gives(2)) return null;
    return [at.op(op, given, attributes), null, null, at.gives(3) ? sum : null];
  };
}

/** By operator and domain, what onnxruntime's optimizer has put together. */
export const FUSED_PARTS: ReadonlyMap<string, Parts> = new Map<string, Parts>([
  ['com.microsoft.FusedConv', fusedConv],
  ['com.microsoft.FusedGemm', fusedGemm],
  ['com.microsoft.FusedMatMul', fusedMatMul],
  ['com.microsoft.TransposeMatMul', fusedMatMul],
  ['com.microsoft.BiasGelu', (at) => gelu(at, at.plus(at.input(0) ?? '', at.input(1)))],
  ['com.microsoft.Gelu', (at) => gelu(at, at.input(0) ?? '')],
  ['com.microsoft.FastGelu', (at) => [tanhGelu(at, at.plus(at.input(0) ?? '', at.input(1)))]],
  [
    'com.microsoft.QuickGelu',
    (at) => {
      const x = at.input(0) ?? '';
      return [at.times(x, at.op('Sigmoid', [at.times(x, at.float('alpha', 1.702))]))];
    },
  ],
  ['com.microsoft.SkipLayerNormalization', skipNormalization('LayerNormalization', [2, 3], 4)],
  [
    'com.microsoft.SkipSimplifiedLayerNormalization',
    skipNormalization('SimplifiedLayerNormalization', [2], 3),
  ],
]);
