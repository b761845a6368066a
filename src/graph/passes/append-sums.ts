import { elementCount } from '../../formats/model.ts';
import { TensorProto_DataType } from '../../formats/onnx/onnx-schema.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { createTensor } from '../messages.ts';
import type { Activations, Matrices } from '../weights/weight-sites.ts';

const { DOUBLE, INT64 } = TensorProto_DataType;

export type Reduction = 'sum' | 'sum_of_squares' | 'sum_of_magnitudes';

/** Activations of any rank whose features are axis 1, `size` positions of it. */
export interface Channels extends Omit<Activations, 'trailing'> {
  readonly trailing: null;
}

/** Names of outputs. */
export interface AppendedSums {
  /** float64 `[features]` */
  readonly sums: string;
  /** Of how many numbers each sum is, likewise; null where it is the same for all: `size` over the number of features. */
  readonly counts: string | null;
  /** int64 of rank 0: what doubles with the samples. */
  readonly size: string;
}

/**
 * Appends the nodes that sum a value per feature over all samples and positions, in float64, and count its numbers. Requires a value of the main graph with that many
 * features. Ensures two outputs more, or three; no value that was there changes.
 */
export function appendSums(
  appendix: GraphBuilder,
  activations: Activations | Channels,
  reduction: Reduction,
): AppendedSums {
  const { value, size: features, trailing } = activations;
  const wide = appendix.op('Cast', [value], { to: DOUBLE });
  if (trailing !== null && activations.matrices)
    return appendByMatrix(appendix, activations, activations.matrices, termsOf(appendix, wide, reduction));
  const op = reduction === 'sum_of_squares' ? 'ReduceSumSquare' : 'ReduceSum';
  const terms = reduction === 'sum_of_magnitudes' ? appendix.op('Abs', [wide]) : wide;
  const reshape = (name: string, shape: readonly number[]) =>
    appendix.op('Reshape', [name, appendix.integers(shape)]);
  const rows = (name: string) => reshape(name, [-1, features]);
  const after = Array.from({ length: trailing ?? 0 }, (_, axis) => axis - (trailing ?? 0));
  const sums =
    trailing === null
      ? appendix.reduce(op, reshape(terms, [0, features, -1]), [0, 2], false)
      : trailing === 0
        ? appendix.reduce(op, rows(terms), [0], false)
        : appendix.reduce('ReduceSum', rows(appendix.reduce(op, terms, after, false)), [0], false);
  const size = appendix.op('Size', [value]);
  return {
    sums: appendix.output(sums, DOUBLE, [features]),
    counts: null,
    size: appendix.output(size, INT64, []),
  };
}

/** What is summed of each number. */
function termsOf(appendix: GraphBuilder, wide: string, reduction: Reduction): string {
  if (reduction === 'sum') return wide;
  return reduction === 'sum_of_squares' ? appendix.op('Mul', [wide, wide]) : appendix.op('Abs', [wide]);
}

/** Of activations of several matrices. What is counted goes the same way as what is summed. */
function appendByMatrix(
  appendix: GraphBuilder,
  { size: features, trailing }: Activations,
  { sizes, arranged, choice }: Matrices,
  terms: string,
): AppendedSums {
  const n = elementCount(sizes);
  const own = features / n;
  const reshape = (name: string, shape: readonly number[]) =>
    appendix.op('Reshape', [name, appendix.integers(shape)]);
  const one = createTensor('', DOUBLE, [1], new Uint8Array(Float64Array.of(1).buffer));
  const shape = appendix.op('Shape', [terms]);
  const ones = appendix.op('ConstantOfShape', [shape], { value: { tensor: one } });
  // A vector is a matrix of one row.
  const matrix = appendix.op('Concat', [appendix.integers([1]), shape], { axis: 0 });
  const rowsOf = (name: string) => {
    if (arranged === null) {
      const axis = trailing === 0 ? -2 : -1;
      return appendix.reduce('ReduceSum', appendix.op('Reshape', [name, matrix]), [axis], false);
    }
    const rows = appendix.op('Einsum', [name], { equation: arranged.equation });
    return arranged.missing.length > 0 ? appendix.unsqueeze(rows, arranged.missing) : rows;
  };
  if (choice === null) {
    const sum = (name: string) => {
      const rows = rowsOf(name);
      if (arranged !== null) return reshape(rows, [features]);
      const spread = appendix.op('Expand', [rows, appendix.integers([...sizes, own])]);
      return appendix.reduce('ReduceSum', reshape(spread, [-1, features]), [0], false);
    };
    const size = appendix.op('Size', [terms]);
    return {
      sums: appendix.output(sum(terms), DOUBLE, [features]),
      counts: appendix.output(sum(ones), DOUBLE, [features]),
      size: appendix.output(size, INT64, []),
    };
  }
  const chosen = appendChoice(appendix, choice, n);
  const total = (rows: string) => {
    // Each row beside what was chosen for it: either may be the same for several of the other.
    const whole = appendix.op('Shape', [appendix.op('Mul', [chosen.zeros, rows])]);
    const leading = appendix.slice(whole, 0, -1);
    const spread = appendix.op('Expand', [rows, whole]);
    const hot = appendix.op('Expand', [
      chosen.hot,
      appendix.op('Concat', [leading, appendix.integers([n])], { axis: 0 }),
    ]);
    const columns = appendix.op('Transpose', [reshape(hot, [-1, n])], { perm: [1, 0] });
    const product = appendix.op('MatMul', [columns, reshape(spread, [-1, own])]);
    return { sums: reshape(product, [features]), spread };
  };
  const [found, counted] = [terms, ones].map((name) => total(rowsOf(name)));
  return {
    sums: appendix.output(found.sums, DOUBLE, [features]),
    counts: appendix.output(counted.sums, DOUBLE, [features]),
    size: appendix.output(appendix.op('Size', [found.spread]), INT64, []),
  };
}

/** Of every choice, laid out as the chosen matrices are, which of `n` matrices it is: `[..., n]` of ones and zeros, and `[..., 1]` of zeros. */
function appendChoice(
  appendix: GraphBuilder,
  { indices, chosen }: NonNullable<Matrices['choice']>,
  n: number,
): { readonly hot: string; readonly zeros: string } {
  const leading = appendix.slice(appendix.op('Shape', [chosen]), 0, -2);
  const shape = appendix.op('Concat', [leading, appendix.integers([1])], { axis: 0 });
  const numbers = appendix.op('Reshape', [appendix.op('Cast', [indices], { to: INT64 }), shape]);
  const equals = (all: readonly number[]) =>
    appendix.op('Cast', [appendix.op('Equal', [numbers, appendix.integers(all)])], { to: DOUBLE });
  const all = Array.from({ length: n }, (_, i) => i);
  // An index may count from the end.
  const hot = appendix.op('Add', [equals(all), equals(all.map((i) => i - n))]);
  const zeros = appendix.op('Cast', [appendix.op('Sub', [numbers, numbers])], { to: DOUBLE });
  return { hot, zeros };
}
