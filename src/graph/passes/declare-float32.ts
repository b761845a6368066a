import {
  type GraphProto,
  type ModelProto,
  type NodeProto,
  TensorProto_DataType,
  type TypeProto,
  type ValueInfoProto,
} from '../../formats/onnx/onnx-schema.ts';
import { allGraphs, innerGraphs, mainGraph } from '../proto-walk.ts';

const { FLOAT, FLOAT16, BFLOAT16, DOUBLE } = TensorProto_DataType;
const OTHER_FLOATS: ReadonlySet<number> = new Set([FLOAT16, BFLOAT16, DOUBLE]);

/** Attributes that name an element type: of Cast; of RandomNormal and its like, EyeLike, ...; of window functions; of later operators. */
const DTYPE_ATTRIBUTES = new Set([
  'to',
  'dtype',
  'output_datatype',
  'output_dtype',
  'stash_type',
  'softmax_precision',
]);

/**
 * Makes every value that is declared or produced as float16, bfloat16 or float64 a float32. Requires stored tensors of float32, or some that will be. Ensures that no other
 * floats are declared or made anywhere; what was noted of inner values goes, for onnxruntime finds it out again.
 * @param context.widenedInputs gets the names of the main graph's inputs that were changed
 */
export function declareFloat32(
  model: ModelProto,
  { widenedInputs }: { readonly widenedInputs: string[] },
): void {
  for (const value of mainGraph(model).input) if (declareValue(value)) widenedInputs.push(value.name);
  for (const graph of allGraphs(model)) declareGraph(graph);
  for (const body of model.functions) {
    body.valueInfo = [];
    for (const node of body.node) declareNode(node);
    for (const inner of innerGraphs(body.node)) declareGraph(inner);
  }
}

function declareGraph(graph: GraphProto): void {
  graph.valueInfo = [];
  for (const value of [...graph.input, ...graph.output]) declareValue(value);
  for (const node of graph.node) declareNode(node);
}

function declareNode({ attribute }: NodeProto): void {
  for (const own of attribute) {
    if (DTYPE_ATTRIBUTES.has(own.name) && OTHER_FLOATS.has(Number(own.i))) own.i = BigInt(FLOAT);
    for (const type of own.tp === undefined ? own.typeProtos : [own.tp, ...own.typeProtos]) declareType(type);
  }
}

/** Whether the value's type was another. */
function declareValue({ type }: ValueInfoProto): boolean {
  return type !== undefined && declareType(type);
}

function declareType({ value }: TypeProto): boolean {
  switch (value.case) {
    case 'tensorType':
    case 'sparseTensorType': {
      const isOther = OTHER_FLOATS.has(value.value.elemType);
      if (isOther) value.value.elemType = FLOAT;
      return isOther;
    }
    case 'sequenceType':
    case 'optionalType':
      return value.value.elemType !== undefined && declareType(value.value.elemType);
    case 'mapType':
      return value.value.valueType !== undefined && declareType(value.value.valueType);
    default:
      return false;
  }
}
