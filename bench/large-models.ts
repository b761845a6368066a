import { type FileHandle, open } from 'node:fs/promises';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { createGaussian } from './gaussian.ts';

const LAYERS = 16;
const WIDTH = 4096;
const TENSOR_BYTES = WIDTH * WIDTH * 4;
/** Weights of both files together with their headers: 2^30 bytes and a little. */
const names = Array.from({ length: LAYERS }, (_, i) => `layers.${i}.weight`);

/** A gigabyte of gaussian float32 weights in 16 matrices, as safetensors. */
export async function writeLargeSafetensors(path: string): Promise<void> {
  const entries = names.map((name, i) => [
    name,
    { dtype: 'F32', shape: [WIDTH, WIDTH], data_offsets: [i * TENSOR_BYTES, (i + 1) * TENSOR_BYTES] },
  ]);
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const header = Buffer.alloc(8 + Math.ceil(json.byteLength / 8) * 8, ' ');
  header.writeBigUInt64LE(BigInt(header.byteLength - 8));
  json.copy(header, 8);
  await using file = await open(path, 'w');
  await file.write(header);
  for (let i = 0; i < LAYERS; i++) await writeWeights(file, i);
}

/** The same weights, or those of the first layers, as initializers of a chain of MatMul, as one ONNX file. */
export async function writeLargeOnnx(path: string, layers = LAYERS): Promise<void> {
  const chain = names.slice(0, layers);
  const heads = chain.map((name) => {
    const tensor = new BinaryWriter();
    for (const dim of [WIDTH, WIDTH]) tensor.tag(1, WireType.Varint).int64(dim);
    tensor.tag(2, WireType.Varint).int32(1); // data_type: FLOAT
    tensor.tag(8, WireType.LengthDelimited).string(name);
    tensor.tag(9, WireType.LengthDelimited).uint32(TENSOR_BYTES); // raw_data follows
    const head = tensor.finish();
    return prefixed(5, head.byteLength + TENSOR_BYTES, head); // GraphProto.initializer
  });
  const rest = graphAroundInitializers(chain);
  const graphBytes = heads.reduce((sum, head) => sum + head.byteLength + TENSOR_BYTES, rest.byteLength);
  const model = new BinaryWriter();
  model.tag(1, WireType.Varint).int64(8); // ir_version
  const opset = new BinaryWriter().tag(2, WireType.Varint).int64(16).finish();
  model.tag(8, WireType.LengthDelimited).bytes(opset); // opset_import
  await using file = await open(path, 'w');
  await file.write(prefixed(7, graphBytes, rest, model.finish()));
  for (const [i, head] of heads.entries()) {
    await file.write(head);
    await writeWeights(file, i);
  }
}

/** `before`, then the tag and length of a field, then the part of its content that is at hand. */
function prefixed(
  field: number,
  byteLength: number,
  content: Uint8Array,
  before = new Uint8Array(),
): Uint8Array {
  const tag = new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(byteLength).finish();
  return Buffer.concat([before, tag, content]);
}

/** GraphProto's nodes, name, input and output. */
function graphAroundInitializers(chain: readonly string[]): Uint8Array {
  const graph = new BinaryWriter();
  for (const [i, name] of chain.entries()) {
    const node = new BinaryWriter();
    for (const input of [i === 0 ? 'input' : `value${i}`, name])
      node.tag(1, WireType.LengthDelimited).string(input);
    node.tag(2, WireType.LengthDelimited).string(i === chain.length - 1 ? 'output' : `value${i + 1}`);
    node.tag(4, WireType.LengthDelimited).string('MatMul');
    graph.tag(1, WireType.LengthDelimited).bytes(node.finish());
  }
  graph.tag(2, WireType.LengthDelimited).string('chain');
  graph.tag(11, WireType.LengthDelimited).bytes(valueInfo('input'));
  graph.tag(12, WireType.LengthDelimited).bytes(valueInfo('output'));
  return graph.finish();
}

/** A float tensor `[1, WIDTH]`: ValueInfoProto { name, type { tensor_type { elem_type, shape { dim { dim_value } } } } }. */
function valueInfo(name: string): Uint8Array {
  const message = (field: number, content: Uint8Array) =>
    new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(content).finish();
  const dim = (value: number) => message(1, new BinaryWriter().tag(1, WireType.Varint).int64(value).finish());
  const elementType = new BinaryWriter().tag(1, WireType.Varint).int32(1).finish();
  const shape = message(2, Buffer.concat([dim(1), dim(WIDTH)]));
  const nameField = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name).finish();
  return Buffer.concat([nameField, message(2, message(1, Buffer.concat([elementType, shape])))]);
}

const weights = new Float32Array(WIDTH * 256);

async function writeWeights(file: FileHandle, layer: number): Promise<void> {
  const fill = createGaussian(layer + 1);
  for (let written = 0; written < TENSOR_BYTES; written += weights.byteLength) {
    fill(weights);
    await file.write(new Uint8Array(weights.buffer));
  }
}
