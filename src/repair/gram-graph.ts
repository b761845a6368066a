import { elementCount } from '../formats/model.ts';
import { TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import type { GraphBuilder } from '../graph/graph-builder.ts';
import type { LayerInput, PatchedInput } from './fittable-layers.ts';

/** The inputs of one layer in both models, in as many places as share its weight. */
export interface GramRequest {
  /** For errors. */
  readonly weight: string;
  readonly groups: number;
  readonly dense: GramSide;
  readonly pruned: GramSide;
}

interface GramSide {
  /** Of one group. */
  readonly features: number;
  readonly inputs: readonly LayerInput[];
}

/** A sum that goes into the graph and comes out with one batch more, as float64. */
interface Accumulator {
  readonly input: string;
  readonly output: string;
  readonly shape: readonly number[];
}

/** Rows `[groups, positions, features]` of one input, as float32. */
interface GramRows {
  readonly rows: string;
  /** Where patches are to be taken; null for rows that are taken as they are. */
  readonly patches: PatchInput | null;
}

/** A graph input that says where patches are taken, and of what. */
export interface PatchInput {
  readonly input: PatchedInput;
  /** As `patchIndices` gives them, in one row. */
  readonly indices: string;
}

/** The rows of one input of the dense model. */
export interface DenseRows extends GramRows {
  /** Graph output with the sizes of a value that patches are taken of. */
  readonly sizes: string | null;
}

/** The nodes of one request in the pruned model's graph. */
export interface GramGraph {
  readonly request: GramRequest;
  /** Graph inputs that take the rows of the dense model, and patches of this one, place by place. */
  readonly places: readonly { readonly denseRows: string; readonly patches: PatchInput | null }[];
  /** `Xp' Xp` and `Xp' Xd`, X the layer's inputs: `[groups, pruned features, ...]`. */
  readonly gram: Accumulator;
  readonly cross: Accumulator;
  /** `Xp' 1` of each place: `[groups, places, pruned features]`. */
  readonly sums: Accumulator;
  /** Graph output, one number: finite if all sums are. */
  readonly check: string;
}

const { DOUBLE, FLOAT, INT64 } = TensorProto_DataType;

/** Makes rows of a layer's inputs outputs of the dense model, place by place. */
export function appendDenseRows(appendix: GraphBuilder, { groups, dense }: GramRequest): DenseRows[] {
  return dense.inputs.map((input) => {
    const { rows, patches } = appendRows(appendix, input, groups, dense.features);
    const sizes = patches && appendix.output(appendix.op('Shape', [input.value]), INT64);
    return { rows: appendix.output(rows, FLOAT), patches, sizes };
  });
}

/** Adds to the pruned model what adds up the products of a layer's inputs. */
export function appendGrams(appendix: GraphBuilder, request: GramRequest): GramGraph {
  const { groups, dense, pruned } = request;
  const widen = (value: string) => appendix.op('Cast', [value], { to: DOUBLE });
  const terms = pruned.inputs.map((input) => {
    const denseRows = appendix.input('dense', FLOAT);
    const own = appendRows(appendix, input, groups, pruned.features);
    const rows = widen(own.rows);
    const columns = appendix.op('Transpose', [rows], { perm: [0, 2, 1] });
    return {
      denseRows,
      patches: own.patches,
      gram: appendix.op('MatMul', [columns, rows]),
      cross: appendix.op('MatMul', [columns, widen(denseRows)]),
      sums: appendix.reduce('ReduceSum', rows, [1], true),
    };
  });
  const accumulate = (sum: string, parts: readonly string[], shape: readonly number[]): Accumulator => {
    const input = appendix.input(sum, DOUBLE);
    const total = appendix.op('Sum', [input, ...parts]);
    return { input, output: appendix.output(total, DOUBLE), shape };
  };
  const partsOf = (sum: 'gram' | 'cross' | 'sums') => terms.map((term) => term[sum]);
  const gram = accumulate('gram', partsOf('gram'), [groups, pruned.features, pruned.features]);
  const cross = accumulate('cross', partsOf('cross'), [groups, pruned.features, dense.features]);
  const together = appendix.op('Concat', partsOf('sums'), { axis: 1 });
  const sums = accumulate('sums', [together], [groups, terms.length, pruned.features]);
  const totals = [gram, cross].map(({ output }) => appendix.reduce('ReduceSum', output, [0, 1, 2], false));
  const check = appendix.output(appendix.op('Sum', totals), DOUBLE);
  return { request, places: terms, gram, cross, sums, check };
}

/** What a layer's matrix multiplies, of its input. */
function appendRows(appendix: GraphBuilder, input: LayerInput, groups: number, features: number): GramRows {
  const reshape = (name: string, shape: readonly number[]) =>
    appendix.op('Reshape', [name, appendix.integers(shape)]);
  const value = appendix.op('Cast', [input.value], { to: FLOAT });
  const rowsOf = (arranged: string) => reshape(arranged, [groups, -1, features]);
  if (input.how === 'patches') {
    const indices = appendix.input('patches', INT64);
    const flat = reshape(value, [0, input.channels, -1]);
    const first = appendix.op('Gather', [flat, appendix.integers([0])], { axis: 2 });
    const padded = appendix.op('Concat', [flat, appendix.op('Sub', [first, first])], { axis: 2 });
    const patches = appendix.op('Gather', [padded, indices], { axis: 2 });
    const places = elementCount(input.window.kernel);
    const apart = reshape(patches, [0, groups, input.channels / groups, -1, places]);
    const rows = rowsOf(appendix.op('Transpose', [apart], { perm: [1, 0, 3, 2, 4] }));
    return { rows, patches: { input, indices } };
  }
  if (input.trailing === 0) return { rows: rowsOf(value), patches: null };
  // The rank is not known: reversed, the features are axis 1 whatever comes before them.
  const reversed = reshape(appendix.op('Transpose', [value]), [0, features, -1]);
  return { rows: rowsOf(appendix.op('Transpose', [reversed], { perm: [0, 2, 1] })), patches: null };
}
