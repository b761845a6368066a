import { create, fromBinary } from '@bufbuild/protobuf';
import {
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  OperatorSetIdProtoSchema,
  type TensorProto,
} from '../../src/formats/onnx/onnx-schema.ts';
import { elements, node, tensor } from './build-model.ts';
import {
  drawNumbers,
  drawScales,
  type QuantizedFormat,
  quantizedTensor,
  unpack,
} from './quantized-numbers.ts';
import { build } from './traced-model.ts';

/** A layer whose weights are stored quantized, and how its numbers are told from its bytes. */
interface QuantizedLayer {
  readonly nodes: readonly NodeProto[];
  readonly initializers: readonly TensorProto[];
  /** Shape of the weights that are stood for: `[in, out]`, or `[out, in]` where `isTurned`. */
  readonly dims: readonly number[];
  readonly isTurned: boolean;
  /** The weights that these stored bytes stand for. */
  dequantize(bytes: Uint8Array): Float32Array<ArrayBuffer>;
}

/** One way to store a layer's weights. */
export interface QuantizedForm {
  readonly name: string;
  readonly opset: number;
  layer(name: string, input: string, output: string, size: readonly [number, number]): QuantizedLayer;
}

/** Inputs and outputs of two layers: no multiples of a block, nor of each other. */
const SIZES = [
  ['w1', 'x', 'h', [40, 19]],
  ['w2', 'r', 'y', [19, 7]],
] as const;

/** `relu(x w1) w2` with weights in a form, and the same of floats. */
export function quantizedPair(form: QuantizedForm) {
  const layers = SIZES.map(([name, input, output, size]) => ({
    name,
    layer: form.layer(name, input, output, size),
  }));
  const relu = node('Relu', ['h'], ['r']);
  const inputs: [string, (number | string)[]][] = [['x', ['batch', 40]]];
  const parts = { inputs, opset: form.opset, outputs: ['y'] };
  const [first, second] = layers.map(({ layer }) => layer);
  const quantized = build({
    ...parts,
    nodes: [...first.nodes, relu, ...second.nodes],
    initializers: [...first.initializers, ...second.initializers],
  });
  quantized.irVersion = 10n;
  quantized.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: 'com.microsoft', version: 1n }));
  const floats = layers.map(({ name, layer }) => {
    const stored = layer.initializers.find((each) => each.name === name);
    return tensor(name, layer.dims, layer.dequantize(bytesOf(stored)));
  });
  const [one, two] = SIZES.map(([name, input, output], i) =>
    node('Gemm', [input, name], [output], { transB: Number(layers[i].layer.isTurned) }),
  );
  const dense = build({ ...parts, nodes: [one, relu, two], initializers: floats });
  return { quantized, dense, layers };
}

/** The bytes of a stored tensor, of a list of varints those of its numbers. */
export function bytesOf(stored: TensorProto | undefined): Uint8Array {
  if (!stored) throw new TypeError('no such tensor');
  const { rawData, int32Data, dataType } = stored;
  if (rawData.byteLength > 0) return rawData;
  const isWide = dataType === 5 || dataType === 4; // int16, uint16
  return isWide ? new Uint8Array(Int16Array.from(int32Data).buffer) : Uint8Array.from(int32Data);
}

export function tensorIn(bytes: Uint8Array, name: string): TensorProto {
  const { graph }: ModelProto = fromBinary(ModelProtoSchema, bytes);
  const found = graph?.initializer.find((each) => each.name === name);
  if (!found) throw new TypeError(`no ${name}`);
  return found;
}

interface QdqOptions {
  readonly format: QuantizedFormat;
  /** `tensor`, an axis that has a scale for each position, or with `block` for so many. */
  readonly along: 'tensor' | 0 | 1;
  readonly block?: number;
  readonly hasZeroPoints: boolean;
  readonly encoding?: 'raw' | 'varint';
}

/** DequantizeLinear on stored numbers before a MatMul. */
export function qdq(name: string, opset: number, options: QdqOptions): QuantizedForm {
  return {
    name,
    opset,
    layer(weight, input, output, dims) {
      const stored = storedWeights(weight, dims, options);
      const { along, block = 0 } = options;
      const attributes = along === 'tensor' ? {} : { axis: along, ...(block > 0 && { block_size: block }) };
      const parameters = [`${weight}_scale`, ...(options.hasZeroPoints ? [`${weight}_zero`] : [])];
      return {
        ...stored,
        dims,
        isTurned: false,
        nodes: [
          node('DequantizeLinear', [weight, ...parameters], [`${weight}_float`], attributes),
          node('MatMul', [input, `${weight}_float`], [output]),
        ],
      };
    },
  };
}

/** Numbers, scales and zero points of a matrix, and what they stand for. */
export function storedWeights(
  name: string,
  dims: readonly [number, number],
  { format, along, block = 1, hasZeroPoints, encoding = 'raw' }: QdqOptions,
): Pick<QuantizedLayer, 'initializers' | 'dequantize'> {
  const seed = name.charCodeAt(1);
  const isBlocked = along !== 'tensor' && block > 1;
  const blocks = dims.map((size, axis) => (axis === along ? Math.ceil(size / block) : isBlocked ? size : 1));
  const count = along === 'tensor' ? 1 : elements(blocks);
  const shape = along === 'tensor' ? [] : isBlocked ? blocks : [count];
  const scales = drawScales(count, seed);
  // Of varints only those are written over that zero fits into.
  const zeros = drawNumbers(
    encoding === 'varint' ? { ...format, bits: 4, least: 0 } : format,
    [count],
    seed + 1,
  );
  const zeroOf = (index: number) => (hasZeroPoints ? zeros[index] : 0);
  const indexOf = (row: number, column: number) => {
    if (along === 'tensor') return 0;
    const position = Math.floor((along === 0 ? row : column) / block);
    if (!isBlocked) return position;
    return along === 0 ? position * dims[1] + column : row * blocks[1] + position;
  };
  return {
    initializers: [
      quantizedTensor(name, format, dims, drawNumbers(format, dims, seed + 2), encoding),
      tensor(`${name}_scale`, shape, new Float32Array(scales)),
      ...(hasZeroPoints ? [quantizedTensor(`${name}_zero`, format, shape, zeros, encoding)] : []),
    ],
    dequantize: (bytes) =>
      Float32Array.from(unpack(bytes, format, elements(dims)), (number, i) => {
        const index = indexOf(Math.floor(i / dims[1]), i % dims[1]);
        return (number - zeroOf(index)) * scales[index];
      }),
  };
}
