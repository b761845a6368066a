import { elementCount } from '../formats/model.ts';
import { TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import type { GraphBuilder } from '../graph/graph-builder.ts';
import type { OnnxNode } from '../graph/onnx-model.ts';
import type { LayerInput, LayerPlace } from './fittable-layers.ts';

const { DOUBLE, FLOAT, INT64 } = TensorProto_DataType;
/** Of Gemm and Conv. */
const BIAS = 2;

/** Rows `[groups, positions, features]` or `[groups, positions, units]`, as a float32 output of a graph. */
export interface LayerRows {
  readonly output: string;
  /** The graph input that takes which positions they are, as `RowDraw` has them for what it is; null where they are all. */
  readonly drawn: { readonly input: string; readonly by: 'patches' | 'positions' | 'shares' } | null;
}

/**
 * Adds what a layer's matrix multiplies in one place.
 * @param features of one group
 * @param isDrawn whether only some positions are wanted; of patches they are said anyhow
 */
export function appendInputRows(
  builder: GraphBuilder,
  input: LayerInput,
  { groups, features }: { readonly groups: number; readonly features: number },
  isDrawn: boolean,
): LayerRows {
  if (input.how === 'rows') return rowsOf(builder, input.value, input.trailing, features, isDrawn);
  const indices = builder.input('patches', INT64);
  const flat = reshape(builder, input.value, [0, input.channels, -1]);
  const gathered = widened(builder, builder.op('Gather', [flat, indices], { axis: 2 })); // of -1 what is last, for now
  const isPadding = builder.op('Less', [indices, builder.integer(0)]);
  const keep = builder.op('Cast', [builder.op('Not', [isPadding])], { to: FLOAT });
  const patches = builder.op('Mul', [gathered, keep]);
  const kernel = elementCount(input.window.kernel);
  const apart = reshape(builder, patches, [0, groups, input.channels / groups, -1, kernel]);
  const turned = builder.op('Transpose', [apart], { perm: [1, 0, 3, 2, 4] });
  const rows = reshape(builder, turned, [groups, -1, features]);
  return { output: builder.output(rows, FLOAT), drawn: { input: indices, by: 'patches' } };
}

/**
 * Adds what a layer's matrix makes of its input in one place, without a bias of the node.
 * @param units of one group
 * @param kept the units that are wanted, in their order; null for all
 */
export function appendOutputRows(
  builder: GraphBuilder,
  { node, input, trailing }: LayerPlace,
  { groups, units }: { readonly groups: number; readonly units: number },
  kept: readonly number[] | null,
  isDrawn: boolean,
): LayerRows {
  const value = outputOf(node);
  const bias = biasOf(node);
  if (input.how === 'rows') {
    const product = node.is('Gemm') ? productOf(builder, node, value, bias) : value;
    return rowsOf(builder, product, trailing, units, isDrawn, kept);
  }
  const positions = builder.input('positions', INT64);
  const flat = reshape(builder, value, [0, groups * units, -1]);
  const all = widened(builder, builder.op('Gather', [flat, positions], { axis: 2 }));
  const added = bias && reshape(builder, widened(builder, bias), [-1, 1]);
  const product = added === null ? all : builder.op('Sub', [all, added]);
  const own = kept === null ? product : builder.op('Gather', [product, builder.integers(kept)], { axis: 1 });
  const nUnits = kept?.length ?? units;
  const apart = reshape(builder, own, [0, groups, nUnits, -1]);
  const turned = builder.op('Transpose', [apart], { perm: [1, 0, 3, 2] });
  const rows = reshape(builder, turned, [groups, -1, nUnits]);
  return { output: builder.output(rows, FLOAT), drawn: { input: positions, by: 'positions' } };
}

/** Values of the dense model that `appendOutputRows` reads. */
export function outputValues({ node }: LayerPlace): string[] {
  return [outputOf(node), biasOf(node)].filter((name) => name !== null);
}

function outputOf({ outputs, title }: OnnxNode): string {
  const [output] = outputs;
  if (output === null) throw new TypeError(`${title} has no output`);
  return output.name;
}

/** Of the node itself, not what an Add behind it adds. */
function biasOf(node: OnnxNode): string | null {
  return (node.is('MatMul') ? null : node.inputs[BIAS])?.name ?? null;
}

/** `alpha A B + beta C` without the rest. */
function productOf(builder: GraphBuilder, node: OnnxNode, value: string, bias: string | null): string {
  const [alpha, beta] = [node.float('alpha', 1), node.float('beta', 1)];
  const wide = widened(builder, value);
  const added = bias && builder.op('Mul', [widened(builder, bias), builder.scalar(beta)]);
  const scaled = added === null ? wide : builder.op('Sub', [wide, added]);
  return alpha === 1 ? scaled : builder.op('Div', [scaled, builder.scalar(alpha)]);
}

/** Of axis `-1 - trailing`, of `size`; the others are positions, in an order that inputs and outputs of a layer share. */
function rowsOf(
  builder: GraphBuilder,
  value: string,
  trailing: number,
  size: number,
  isDrawn: boolean,
  kept: readonly number[] | null = null,
): LayerRows {
  // The rank is not known: reversed, the features are axis 1 whatever comes before them.
  const reversed = () => reshape(builder, builder.op('Transpose', [value]), [0, size, -1]);
  const all =
    trailing === 0
      ? reshape(builder, value, [1, -1, size])
      : reshape(builder, builder.op('Transpose', [reversed()], { perm: [0, 2, 1] }), [1, -1, size]);
  const shares = isDrawn ? builder.input('shares', DOUBLE) : null;
  const drawn =
    shares === null ? all : builder.op('Gather', [all, positionsAt(builder, all, shares)], { axis: 1 });
  const rows = kept === null ? drawn : builder.op('Gather', [drawn, builder.integers(kept)], { axis: 2 });
  return {
    output: builder.output(widened(builder, rows), FLOAT),
    drawn: shares === null ? null : { input: shares, by: 'shares' },
  };
}

/** Shares of the rows' number, as whole numbers. */
function positionsAt(builder: GraphBuilder, rows: string, shares: string): string {
  const count = builder.op('Gather', [builder.op('Shape', [rows]), builder.integers([1])]);
  const places = builder.op('Mul', [shares, builder.op('Cast', [count], { to: DOUBLE })]);
  return builder.op('Cast', [places], { to: INT64 });
}

function widened(builder: GraphBuilder, value: string): string {
  return builder.op('Cast', [value], { to: FLOAT });
}

function reshape(builder: GraphBuilder, name: string, shape: readonly number[]): string {
  return builder.op('Reshape', [name, builder.integers(shape)]);
}
