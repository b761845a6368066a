import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  ModelProtoSchema,
  type NodeProto,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
} from '../src/formats/onnx/onnx-schema.ts';
import { floats, integers, node, value } from '../test/models/build-model.ts';
import { runnableModel } from '../test/models/runtime-model.ts';
import { createGaussian } from './gaussian.ts';

const LAYERS = 24;
const WIDTH = 1024;
const HEADS = 16;
const VOCABULARY = 16_384;
const POSITIONS = 1024;
/** Elements written at a time. */
const CHUNK = 2 ** 20;
const WEIGHTS_FILE = 'gpt.weights';

/** The files of a GPT-like model of 320 million random weights: `gpt.onnx`, and its weights as external data. */
export async function writeGpt(directory: string): Promise<string[]> {
  const tensors: TensorProto[] = [];
  const sizes: number[] = [];
  let offset = 0;
  const weight = (name: string, ...shape: number[]): string => {
    const count = shape.reduce((product, size) => product * size, 1);
    const entries = { location: WEIGHTS_FILE, offset, length: 4 * count };
    tensors.push(
      create(TensorProtoSchema, {
        name,
        dims: shape.map(BigInt),
        dataType: TensorProto_DataType.FLOAT,
        dataLocation: TensorProto_DataLocation.EXTERNAL,
        externalData: Object.entries(entries).map(([key, entry]) =>
          create(StringStringEntryProtoSchema, { key, value: `${entry}` }),
        ),
      }),
    );
    sizes.push(count);
    offset += 4 * count;
    return name;
  };
  const nodes = [
    node('Gather', [weight('wte', VOCABULARY, WIDTH), 'input_ids'], ['tokens']),
    node('Shape', ['input_ids'], ['length'], { start: 1, end: 2 }),
    node('Slice', [weight('wpe', POSITIONS, WIDTH), 'zero', 'length', 'zero'], ['places']),
    node('Add', ['tokens', 'places'], ['x0']),
    ...Array.from({ length: LAYERS }, (_, layer) => block(layer, weight)).flat(),
    norm(`x${2 * LAYERS}`, 'ln_f', 'last', weight),
    node('MatMul', ['last', weight('lm_head', WIDTH, VOCABULARY)], ['logits']),
  ];
  const model = runnableModel({
    inputs: [value('input_ids', ['batch', 'sequence'], 'INT64')],
    outputs: [value('logits', ['batch', 'sequence', VOCABULARY])],
    nodes,
    initializers: [
      ...tensors,
      integers('zero', [0]),
      integers('heads', [0, 0, HEADS, WIDTH / HEADS]),
      integers('joined', [0, 0, WIDTH]),
      scalar('scale', Math.sqrt(WIDTH / HEADS)),
      scalar('root_of_two', Math.SQRT2),
      scalar('one', 1),
      scalar('half', 0.5),
    ],
  });
  await writeFile(join(directory, 'gpt.onnx'), toBinary(ModelProtoSchema, model));
  await writeWeights(join(directory, WEIGHTS_FILE), sizes);
  return ['gpt.onnx', WEIGHTS_FILE];
}

type Weight = (name: string, ...shape: number[]) => string;

/** Attention and MLP of GPT-2, both added to what came in. */
function block(layer: number, weight: Weight): NodeProto[] {
  const at = (name: string) => `h.${layer}.${name}`;
  const [before, between, after] = [`x${2 * layer}`, `x${2 * layer + 1}`, `x${2 * layer + 2}`];
  const linear = (input: string, name: string, outputs: number, inputs: number, output: string) => [
    node('MatMul', [input, weight(at(`${name}.weight`), inputs, outputs)], [`${output}.product`]),
    node('Add', [`${output}.product`, weight(at(`${name}.bias`), outputs)], [output]),
  ];
  return [
    norm(before, at('ln_1'), at('n1'), weight),
    ...linear(at('n1'), 'attn.c_attn', 3 * WIDTH, WIDTH, at('qkv')),
    node('Split', [at('qkv')], [at('q'), at('k'), at('v')], { axis: 2 }),
    ...['q', 'k', 'v'].flatMap((part) => [
      node('Reshape', [at(part), 'heads'], [at(`${part}.parted`)]),
      node('Transpose', [at(`${part}.parted`)], [at(`${part}.heads`)], {
        perm: part === 'k' ? [0, 2, 3, 1] : [0, 2, 1, 3],
      }),
    ]),
    node('MatMul', [at('q.heads'), at('k.heads')], [at('products')]),
    node('Div', [at('products'), 'scale'], [at('scores')]),
    node('Softmax', [at('scores')], [at('shares')]),
    node('MatMul', [at('shares'), at('v.heads')], [at('mixed')]),
    node('Transpose', [at('mixed')], [at('turned')], { perm: [0, 2, 1, 3] }),
    node('Reshape', [at('turned'), 'joined'], [at('flat')]),
    ...linear(at('flat'), 'attn.c_proj', WIDTH, WIDTH, at('attended')),
    node('Add', [before, at('attended')], [between]),
    norm(between, at('ln_2'), at('n2'), weight),
    ...linear(at('n2'), 'mlp.c_fc', 4 * WIDTH, WIDTH, at('wide')),
    node('Div', [at('wide'), 'root_of_two'], [at('scaled')]),
    node('Erf', [at('scaled')], [at('erf')]),
    node('Add', [at('erf'), 'one'], [at('gate')]),
    node('Mul', [at('wide'), at('gate')], [at('doubled')]),
    node('Mul', [at('doubled'), 'half'], [at('active')]),
    ...linear(at('active'), 'mlp.c_proj', WIDTH, 4 * WIDTH, at('narrow')),
    node('Add', [between, at('narrow')], [after]),
  ];
}

function norm(input: string, name: string, output: string, weight: Weight): NodeProto {
  const parameters = [weight(`${name}.weight`, WIDTH), weight(`${name}.bias`, WIDTH)];
  return node('LayerNormalization', [input, ...parameters], [output]);
}

function scalar(name: string, number: number): TensorProto {
  return { ...floats(name, []), rawData: new Uint8Array(Float32Array.of(number).buffer) };
}

async function writeWeights(path: string, sizes: readonly number[]): Promise<void> {
  const fill = createGaussian(7);
  const numbers = new Float32Array(CHUNK);
  await using file = await open(path, 'w');
  for (const size of sizes) {
    for (let left = size; left > 0; left -= CHUNK) {
      const chunk = numbers.subarray(0, Math.min(CHUNK, left));
      fill(chunk);
      for (let i = 0; i < chunk.length; i++) chunk[i] *= 0.02;
      await file.write(chunk);
    }
  }
}
