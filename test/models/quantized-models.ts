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
  FORMATS,
  pack,
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

/** Names and values of two layers. */
const LAYERS = [
  ['w1', 'x', 'h'],
  ['w2', 'r', 'y'],
] as const;

/** `relu(x w1) w2` of 40 inputs with weights in a form, and the same of floats. */
export function quantizedPair(form: QuantizedForm, hidden = 19) {
  const sizes: (readonly [number, number])[] = [
    [40, hidden],
    [hidden, 7],
  ];
  const layers = LAYERS.map(([name, input, output], i) => ({
    name,
    layer: form.layer(name, input, output, sizes[i]),
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
  const [one, two] = LAYERS.map(([name, input, output], i) =>
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

/** A scale and a zero point of activations, stored once a model as their names say. */
function activation(name: string): TensorProto[] {
  return [
    tensor(`${name}_scale`, [], Float32Array.of(0.05)),
    quantizedTensor(`${name}_zero`, FORMATS.uint8, [], [110]),
  ];
}

/** Between quantized activations, with a bias where the operator takes one. */
function betweenQuantized(
  weight: string,
  [input, output]: readonly [string, string],
  layer: (input: string, inputs: readonly string[], output: string) => NodeProto,
) {
  const [x, y] = [`${weight}_x`, `${weight}_y`];
  const parameters = [`${weight}_scale`, `${weight}_zero`];
  return {
    nodes: [
      node('QuantizeLinear', [input, `${x}_scale`, `${x}_zero`], [`${x}_q`]),
      layer(`${x}_q`, [`${x}_scale`, `${x}_zero`, weight, ...parameters], `${y}_q`),
      node('DequantizeLinear', [`${y}_q`, `${y}_scale`, `${y}_zero`], [output]),
    ],
    initializers: [...activation(x), ...activation(y)],
  };
}

const SIGNED: Omit<QdqOptions, 'along'> = { format: FORMATS.int8, hasZeroPoints: true };

/** QLinearMatMul, by tensor or with a scale a column. */
export function qLinearMatMul(along: 'tensor' | 1): QuantizedForm {
  return {
    name: `QLinearMatMul by ${along === 1 ? 'column' : along}`,
    opset: 17,
    layer(weight, input, output, dims) {
      const stored = storedWeights(weight, dims, { ...SIGNED, along });
      const { nodes, initializers } = betweenQuantized(weight, [input, output], (x, inputs, y) =>
        node('QLinearMatMul', [x, ...inputs, `${weight}_y_scale`, `${weight}_y_zero`], [y]),
      );
      return {
        ...stored,
        dims,
        isTurned: false,
        nodes,
        initializers: [...stored.initializers, ...initializers],
      };
    },
  };
}

/** QGemm with its weights turned, a scale a unit, and an int32 bias. */
export const qGemm: QuantizedForm = {
  name: 'QGemm',
  opset: 17,
  layer(weight, input, output, [rows, columns]) {
    const stored = storedWeights(weight, [columns, rows], { ...SIGNED, format: FORMATS.uint8, along: 0 });
    const bias = quantizedTensor(
      `${weight}_bias`,
      FORMATS.int32,
      [columns],
      Array.from({ length: columns }, (_, i) => 40 * (i - 3)),
    );
    const { nodes, initializers } = betweenQuantized(weight, [input, output], (x, inputs, y) =>
      node(
        'QGemm',
        [x, ...inputs, `${weight}_bias`, `${weight}_y_scale`, `${weight}_y_zero`],
        [y],
        { transB: 1 },
        'com.microsoft',
      ),
    );
    return {
      ...stored,
      dims: [columns, rows],
      isTurned: true,
      nodes,
      initializers: [...stored.initializers, bias, ...initializers],
    };
  },
};

/** MatMulInteger on activations that are quantized as they come, as quantize_dynamic writes it. */
export function matMulInteger(along: 'tensor' | 1): QuantizedForm {
  return {
    name: `MatMulInteger by ${along === 1 ? 'column' : along}`,
    opset: 17,
    layer(weight, input, output, dims) {
      const stored = storedWeights(weight, dims, { ...SIGNED, along });
      const of = (hint: string) => `${weight}_${hint}`;
      return {
        ...stored,
        dims,
        isTurned: false,
        nodes: [
          node('DynamicQuantizeLinear', [input], [of('q'), of('q_scale'), of('q_zero')]),
          node('MatMulInteger', [of('q'), weight, of('q_zero'), of('zero')], [of('product')]),
          node('Cast', [of('product')], [of('float')], { to: 1 }),
          node('Mul', [of('q_scale'), of('scale')], [of('scales')]),
          node('Mul', [of('float'), of('scales')], [output]),
        ],
      };
    },
  };
}

/** DynamicQuantizeMatMul, as onnxruntime fuses these. */
export const dynamicQuantizeMatMul: QuantizedForm = {
  name: 'DynamicQuantizeMatMul',
  opset: 17,
  layer(weight, input, output, dims) {
    const stored = storedWeights(weight, dims, { ...SIGNED, along: 1 });
    const inputs = [input, weight, `${weight}_scale`, `${weight}_zero`];
    const nodes = [node('DynamicQuantizeMatMul', inputs, [output], {}, 'com.microsoft')];
    return { ...stored, dims, isTurned: false, nodes };
  },
};

/** MatMulIntegerToFloat with a bias of floats. */
export const matMulIntegerToFloat: QuantizedForm = {
  name: 'MatMulIntegerToFloat',
  opset: 17,
  layer(weight, input, output, dims) {
    const stored = storedWeights(weight, dims, { ...SIGNED, along: 1 });
    const of = (hint: string) => `${weight}_${hint}`;
    const inputs = [of('q'), weight, of('q_scale'), of('scale'), of('q_zero'), of('zero'), of('bias')];
    return {
      ...stored,
      dims,
      isTurned: false,
      nodes: [
        node('DynamicQuantizeLinear', [input], [of('q'), of('q_scale'), of('q_zero')]),
        node('MatMulIntegerToFloat', inputs, [output], {}, 'com.microsoft'),
      ],
      initializers: [
        ...stored.initializers,
        tensor(of('bias'), [dims[1]], new Float32Array(drawScales(dims[1], 5))),
      ],
    };
  },
};

/** MatMulNBits: rows of blocks, each padded to bytes. */
export function matMulNBits(
  bits: 4 | 8,
  block: number,
  hasZeroPoints: boolean,
  isFlat = true,
): QuantizedForm {
  return {
    name: `MatMulNBits of ${bits} bits in blocks of ${block}${hasZeroPoints ? ', zero points' : ''}${isFlat ? '' : ' by row'}`,
    opset: 17,
    layer(weight, input, output, [rows, columns]) {
      const format = bits === 4 ? FORMATS.uint4 : FORMATS.uint8;
      const blocks = Math.ceil(rows / block);
      const dims = [columns, blocks, block];
      const seed = weight.charCodeAt(1);
      const scales = drawScales(columns * blocks, seed);
      const perRow = (Math.ceil((blocks * bits) / 8) * 8) / bits;
      const zeros = drawNumbers(format, [columns * perRow], seed + 1);
      const bytesPerRow = (perRow * bits) / 8;
      const { uint8 } = FORMATS;
      const packed = (name: string, shape: number[], numbers: number[]) =>
        quantizedTensor(name, uint8, shape, [...pack(numbers, bits)]);
      return {
        nodes: [
          node(
            'MatMulNBits',
            [input, weight, `${weight}_scale`, ...(hasZeroPoints ? [`${weight}_zero`] : [])],
            [output],
            { K: rows, N: columns, bits, block_size: block },
            'com.microsoft',
          ),
        ],
        initializers: [
          packed(weight, [columns, blocks, (block * bits) / 8], drawNumbers(format, dims, seed + 2)),
          tensor(
            `${weight}_scale`,
            isFlat ? [columns * blocks] : [columns, blocks],
            new Float32Array(scales),
          ),
          ...(hasZeroPoints
            ? [packed(`${weight}_zero`, isFlat ? [columns * bytesPerRow] : [columns, bytesPerRow], zeros)]
            : []),
        ],
        dims: [columns, rows],
        isTurned: true,
        dequantize: (bytes) => {
          const numbers = unpack(bytes, format, elements(dims));
          return Float32Array.from({ length: columns * rows }, (_, i) => {
            const [unit, feature] = [Math.floor(i / rows), i % rows];
            const at = Math.floor(feature / block);
            const zero = hasZeroPoints ? zeros[unit * perRow + at] : 2 ** (bits - 1);
            return (numbers[unit * blocks * block + feature] - zero) * scales[unit * blocks + at];
          });
        },
      };
    },
  };
}
