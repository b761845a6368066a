import { elementCount } from '../../formats/model.ts';
import { parseEinsum } from '../einsum-equation.ts';
import { type CountProducts, type Operands, rowsOf } from './operands.ts';

/** `[..., M, K] x [..., K, N]`: K for each element of the result. */
function matMul(left: number, right: number): CountProducts {
  return (at) => [
    { operands: [left, right], macs: elementCount(at.output()) * (at.shape(left).at(-1) ?? 1) },
  ];
}

/** `[M, K] x [K, N]`, of which `transA` turns the first. */
function gemm(left: number, right: number): CountProducts {
  return (at) => {
    const [rows, columns] = at.shape(left);
    const summed = at.integer('transA', 0) === 0 ? columns : rows;
    return [{ operands: [left, right], macs: elementCount(at.output()) * summed }];
  };
}

/** `transBatchA` puts the first axis before the last one, and `transA` then exchanges the last two. */
const fusedMatMul: CountProducts = (at) => {
  const shape = at.shape(0);
  const isTurned = at.integer('transA', 0) !== 0 && shape.length > 1;
  const isMoved = at.integer('transBatchA', 0) !== 0;
  const axis = isTurned ? (isMoved ? 0 : shape.length - 2) : shape.length - 1;
  return [{ operands: [0, 1], macs: elementCount(at.output()) * (shape[axis] ?? 1) }];
};

/** Of weights that are packed, as attribute `K` tells. */
const packedMatMul: CountProducts = (at) => [
  { operands: [1], macs: elementCount(at.output()) * at.integer('K', 0) },
];

/** A filter `[in / groups, ...kernel]` for each element of the result; what it multiplies of the padding counts too. */
function convolution(input: number, filters: number): CountProducts {
  return (at) => {
    const [units] = at.shape(filters);
    const macs = units === 0 ? 0 : elementCount(at.output()) * (at.count(filters) / units);
    return [{ operands: [input, filters], macs }];
  };
}

/** `[out / groups, ...kernel]` for each element of the input; what falls on the padding, which is cut off, counts too. */
const transposedConvolution: CountProducts = (at) => {
  const [channels] = at.shape(1);
  return [{ operands: [0, 1], macs: channels === 0 ? 0 : at.count(0) * (at.count(1) / channels) }];
};

/** Both matrices of every direction at each step of each sample. */
const recurrent: CountProducts = (at) => {
  const steps = rowsOf(at.shape(0));
  return [1, 2].map((weight) => ({ operands: [weight], macs: steps * at.count(weight) }));
};

/** Every token goes to `k` experts. @param bits of a stored number, and those of a weight by the node */
function experts(weights: readonly number[], perByte: (at: Operands) => number): CountProducts {
  return (at) => {
    const tokens = rowsOf(at.shape(0)) * at.integer('k', 1);
    return weights.flatMap((weight) => {
      const shape = at.optional(weight);
      if (shape === null || shape[0] === 0) return [];
      const each = (elementCount(shape) / shape[0]) * perByte(at);
      return [{ operands: [weight], macs: tokens * each }];
    });
  };
}

/** Terms two at a time, from the left; letters of one alone are summed before, and multiply nothing. */
const einsum: CountProducts = (at) => {
  const { terms, output } = parseEinsum(at.text('equation', ''));
  const sizes = new Map<string, number>();
  const labelled = terms.map((term, operand) => labelsOf(term, at.shape(operand), sizes));
  const given = output === undefined ? null : lettersOf(output);
  const products: { operands: number[]; macs: number }[] = [];
  let [before, ...rest] = labelled;
  for (const [index, next] of rest.entries()) {
    const later = new Set(rest.slice(index + 1).flatMap((labels) => [...labels]));
    const isKept = (label: string) => isGiven(label, given, labelled) || later.has(label);
    const all = [...new Set([...before, ...next])];
    const isShared = (label: string) => before.has(label) && next.has(label);
    const joined = all.filter((label) => isKept(label) || isShared(label));
    if (joined.some((label) => !isKept(label))) {
      const macs = joined.reduce((product, label) => product * (sizes.get(label) ?? 1), 1);
      products.push({ operands: index === 0 ? [0, 1] : [index + 1], macs });
    }
    before = new Set(joined.filter(isKept));
  }
  return products;
};

const ELLIPSIS = '...';

/** The letters of a term, and of the axes under an ellipsis names counted from the last, with their sizes. */
function labelsOf(term: string, shape: readonly number[], sizes: Map<string, number>): Set<string> {
  const [left, right] = term.split(ELLIPSIS);
  const inner = shape.length - term.replace(ELLIPSIS, '').length;
  const hidden = Array.from({ length: Math.max(0, inner) }, (_, i) => `${ELLIPSIS}${inner - i}`);
  const labels = [...left, ...(right === undefined ? [] : [...hidden, ...right])];
  for (const [axis, label] of labels.entries())
    sizes.set(label, Math.max(sizes.get(label) ?? 1, shape[axis] ?? 1));
  return new Set(labels);
}

function lettersOf(output: string): ReadonlySet<string> {
  return new Set(output);
}

/** Without an output all stay that occur once, and an ellipsis. */
function isGiven(
  label: string,
  given: ReadonlySet<string> | null,
  terms: readonly ReadonlySet<string>[],
): boolean {
  if (given !== null) return label.startsWith(ELLIPSIS) ? given.has('.') : given.has(label);
  return label.startsWith(ELLIPSIS) || terms.filter((labels) => labels.has(label)).length === 1;
}

const single = () => 1;

/** Standard operators that multiply and accumulate. */
export const STANDARD_LAYERS: ReadonlyMap<string, CountProducts> = new Map([
  ['MatMul', matMul(0, 1)],
  ['MatMulInteger', matMul(0, 1)],
  ['QLinearMatMul', matMul(0, 3)],
  ['Gemm', gemm(0, 1)],
  ['Conv', convolution(0, 1)],
  ['ConvInteger', convolution(0, 1)],
  ['QLinearConv', convolution(0, 3)],
  ['DeformConv', convolution(0, 1)],
  ['ConvTranspose', transposedConvolution],
  ['LSTM', recurrent],
  ['GRU', recurrent],
  ['RNN', recurrent],
  ['Einsum', einsum],
]);

/** Of onnxruntime's own those that are layers. */
export const MICROSOFT_LAYERS: ReadonlyMap<string, CountProducts> = new Map([
  ['FusedConv', convolution(0, 1)],
  ['NhwcFusedConv', convolution(0, 1)],
  ['QLinearConv', convolution(0, 3)],
  ['FusedGemm', gemm(0, 1)],
  ['QGemm', gemm(0, 3)],
  ['FusedMatMul', fusedMatMul],
  ['TransposeMatMul', fusedMatMul],
  ['FusedMatMulActivation', fusedMatMul],
  ['DynamicQuantizeMatMul', matMul(0, 1)],
  ['MatMulIntegerToFloat', matMul(0, 1)],
  ['MatMulNBits', packedMatMul],
  ['MatMulBnb4', packedMatMul],
  ['DynamicQuantizeLSTM', recurrent],
  ['MoE', experts([2, 4, 6], single)],
  ['QMoE', experts([2, 5, 8], (at) => 8 / at.integer('expert_weight_bits', 4))],
]);
