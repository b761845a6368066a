import type { NodeProto } from '../formats/onnx/onnx-schema.ts';
import type { LaneAxis } from './lanes.ts';

/** A size that follows an open axis of the model: it is computed as before. */
export const OPEN = null;
/** A size that a Reshape finds from all others. */
export const INFERRED = -1;

/** What rules may change in a graph from which structures are removed. */
export interface GraphEdit {
  /** Positions of an axis that stay, ascending. */
  kept(axis: LaneAxis, size: number): readonly number[];
  /** Whether an axis shrinks. */
  shrinks(axis: LaneAxis): boolean;
  /** Gives an input constant integers: a vector, or a scalar where a single one is meant so. */
  setInput(node: NodeProto, input: number, values: readonly number[], isScalar?: boolean): void;
  /** Gives an input sizes. */
  setSizes(node: NodeProto, input: number, sizes: readonly (number | typeof OPEN)[]): void;
  /** Gives the first output, a vector, sizes: whoever reads it reads these. */
  setOutputSizes(node: NodeProto, sizes: readonly (number | typeof OPEN)[]): void;
}
