import { EmpError } from '../../core/errors.ts';
import type { GraphProto, ModelProto, NodeProto, TensorProto } from '../../formats/onnx/onnx-schema.ts';
import { numbersOf } from '../../formats/onnx/tensor-data.ts';
import { GraphBuilder } from '../graph-builder.ts';
import { createAttribute, takeAttribute } from '../messages.ts';
import { standardOpset } from '../opset.ts';
import { allGraphs, freePrefix, isStandard, mainGraph } from '../proto-walk.ts';

/** The version that gradient rules are written for. */
const TARGET = 16;
/** onnxruntime runs next to nothing of older models. */
const OLDEST = 6;
/** protobuf format of models whose initializers need not be inputs, and can be external. */
const IR_VERSION = 8n;

/**
 * Brings the standard operators of a model to opset 16, where they are older. Requires that constants are initializers, and small ones have their numbers. Ensures opset 16
 * or later, and `ir_version` 8 or later; bodies of functions stay.
 * @throws EmpError unsupported_model for opsets before 6, and for uses of operators that opset 16 has no equal for
 */
export function upgradeOpset(model: ModelProto): void {
  if (model.irVersion < IR_VERSION) model.irVersion = IR_VERSION;
  const version = standardOpset(model);
  if (version >= TARGET) return;
  if (version < OLDEST) {
    throw new EmpError(
      'unsupported_model',
      `the model is of opset ${version}: gradients need ${OLDEST} or later; convert it with onnx.version_converter`,
    );
  }
  const prefix = freePrefix(mainGraph(model), 'upgraded');
  for (const [index, graph] of allGraphs(model).entries()) {
    upgradeGraph(graph, version, `${prefix}${index}_`);
  }
  for (const entry of model.opsetImport.filter(isStandard)) entry.version = BigInt(TARGET);
}

function upgradeGraph(graph: GraphProto, version: number, prefix: string): void {
  const builder = new GraphBuilder(graph, prefix, TARGET);
  const ranks = knownRanks(graph);
  const storedAs = findInitializers(graph);
  const nodes = graph.node;
  graph.node = [];
  for (const node of nodes) {
    const upgrade = isStandard(node) ? UPGRADES.get(node.opType) : undefined;
    if (upgrade && version < upgrade.before) upgrade.apply({ node, builder, storedAs, ranks });
    graph.node.push(node); // behind those that its upgrade made
  }
}

/** A node to be changed in place; nodes that the builder makes stand before it. */
interface Old {
  readonly node: NodeProto;
  readonly builder: GraphBuilder;
  readonly storedAs: (name: string) => TensorProto | undefined;
  readonly ranks: ReadonlyMap<string, number>;
}

interface Upgrade {
  /** The opset that has the operator otherwise. */
  readonly before: number;
  apply(old: Old): void;
}

/** Every standard operator that means something else in opset 16 than in one since 6 that onnxruntime runs. */
const UPGRADES: ReadonlyMap<string, Upgrade> = new Map<string, Upgrade>([
  ['BatchNormalization', { before: 14, apply: inferenceOnly }],
  ['Clip', { before: 11, apply: (old) => floatsToInputs(old, ['min', 'max']) }],
  ['Dropout', { before: 12, apply: dropoutOff }],
  ['Hardmax', { before: 13, apply: uncoerce }],
  ['LogSoftmax', { before: 13, apply: uncoerce }],
  ['Pad', { before: 11, apply: padToInputs }],
  ['ReduceSum', { before: 13, apply: axesToInput }],
  ['Resize', { before: 11, apply: (old) => toResize(old, old.node.input[1]) }],
  ['RoiAlign', { before: 16, apply: keepRoiCoordinates }],
  ['Scan', { before: 9, apply: ({ node }) => refuse(node, 'Scan of opset 8, over a batch') }],
  ['Scatter', { before: 16, apply: renameScatter }],
  ['Slice', { before: 10, apply: sliceToInputs }],
  ['Softmax', { before: 13, apply: uncoerce }],
  ['Split', { before: 13, apply: (old) => integersToInput(old, 'split') }],
  ['Squeeze', { before: 13, apply: axesToInput }],
  ['TopK', { before: 10, apply: topKToInput }],
  ['Unsqueeze', { before: 13, apply: axesToInput }],
  ['Upsample', { before: 16, apply: upsampleToResize }],
]);

function axesToInput(old: Old): void {
  integersToInput(old, 'axes');
}

function integersToInput({ node, builder }: Old, name: string): void {
  const values = takeAttribute(node, name)?.ints.map(Number) ?? [];
  if (values.length > 0) node.input.push(builder.integers(values));
}

function floatsToInputs({ node, builder }: Old, names: readonly string[]): void {
  const values = names.map((name) => takeAttribute(node, name)?.f);
  node.input.push(...values.map((value) => (value === undefined ? '' : builder.scalar(value))));
}

function padToInputs(old: Old): void {
  integersToInput(old, 'pads');
  floatsToInputs(old, ['value']);
}

function sliceToInputs({ node, builder }: Old): void {
  const [starts, ends, axes] = ['starts', 'ends', 'axes'].map((name) =>
    takeAttribute(node, name)?.ints.map(Number),
  );
  if (!starts || !ends) refuse(node, 'Slice without starts and ends');
  node.input.push(...[starts, ends, axes ?? [...starts.keys()]].map((values) => builder.integers(values)));
}

function topKToInput({ node, builder }: Old): void {
  node.input.push(builder.integers([Number(takeAttribute(node, 'k')?.i ?? 1)]));
}

/** Until opset 12 the axes from `axis` on were one. */
function uncoerce({ node, builder, ranks }: Old): void {
  const axis = Number(takeAttribute(node, 'axis')?.i ?? 1);
  const rank = ranks.get(node.input[0]);
  const attribute = createAttribute('axis', -1);
  if (axis === -1 || (rank !== undefined && (axis + rank) % rank === rank - 1)) {
    node.attribute.push(attribute);
    return;
  }
  const [source] = node.input;
  const flat = builder.op(node.opType, [builder.op('Flatten', [source], { axis })], { axis: -1 });
  node.opType = 'Reshape';
  node.input = [flat, builder.op('Shape', [source])];
}

function upsampleToResize(old: Old): void {
  const scales = takeAttribute(old.node, 'scales');
  toResize(old, scales ? old.builder.floats(scales.floats, [scales.floats.length]) : old.node.input[1]);
}

/** Nearest neighbours were found by cutting off, where the result is smaller by rounding up; scales that are computed are taken to enlarge. */
function toResize({ node, storedAs }: Old, scales: string): void {
  const stored = storedAs(scales);
  const factors = stored === undefined ? null : numbersOf(stored);
  const isSmaller = factors?.some((scale) => scale < 1) ?? false;
  if (isSmaller && factors?.some((scale) => scale > 1)) {
    refuse(node, 'Resize of opset 10 that makes one axis smaller and another larger');
  }
  node.opType = 'Resize';
  node.input = [node.input[0], '', scales];
  node.attribute.push(
    createAttribute('coordinate_transformation_mode', 'asymmetric'),
    createAttribute('nearest_mode', isSmaller ? 'ceil' : 'floor'),
  );
}

function keepRoiCoordinates({ node }: Old): void {
  if (node.attribute.some(({ name }) => name === 'coordinate_transformation_mode')) return;
  node.attribute.push(createAttribute('coordinate_transformation_mode', 'output_half_pixel'));
}

function renameScatter({ node }: Old): void {
  node.opType = 'ScatterElements';
}

/** The other outputs had a meaning in training. */
function inferenceOnly({ node }: Old): void {
  if (takeAttribute(node, 'spatial')?.i === 0n) refuse(node, 'BatchNormalization with spatial = 0');
  node.output = node.output.slice(0, 1);
}

function dropoutOff({ node }: Old): void {
  takeAttribute(node, 'ratio');
}

/** Initializers by name, those that are added meanwhile too. */
function findInitializers({ initializer }: GraphProto): Old['storedAs'] {
  const known = new Map<string, TensorProto>();
  let seen = 0;
  return (name) => {
    for (; seen < initializer.length; seen++) {
      const tensor = initializer[seen];
      if (!known.has(tensor.name)) known.set(tensor.name, tensor);
    }
    return known.get(name);
  };
}

/** Of values that the graph declares. */
function knownRanks({ input, output, valueInfo, initializer }: GraphProto): Map<string, number> {
  const ranks = new Map(initializer.map(({ name, dims }) => [name, dims.length]));
  for (const { name, type } of [...input, ...output, ...valueInfo]) {
    const shape = type?.value.case === 'tensorType' ? type.value.value.shape : undefined;
    if (shape !== undefined) ranks.set(name, shape.dim.length);
  }
  return ranks;
}

function refuse(node: NodeProto, what: string): never {
  const path = node.name || node.output[0] || node.opType;
  throw new EmpError(
    'unsupported_model',
    `node ${path}: ${what} has no equal in opset ${TARGET}, in which gradients are computed`,
    [{ path, message: what }],
  );
}
