import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Fetched } from '../../src/formats/numbers.ts';
import type { NodeProto, TensorProto } from '../../src/formats/onnx/onnx-schema.ts';
import type { ArrayFile, GivenSamples } from '../../src/formats/sample-set.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { testFolder } from '../criteria/run-criterion.ts';
import { elements, encode, floats, integers, node, tensor, value } from '../models/build-model.ts';
import { runnableModel } from '../models/runtime-model.ts';
import { gaussians } from '../models/small-model.ts';
import { writeArray } from './samples.ts';

type Numbers = Float32Array | BigInt64Array;

/** An array as a client gives it. */
export interface GivenArray {
  readonly shape: number[];
  readonly numbers: Numbers;
}

/** A model whose inputs are not all `[samples, ...]`, arrays for it, and what one sample of it is, told by hand. */
export interface FedModel {
  readonly inputs: Parameters<typeof value>[];
  readonly outputs: Parameters<typeof value>[];
  readonly nodes: NodeProto[];
  readonly initializers: TensorProto[];
  readonly given: Readonly<Record<string, GivenArray>>;
  readonly constants?: Readonly<Record<string, GivenArray>>;
  readonly labels: GivenArray;
  readonly nSamples: number;
  /** The inputs that count samples on another axis than 0, and those (null) that get one sample alone, or the same always. */
  readonly axes?: Readonly<Record<string, number | null>>;
  /** The same for all samples. */
  readonly shared?: readonly string[];
  /** Axis of the output `y`, null where it has none; of the labels, 0 unless given. */
  readonly outputAxis?: number | null;
  readonly labelAxis?: number;
  /** Weights, and the value that each multiplies. */
  readonly weights: Readonly<Record<string, string>>;
}

export function normals(shape: number[], seed: number): GivenArray {
  return { shape, numbers: gaussians(elements(shape), seed) };
}

export function ids(shape: number[], below: number, seed = 1): GivenArray {
  const numbers = BigInt64Array.from({ length: elements(shape) }, (_, i) =>
    BigInt((i * 7 + seed * 3 + (i >> 2)) % below),
  );
  return { shape, numbers };
}

export const ones = (shape: number[]): GivenArray => ({
  shape,
  numbers: new BigInt64Array(elements(shape)).fill(1n),
});

const weight = (name: string, shape: number[], seed: number) =>
  tensor(
    name,
    shape,
    gaussians(elements(shape), seed).map((x) => x / 3),
  );

const N = 6;

/** `x [batch, 5, 10]` beside `state [2, batch, 16]`, as recurrent layers have it. */
export function stateModel(change: Partial<FedModel> = {}, batch: number | string = 'batch'): FedModel {
  return {
    inputs: [
      ['x', [batch, 5, 10]],
      ['state', [2, batch, 16]],
    ],
    outputs: [
      ['y', [batch, 4]],
      ['next', [2, batch, 16]],
    ],
    nodes: [
      node('ReduceMean', ['x'], ['m'], { axes: [1], keepdims: 0 }),
      node('MatMul', ['m', 'w1'], ['a']),
      node('Gather', ['state', 'second'], ['h'], { axis: 0 }),
      node('MatMul', ['h', 'w2'], ['b']),
      node('Add', ['a', 'b'], ['c']),
      node('Tanh', ['c'], ['d']),
      node('MatMul', ['d', 'w3'], ['y']),
      node('Neg', ['state'], ['next']),
    ],
    initializers: [
      weight('w1', [10, 12], 1),
      weight('w2', [16, 12], 2),
      weight('w3', [12, 4], 3),
      integers('second', [1], []),
    ],
    given: { x: normals([N, 5, 10], 4), state: normals([2, N, 16], 5) },
    labels: ids([N], 4),
    nSamples: N,
    axes: { state: 1 },
    weights: { w1: 'm', w2: 'h', w3: 'd' },
    ...change,
  };
}

/** The same with a sample rate `sr []`, as voice detectors have it. */
export function rateModel(change: Partial<FedModel> = {}): FedModel {
  const base = stateModel();
  return {
    ...base,
    inputs: [...base.inputs, ['sr', [], 'INT64']],
    nodes: [
      node('Cast', ['sr'], ['f'], { to: 1 }),
      node('Div', ['f', 'k'], ['g']),
      node('Mul', ['x', 'g'], ['xs']),
      ...base.nodes.map((each, i) =>
        i === 0 ? node('ReduceMean', ['xs'], ['m'], { axes: [1], keepdims: 0 }) : each,
      ),
    ],
    initializers: [...base.initializers, tensor('k', [], Float32Array.of(8000))],
    given: { ...base.given, sr: { shape: [], numbers: BigInt64Array.of(16000n) } },
    shared: ['sr'],
    axes: { ...base.axes, sr: null },
    ...change,
  };
}

/** Steps of a sequence before the samples: `x [steps, batch, 8]`, and so `y [steps, batch, 4]`. */
export function timeMajorModel(change: Partial<FedModel> = {}): FedModel {
  return {
    inputs: [['x', ['steps', 'batch', 8]]],
    outputs: [['y', ['steps', 'batch', 4]]],
    nodes: [
      node('MatMul', ['x', 'w1'], ['a']),
      node('Relu', ['a'], ['r']),
      node('MatMul', ['r', 'w2'], ['y']),
    ],
    initializers: [weight('w1', [8, 12], 1), weight('w2', [12, 4], 2)],
    given: { x: normals([3, N, 8], 4) },
    labels: ids([3, N], 4),
    nSamples: N,
    axes: { x: 1 },
    outputAxis: 1,
    labelAxis: 1,
    weights: { w1: 'x', w2: 'r' },
    ...change,
  };
}

/** Of each sample the first `lengths` steps count. */
export function lengthsModel(change: Partial<FedModel> = {}): FedModel {
  return {
    inputs: [
      ['x', ['batch', 'steps', 8]],
      ['lengths', ['batch'], 'INT64'],
    ],
    outputs: [['y', ['batch', 4]]],
    nodes: [
      node('Shape', ['x'], ['shape']),
      node('Gather', ['shape', 'second'], ['steps']),
      node('Range', ['zero', 'steps', 'second'], ['positions']),
      node('Unsqueeze', ['lengths', 'last'], ['l']),
      node('Less', ['positions', 'l'], ['counts']),
      node('Cast', ['counts'], ['f'], { to: 1 }),
      node('Unsqueeze', ['f', 'last'], ['mask']),
      node('MatMul', ['x', 'w1'], ['a']),
      node('Relu', ['a'], ['r']),
      node('Mul', ['r', 'mask'], ['masked']),
      node('ReduceMean', ['masked'], ['m'], { axes: [1], keepdims: 0 }),
      node('MatMul', ['m', 'w2'], ['y']),
    ],
    initializers: [
      weight('w1', [8, 12], 1),
      weight('w2', [12, 4], 2),
      integers('second', [1], []),
      integers('zero', [0], []),
      integers('last', [-1]),
    ],
    given: {
      x: normals([N, 5, 8], 4),
      lengths: { shape: [N], numbers: BigInt64Array.of(5n, 4n, 3n, 5n, 2n, 1n) },
    },
    labels: ids([N], 4),
    nSamples: N,
    weights: { w1: 'x', w2: 'm' },
    ...change,
  };
}

/** A constant state of one sample is joined to what open axes let in: one sample at a time alone works. */
export function oneAtATimeModel(change: Partial<FedModel> = {}): FedModel {
  return {
    inputs: [['x', ['N', 5, 10]]],
    outputs: [['y', ['N', 8, 4]]],
    nodes: [
      node('MatMul', ['x', 'w1'], ['a']),
      node('Relu', ['a'], ['b']),
      node('Concat', ['b', 'state'], ['c'], { axis: 1 }),
      node('MatMul', ['c', 'w2'], ['y']),
    ],
    initializers: [weight('w1', [10, 32], 1), floats('state', [1, 3, 32]), weight('w2', [32, 4], 2)],
    given: { x: normals([N, 5, 10], 4) },
    labels: ids([N, 8], 4),
    nSamples: N,
    weights: { w1: 'x', w2: 'c' },
    ...change,
  };
}

/** What was exported on one sample: several are taken for one of as many steps, whose mean is added to each. */
export function mergingModel(): FedModel {
  const base = oneAtATimeModel();
  return {
    ...base,
    outputs: [['y', ['N', 'steps', 4]]],
    nodes: [
      node('MatMul', ['x', 'w1'], ['a']),
      node('Reshape', ['a', 'shape'], ['b']),
      node('ReduceMean', ['b'], ['mean'], { axes: [1] }),
      node('Sub', ['b', 'mean'], ['s']),
      node('Tanh', ['s'], ['c']),
      node('MatMul', ['c', 'w2'], ['y']),
    ],
    initializers: [...base.initializers, integers('shape', [1, -1, 32])],
    labels: ids([N, 5], 4),
  };
}

/** No axis counts samples: one picture `[3, height, width]`, one row of classes. */
export function unbatchedModel(change: Partial<FedModel> = {}): FedModel {
  return {
    inputs: [['x', [3, 'height', 'width']]],
    outputs: [['y', [4]]],
    nodes: [
      node('ReduceMean', ['x'], ['m'], { axes: [2], keepdims: 0 }),
      node('Transpose', ['m'], ['t'], { perm: [1, 0] }),
      node('MatMul', ['t', 'w1'], ['a']),
      node('Relu', ['a'], ['r']),
      node('MatMul', ['r', 'w2'], ['z']),
      node('ReduceMean', ['z'], ['y'], { axes: [0], keepdims: 0 }),
    ],
    initializers: [weight('w1', [3, 12], 1), weight('w2', [12, 4], 2)],
    given: { x: normals([N, 3, 6, 7], 4) },
    labels: ids([N], 4),
    nSamples: N,
    axes: { x: null },
    outputAxis: null,
    weights: { w1: 't', w2: 'r' },
    ...change,
  };
}

/** One layer of a decoder with a cache: `total` names the last axis of the mask, `''` for none. */
export function decoderModel(
  names: readonly [batch: string, sequence: string, past: string, total: string],
  change: Partial<FedModel> = {},
): FedModel {
  const [batch, sequence, past, total] = names;
  const [P, S] = [4, 3];
  const split = (from: string, to: string) => [
    node('Reshape', [from, 'heads'], [`${from}4`]),
    node('Transpose', [`${from}4`], [to], { perm: [0, 2, 1, 3] }),
  ];
  return {
    inputs: [
      ['input_ids', [batch, sequence], 'INT64'],
      ['attention_mask', [batch, total], 'INT64'],
      ['position_ids', [batch, sequence], 'INT64'],
      ['past_key_values.0.key', [batch, 2, past, 4]],
      ['past_key_values.0.value', [batch, 2, past, 4]],
    ],
    outputs: [
      ['y', [batch, sequence, 9]],
      ['present.key', [batch, 2, 'p', 4]],
    ],
    nodes: [
      node('Gather', ['words', 'input_ids'], ['e1']),
      node('Gather', ['places', 'position_ids'], ['e2']),
      node('Add', ['e1', 'e2'], ['x']),
      node('MatMul', ['x', 'wq'], ['q']),
      node('MatMul', ['x', 'wk'], ['k']),
      node('MatMul', ['x', 'wv'], ['v']),
      ...split('q', 'qh'),
      ...split('k', 'kh'),
      ...split('v', 'vh'),
      node('Concat', ['past_key_values.0.key', 'kh'], ['present.key'], { axis: 2 }),
      node('Concat', ['past_key_values.0.value', 'vh'], ['values'], { axis: 2 }),
      node('Transpose', ['present.key'], ['kT'], { perm: [0, 1, 3, 2] }),
      node('MatMul', ['qh', 'kT'], ['scores']),
      node('Cast', ['attention_mask'], ['f'], { to: 1 }),
      node('Sub', ['f', 'one'], ['away']),
      node('Mul', ['away', 'much'], ['bias']),
      node('Unsqueeze', ['bias', 'two'], ['bias4']),
      node('Add', ['scores', 'bias4'], ['masked']),
      node('Softmax', ['masked'], ['p'], { axis: -1 }),
      node('MatMul', ['p', 'values'], ['o']),
      node('Transpose', ['o'], ['ot'], { perm: [0, 2, 1, 3] }),
      node('Reshape', ['ot', 'joined'], ['oo']),
      node('MatMul', ['oo', 'wo'], ['attended']),
      node('Add', ['attended', 'x'], ['r']),
      node('MatMul', ['r', 'w1'], ['up']),
      node('Relu', ['up'], ['act']),
      node('MatMul', ['act', 'w2'], ['y']),
    ],
    initializers: [
      weight('words', [9, 8], 1),
      weight('places', [16, 8], 2),
      ...['wq', 'wk', 'wv', 'wo'].map((name, i) => weight(name, [8, 8], 3 + i)),
      weight('w1', [8, 16], 7),
      weight('w2', [16, 9], 8),
      integers('heads', [0, 0, 2, 4]),
      integers('joined', [0, 0, 8]),
      integers('two', [1, 2]),
      tensor('one', [], Float32Array.of(1)),
      tensor('much', [], Float32Array.of(1000)),
    ],
    given: {
      input_ids: ids([N, S], 9),
      attention_mask: {
        shape: [N, P + S],
        numbers: BigInt64Array.from({ length: N * (P + S) }, (_, i) => (i % (P + S) < i % 3 ? 0n : 1n)),
      },
      position_ids: ids([N, S], 16),
      'past_key_values.0.key': normals([N, 2, P, 4], 9),
      'past_key_values.0.value': normals([N, 2, P, 4], 10),
    },
    labels: ids([N, S], 9, 2),
    nSamples: N,
    weights: { w1: 'r', w2: 'act', wo: 'oo' },
    ...change,
  };
}

/** Writes a model, `weights` in place of those that it has, with inner values as more outputs. */
export function bytesOf(
  { inputs, outputs, nodes, initializers }: FedModel,
  more: readonly string[] = [],
): Uint8Array<ArrayBuffer> {
  return encode(
    runnableModel({
      inputs: inputs.map((input) => value(...input)),
      nodes,
      outputs: [...outputs, ...more.map((name): Parameters<typeof value> => [name, []])].map(
        ([name, dims, dtype]) => {
          const declared = value(name, dims, dtype);
          if (more.includes(name)) delete (declared as { type?: unknown }).type;
          return declared;
        },
      ),
      initializers,
    }),
  );
}

/** The model in a folder of the test, and the arrays as files there. */
export async function store(t: TestContext, fed: FedModel) {
  const directory = await testFolder(t);
  await writeFile(join(directory, 'model.onnx'), bytesOf(fed));
  const write = async (part: string, arrays: Readonly<Record<string, GivenArray>>) => {
    const files: ArrayFile[] = [];
    for (const [i, [name, { shape, numbers }]] of Object.entries(arrays).entries()) {
      const dtype = numbers instanceof BigInt64Array ? 'int64' : 'float32';
      files.push({ ...(await writeArray(directory, `${part}${i}`, dtype, shape, numbers, 7 * i)), name });
    }
    return files;
  };
  const given: GivenSamples = {
    inputs: await write('inputs', fed.given),
    constants: await write('constants', fed.constants ?? {}),
    labels: (await write('labels', { labels: fed.labels }))[0],
  };
  return { directory, model: await readStoredModel(directory, ['model.onnx']), given };
}

/** Position `at` of an axis of an array, which stays unless `isDropped`. */
export function sliceOf(
  { shape, numbers }: GivenArray,
  axis: number,
  at: number,
  isDropped = false,
): GivenArray {
  const inner = elements(shape.slice(axis + 1));
  const kept = [...numbers.keys()].filter((i) => Math.floor(i / inner) % shape[axis] === at);
  const values = kept.map((i) => numbers[i]);
  return {
    shape: isDropped ? shape.toSpliced(axis, 1) : shape.with(axis, 1),
    numbers:
      numbers instanceof BigInt64Array
        ? BigInt64Array.from(values as bigint[])
        : Float32Array.from(values as number[]),
  };
}

/** What the model is fed for one sample, by hand. */
export function feedsOf(fed: FedModel, sample: number): Map<string, Fetched> {
  const arrays = { ...fed.given, ...fed.constants };
  return new Map(
    Object.entries(arrays).map(([name, array]): [string, Fetched] => {
      const axis = fed.axes?.[name] === undefined ? 0 : fed.axes[name];
      const rank = fed.inputs.find(([input]) => input === name)?.[1].length;
      const single = array.shape.length === rank ? array : { ...array, shape: [1] };
      const { shape, numbers } = fed.shared?.includes(name)
        ? single
        : sliceOf(array, axis ?? 0, sample, axis === null);
      const dtype = numbers instanceof BigInt64Array ? 'int64' : 'float32';
      return [name, { dtype, shape, data: numbers as Float32Array }];
    }),
  );
}
