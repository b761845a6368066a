import { isFloatDtype } from '../core/dtype.ts';
import { EmpError } from '../core/errors.ts';
import {
  type ModelFiles,
  type ModelInventory,
  type ModelTensor,
  parameterCount,
  type Quantization,
  type RowLayout,
  type Strangers,
} from '../formats/model.ts';
import { homeOf, onnxFileName, type TensorHome } from '../formats/onnx/external-data.ts';
import { readSkeleton } from '../formats/onnx/skeleton.ts';
import { createTensorData, dtypeOf, parseShape } from '../formats/onnx/tensor-data.ts';
import { METADATA_KEY } from '../formats/safetensors/header.ts';
import { FreeNames, MAX_GLUED } from './free-names.ts';
import { type OnnxGraph, OnnxModel, type OnnxNode } from './onnx-model.ts';
import { dropHidden } from './passes/drop-hidden.ts';
import { type GraphPass, runPasses } from './passes/pass.ts';
import { refuseHiddenFunctions } from './passes/refuse-hidden-functions.ts';
import { sortNodes } from './passes/sort-nodes.ts';
import { takenApart } from './passes/take-apart.ts';
import { type StoredTensor, shapeOfStored } from './weights/constants.ts';
import { type LayerSites, layerSitesOf } from './weights/layer-sites.ts';
import { findQuantizations } from './weights/quantization.ts';
import { findWeights, type Weight } from './weights/weights.ts';

const MAX_FINDINGS = 20;

/** A tensor of the file and what it is called. */
interface Parameter {
  readonly stored: StoredTensor;
  /** An initializer's name, a Constant node's output. */
  readonly name: string;
  /** Where it stands, for names that occur in several graphs: `loop/body/`, or the graph's number. Empty in the main graph. */
  readonly scope: string;
  readonly place: 'initializer' | 'Constant' | 'attribute';
}

/** What everything that looks at graphs counts on: one giver for each value, before all that read it. */
const READ_FORM: readonly GraphPass[] = [refuseHiddenFunctions, dropHidden, sortNodes];

/**
 * The graph model over the skeleton of the `.onnx` file, tensors' numbers left out, its nodes in an order in which they can run. Throws `malformed_onnx`, as `sortNodes` does too, and
 * `unsupported_model`.
 */
export async function readOnnxModel(files: ModelFiles): Promise<OnnxModel> {
  const file = onnxFileName(files);
  const source = files.get(file);
  if (source === undefined) throw new TypeError(`no file ${file}`);
  const proto = await readSkeleton(source, file);
  runPasses(proto, READ_FORM, null);
  return new OnnxModel(proto);
}

/**
 * What an ONNX model holds: every initializer, and of the tensors in Constant nodes the weights and float arrays (shapes, axes
 * and scalars there are operands, not parameters). Reads the graph, never the weights. Throws `malformed_onnx`, `unsupported_model`,
 * `missing_file` for external data that is not there, `invalid_request` for files that no tensor is in, unless these are to be ignored.
 */
export async function readOnnxInventory(
  files: ModelFiles,
  strangers: Strangers = 'refused',
): Promise<ModelInventory> {
  const model = await readOnnxModel(files);
  const home = homeOf(files);
  const quantizations = findQuantizations(model, home);
  const parameters = listParameters(model);
  const weights = findWeights(takenApart(model));
  const found = parameters.map(({ stored, name }) =>
    createModelTensor(stored, name, weights.get(stored), quantizations.get(stored), home),
  );
  const tensors = withoutOverlaps(found.filter((tensor, index) => isListed(tensor, parameters[index])));
  if (strangers === 'refused') refuseUnused(home);
  return {
    format: 'onnx',
    files: [...home.used],
    tensors,
    nParameters: parameterCount(tensors),
  };
}

/** The names that a model's inventory gives to what the model stores. */
export function nameStoredTensors(model: OnnxModel): Map<StoredTensor, string> {
  return new Map(listParameters(model).map(({ stored, name }) => [stored, name]));
}

/** Where the weights of a model act, by the names that its inventory gives them. */
export function findLayerSites(model: OnnxModel): Map<string, LayerSites> {
  const weights = findWeights(model);
  return new Map(
    [...nameStoredTensors(model)].flatMap(([stored, name]): [string, LayerSites][] => {
      const weight = weights.get(stored);
      return weight === undefined ? [] : [[name, layerSitesOf(weight, model.opset)]];
    }),
  );
}

function createModelTensor(
  stored: StoredTensor,
  name: string,
  weight: Weight | undefined,
  quantization: Quantization | undefined,
  home: TensorHome,
): ModelTensor {
  const shape = shapeOfStored(stored, name);
  const parts = stored.$typeName === 'onnx.TensorProto' ? [stored] : [stored.values, stored.indices];
  const present = parts.filter((part) => part !== undefined);
  const places = present.map((part) => createTensorData(part, name, parseShape(part.dims, name), home));
  const dtype = parts[0] === undefined ? 'undefined' : dtypeOf(parts[0]);
  const data = parts.length === 1 ? places[0] : null; // only dense tensors can be edited
  const role = weight === undefined ? 'other' : 'weight';
  const prunable = role === 'weight' && data !== null && (isFloatDtype(dtype) || quantization !== undefined);
  const rows = weight === undefined ? null : (weight.rows ?? packedRows(shape, quantization));
  return { name, shape, dtype, role, prunable, data, rows, ...(quantization && { quantization }) };
}

/** Packed weights are `[units, features]`, whatever shape their bytes have. */
function packedRows(shape: readonly number[], quantization: Quantization | undefined): RowLayout | null {
  if (quantization === undefined || quantization.axes.length === shape.length) return null;
  const [{ size: units }, { size: inner }] = quantization.axes;
  return { outer: 1, reduced: 1, units, inner };
}

/** Tensors under names of their own in the file's order: initializers, then nodes with their subgraphs in place, then the functions. */
function listParameters(model: OnnxModel): Parameter[] {
  const parameters: Parameter[] = [];
  let graphs = 0;
  const visit = (graph: OnnxGraph, path: string) => {
    const scope = path.length > MAX_GLUED ? `#${graphs}/` : path;
    graphs++;
    for (const { name, initializer } of graph.initializers) {
      if (initializer !== null) parameters.push({ stored: initializer, name, scope, place: 'initializer' });
    }
    for (const node of graph.nodes) {
      for (const parameter of attributeTensors(node, scope)) parameters.push(parameter);
      for (const { attribute, graph: inner } of node.subgraphs) {
        visit(inner, `${scope}${node.label}/${attribute}/`);
      }
    }
  };
  visit(model.graph, '');
  for (const body of model.functions) visit(body, `${body.proto.name}/`);
  return nameApart(parameters);
}

function attributeTensors(node: OnnxNode, scope: string): Parameter[] {
  const place = node.is('Constant') ? 'Constant' : 'attribute';
  return node.proto.attribute.flatMap((attribute) => {
    const stored = attribute.t ?? attribute.sparseTensor;
    if (stored === undefined) return [];
    const name =
      place === 'Constant'
        ? node.proto.output[0] || node.label
        : (glue(node.label, `/${attribute.name}`) ?? place);
    return [{ stored, name, scope, place }];
  });
}

/** Both as one name; null where that is long. */
function glue(before: string, after: string): string | null {
  return before.length + after.length > MAX_GLUED ? null : before + after;
}

function isListed({ dtype, shape, role }: ModelTensor, { place }: Parameter): boolean {
  if (place === 'initializer' || role === 'weight') return true;
  return place === 'Constant' && isFloatDtype(dtype) && shape.length > 0;
}

/** Plain names where they are unique, with their scope where not, numbered where even that is not enough or is long. */
function nameApart(parameters: readonly Parameter[]): Parameter[] {
  const taken = new FreeNames();
  // Scores and masks are files of tensors by these names, in which this one is none.
  taken.take(METADATA_KEY);
  return parameters.map((parameter) => {
    const { name, scope, place } = parameter;
    const scoped = glue(scope, name) ?? place;
    return { ...parameter, name: taken.take(name, scoped) ?? taken.number(`${scoped}#`) };
  });
}

/** Of tensors whose bytes overlap (external data saved once for two names) only the first is pruned. */
function withoutOverlaps(tensors: readonly ModelTensor[]): ModelTensor[] {
  const ranges = tensors
    .flatMap(({ prunable, data }, index) =>
      prunable && data !== null ? data.runs.map((run) => ({ ...run, index })) : [],
    )
    .sort((a, b) =>
      a.file === b.file ? a.offset - b.offset || a.index - b.index : a.file < b.file ? -1 : 1,
    );
  const overlapping = new Set<number>();
  let last = ranges[0];
  for (const range of ranges.slice(1)) {
    if (range.file === last.file && range.offset < last.offset + last.byteLength) {
      overlapping.add(Math.max(range.index, last.index));
      if (range.offset + range.byteLength < last.offset + last.byteLength) continue;
    }
    last = range;
  }
  return tensors.map((tensor, index) => (overlapping.has(index) ? { ...tensor, prunable: false } : tensor));
}

function refuseUnused({ file, files, used }: TensorHome): void {
  const unused = [...files.keys()].filter((name) => !used.has(name));
  if (unused.length === 0) return;
  throw new EmpError(
    'invalid_request',
    `${file} refers to no external data in ${unused.slice(0, 3).join(', ')}`,
    unused.slice(0, MAX_FINDINGS).map((path) => ({ path, message: `not used by ${file}` })),
  );
}
