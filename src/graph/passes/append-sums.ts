import { TensorProto_DataType } from '../../formats/onnx/onnx-schema.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import type { Activations } from '../weights/weights.ts';

const { DOUBLE, INT64 } = TensorProto_DataType;

export type Reduction = 'sum' | 'sum_of_squares' | 'sum_of_magnitudes';

/** Activations of any rank whose features are axis 1, `size` positions of it. */
export interface Channels extends Omit<Activations, 'trailing'> {
  readonly trailing: null;
}

/**
 * Appends the nodes that sum a value per feature over all samples and positions, in float64, and count its numbers. Requires a value of the main graph with that many
 * features. Ensures two outputs more, `sums` float64 `[features]` and `size` int64 of rank 0; no value that was there changes.
 * @returns the names of the outputs
 */
export function appendSums(
  appendix: GraphBuilder,
  { value, size: features, trailing }: Activations | Channels,
  reduction: Reduction,
): { readonly sums: string; readonly size: string } {
  const op = reduction === 'sum_of_squares' ? 'ReduceSumSquare' : 'ReduceSum';
  const wide = appendix.op('Cast', [value], { to: DOUBLE });
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
  return { sums: appendix.output(sums, DOUBLE, [features]), size: appendix.output(size, INT64, []) };
}
