import {
  type GraphProto,
  type NodeProto,
  type TensorProto,
  TensorProto_DataType,
  type ValueInfoProto,
} from '../formats/onnx/onnx-schema.ts';
import type { KnownValues } from './fused-node.ts';
import { isStandard, storedTensors } from './proto-walk.ts';

/** Null where it is not known. */
interface Kind {
  readonly type: number | null;
  readonly rank: number | null;
}

const UNKNOWN: Kind = { type: null, rank: null };
const PRODUCTS = new Set(['MatMul', 'FusedMatMul', 'TransposeMatMul']);
/** Operators that give their first input on, of its type and with as many axes. */
const KEEPING = new Set([
  ...['Identity', 'Dropout', 'Clip', 'Neg', 'Relu', 'Gelu', 'Sigmoid', 'Tanh', 'Softmax', 'Swish'],
  ...['LayerNormalization', 'RMSNormalization', 'SimplifiedLayerNormalization', 'LpNormalization'],
  ...['Transpose', 'Slice', 'Split', 'Concat', 'RotaryEmbedding', 'Pad', 'Tile', 'Trilu', 'TensorScatter'],
]);
/** Operators that give their first input on in its shape, as another type. */
const CASTING = new Set(['Cast', 'DequantizeLinear', 'QuantizeLinear']);
/** Operators that broadcast. */
const ELEMENTWISE = new Set(['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Max', 'Min']);
const CONDITIONS = new Set([
  ...['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual', 'And', 'Or', 'Xor', 'Not'],
]);

/** What graphs say of their values, and what follows from that through operators that are met around what is fused. */
export function knownValues(graphs: readonly GraphProto[]): KnownValues {
  const kinds = new Map<string, Kind>();
  const stored = new Map<string, TensorProto>();
  const makers = new Map<string, NodeProto>();
  const readers = new Map<string, number>();
  const read = (name: string) => readers.set(name, (readers.get(name) ?? 0) + 1);
  for (const graph of graphs) {
    for (const info of [...graph.input, ...graph.output, ...graph.valueInfo]) {
      const kind = kindOf(info);
      if (kind !== null) kinds.set(info.name, kind);
    }
    const names = new Map(
      graph.node
        .filter(({ opType }) => opType === 'Constant')
        .map((node) => [node.attribute[0]?.t, node.output[0]]),
    );
    for (const tensor of storedTensors(graph)) {
      const name = names.get(tensor) ?? tensor.name;
      stored.set(name, tensor);
      kinds.set(name, { type: tensor.dataType, rank: tensor.dims.length });
    }
    for (const node of graph.node) {
      for (const name of node.input) read(name);
      const made = kindMade(node, (name) => kinds.get(name ?? '') ?? UNKNOWN, stored);
      for (const name of node.output) {
        makers.set(name, node);
        const { type = null, rank = null } = kinds.get(name) ?? {};
        kinds.set(name, { type: type ?? made.type, rank: rank ?? made.rank });
      }
    }
    for (const { name } of graph.output) read(name);
  }
  return {
    typeOf: (name) => kinds.get(name)?.type ?? null,
    rankOf: (name) => kinds.get(name)?.rank ?? null,
    shapeOf: (name) => stored.get(name)?.dims.map(Number) ?? null,
    isLoneProduct: (name) => PRODUCTS.has(makers.get(name)?.opType ?? '') && readers.get(name) === 1,
  };
}

/** Null where it is not said. */
function kindOf({ type }: ValueInfoProto): Kind | null {
  if (type?.value.case !== 'tensorType' || type.value.value.elemType === 0) return null;
  const { elemType, shape } = type.value.value;
  return { type: elemType, rank: shape?.dim.length ?? null };
}

/** What a node's outputs are, given what is known of its inputs. */
function kindMade(
  node: NodeProto,
  kindOf: (name: string | undefined) => Kind,
  stored: ReadonlyMap<string, TensorProto>,
): Kind {
  const { opType: op, input } = node;
  if (!isStandard(node)) return op === 'RotaryEmbedding' ? kindOf(input[0]) : UNKNOWN;
  const kinds = input.map(kindOf);
  const [{ type, rank }] = [...kinds, UNKNOWN];
  if (KEEPING.has(op)) return { type, rank };
  if (CASTING.has(op)) return { type: op === 'Cast' ? Number(attributeOf(node, 'to')?.i) : null, rank };
  if (CONDITIONS.has(op)) return { type: TensorProto_DataType.BOOL, rank: highest(kinds) };
  if (ELEMENTWISE.has(op)) return { type, rank: highest(kinds) };
  if (op === 'Where') return { type: kinds[1].type, rank: highest(kinds) };
  if (op === 'MatMul') return { type, rank: kinds.some((each) => each.rank === 1) ? null : highest(kinds) };
  const given = stored.get(input[1]);
  const length = given ? Number(given.dims[0] ?? 1n) : null;
  if (op === 'Reshape') return { type, rank: length };
  if (op !== 'Unsqueeze') return UNKNOWN;
  const added = attributeOf(node, 'axes')?.ints.length ?? length;
  return { type, rank: rank === null || added === null ? null : rank + added };
}

function attributeOf({ attribute }: NodeProto, name: string) {
  return attribute.find((own) => own.name === name);
}

/** Null where one is not known. */
function highest(kinds: readonly Kind[]): number | null {
  return kinds.reduce<number | null>(
    (most, { rank }) => (most === null || rank === null ? null : Math.max(most, rank)),
    0,
  );
}
