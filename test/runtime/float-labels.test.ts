import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { toBinary } from '@bufbuild/protobuf';
import { createGradientGraph } from '../../src/autodiff/gradient-graph.ts';
import { lossFeeds, setUpGradients } from '../../src/autodiff/gradient-setup.ts';
import { accumulateGradients } from '../../src/autodiff/gradients.ts';
import { writePrepared } from '../../src/autodiff/prepare.ts';
import {
  ModelProtoSchema,
  type NodeProto,
  TensorProto_DataType,
} from '../../src/formats/onnx/onnx-schema.ts';
import type { ArrayFile, SampleSet } from '../../src/formats/sample-set.ts';
import type { StoredModel } from '../../src/formats/stored-model.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { readBatches } from '../../src/runtime/batches.ts';
import { Evaluator } from '../../src/runtime/evaluation.ts';
import { openSession } from '../../src/runtime/session.ts';

import { modelFunction, node, value } from '../models/build-model.ts';
import { moveOut, runnableModel, storeModel, weights } from '../models/runtime-model.ts';

import { writeArray } from './samples.ts';

const CPU = { providers: ['cpu'], threads: 1 } as const;
const [FEATURES, OUTPUTS, SAMPLES] = [2, 3, 70];
/** Quarters, so that float32 and float16 products and sums are exact. */
const WEIGHTS = [0.5, -1, 0.25, 2, -0.75, 1];
const PRUNED = WEIGHTS.map((weight) => (Math.abs(weight) > 0.5 ? weight : 0));
const INPUT = Array.from({ length: SAMPLES * FEATURES }, (_, i) => (((i * 7919) % 23) - 11) / 4);

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-float-labels-'));
});
after(() => rm(directory, { recursive: true }));

interface Linear {
  readonly name?: string;
  readonly matrix?: readonly number[];
  /** From `z`, `x W`, to `y`. */
  readonly tail?: readonly NodeProto[];
  readonly dtype?: 'FLOAT16' | 'DOUBLE';
  /** Of the output, but for axis 0. */
  readonly shape?: readonly (number | string)[];
  readonly batch?: number | string;
}

const IDENTITY = [node('Identity', ['z'], ['y'])];
const SIGMOID = [node('Sigmoid', ['z'], ['y'])];

function linear(given: Linear = {}) {
  const { matrix = WEIGHTS, tail = IDENTITY, dtype, shape = [OUTPUTS], batch = 'n' } = given;
  return {
    inputs: [value('x', [batch, FEATURES], dtype)],
    nodes: [
      node('Cast', ['w'], ['v'], { to: TensorProto_DataType[dtype ?? 'FLOAT'] }),
      node('MatMul', ['x', 'v'], ['z']),
      ...tail,
    ],
    initializers: [weights('w', [FEATURES, matrix.length / FEATURES], matrix)],
    outputs: [value('y', [batch, ...shape], dtype)],
  };
}

const write = ({ name = 'model', ...given }: Linear = {}) => storeModel(directory, name, linear(given));

async function samplesOf(labels: ArrayFile, input = INPUT, dtype = 'float32'): Promise<SampleSet> {
  const array = { float16: Float16Array, float32: Float32Array, float64: Float64Array }[dtype]!;
  const nSamples = input.length / FEATURES;
  const x = await writeArray(directory, 'x', dtype, [nSamples, FEATURES], array.from(input));
  return { nSamples, inputs: [x], labels };
}

const floatsOf = (numbers: readonly number[], shape: readonly number[]) =>
  writeArray(directory, 'labels', 'float32', shape, Float32Array.from(numbers));

function open(model: StoredModel, samples: SampleSet): Promise<Evaluator> {
  return Evaluator.open({
    model,
    samples,
    scratchDirectory: directory,
    runtime: CPU,
    signal: new AbortController().signal,
    onSamples: () => {},
  });
}

/** `x W`, row-major. */
function products(matrix: readonly number[], input = INPUT): number[] {
  const columns = matrix.length / FEATURES;
  return Array.from({ length: (input.length / FEATURES) * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let f = 0; f < FEATURES; f++) sum += input[row * FEATURES + f] * matrix[f * columns + column];
    return sum;
  });
}

const mean = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0) / numbers.length;

/** Of the samples' means of `a - b`, `perSample` numbers each, those that are null left out. */
function pairedError(a: readonly (number | null)[], b: readonly (number | null)[], perSample: number) {
  const own: number[][] = [];
  for (let start = 0; start < a.length; start += perSample) {
    const places = Array.from({ length: perSample }, (_, i) => start + i).filter((i) => a[i] !== null);
    if (places.length > 0) own.push(places.map((i) => a[i]! - b[i]!));
  }
  const center = mean(own.flat());
  const squares = own.map((some) => some.reduce((sum, difference) => sum + difference - center, 0) ** 2);
  return Math.sqrt((mean(squares) * own.length ** 2) / (own.length - 1)) / own.flat().length;
}

function assertClose(actual: number | null, expected: number, tolerance = 1e-9): void {
  assert.ok(actual !== null, 'a number was expected');
  const difference = Math.abs(actual - expected);
  assert.ok(difference <= tolerance * Math.max(1, Math.abs(expected)), `${actual}, not ${expected}`);
}

/** Of one number, by the definition; null where it does not count. */
const binaryTerm = (z: number, t: number) => {
  if (t === -100) return null;
  const p = 1 / (1 + Math.exp(-z));
  return -t * Math.log(p) - (1 - t) * Math.log1p(-p);
};
const binaryHit = (z: number, t: number) => (t === -100 ? null : Number(z > 0 === t > 0.5));
const counted = (terms: readonly (number | null)[]) => terms.filter((term) => term !== null);

describe('squared errors', () => {
  const targets = Array.from({ length: SAMPLES * OUTPUTS }, (_, i) => ((i * 31) % 17) / 8 - 1).with(5, -100);
  const termsOf = (matrix: readonly number[]) => products(matrix).map((y, i) => (y - targets[i]) ** 2);

  for (const [dtype, array] of [
    ['float16', Float16Array],
    ['float32', Float32Array],
    ['float64', Float64Array],
  ] as const) {
    test(`of ${dtype} labels: their mean, -100 a number like others, no accuracy, paired errors`, async () => {
      const labels = await writeArray(directory, 'y', dtype, [SAMPLES, OUTPUTS], array.from(targets), 6);
      await using evaluator = await open(await write(), await samplesOf(labels));
      const [dense, pruned] = [termsOf(WEIGHTS), termsOf(PRUNED)];
      assertClose(evaluator.dense.loss, mean(dense));
      assert.deepEqual(
        [evaluator.lossKind, evaluator.dense.accuracy, evaluator.dense.perplexity, evaluator.nPositions],
        ['mean_squared_error', null, null, SAMPLES * OUTPUTS],
      );
      const measured = await evaluator.measure(await write({ name: 'pruned', matrix: PRUNED }));
      assertClose(measured.loss, mean(pruned));
      assertClose(measured.loss_increase_standard_error, pairedError(pruned, dense, OUTPUTS));
      assert.deepEqual([measured.accuracy, measured.accuracy_drop_standard_error], [null, null]);
      assert.equal((await evaluator.latency(await write())).batch_size, 64);
    });
  }

  test('of one number a sample, with or without an axis for it, and of several axes', async () => {
    const one = WEIGHTS.slice(0, FEATURES);
    const wanted = targets.slice(0, SAMPLES);
    const expected = mean(products(one).map((y, i) => (y - wanted[i]) ** 2));
    const squeeze = [
      node('Constant', [], ['axis'], { value_ints: [1] }),
      node('Squeeze', ['z', 'axis'], ['y']),
    ];
    for (const [model, shape] of [
      [{ matrix: one, shape: [1] }, [SAMPLES]],
      [{ matrix: one, shape: [1] }, [SAMPLES, 1]],
      [{ matrix: one, shape: [], tail: squeeze }, [SAMPLES]],
      [{ matrix: one, shape: [], tail: squeeze }, [SAMPLES, 1, 1]],
    ] as const) {
      await using evaluator = await open(await write(model), await samplesOf(await floatsOf(wanted, shape)));
      assertClose(evaluator.dense.loss, expected);
      assert.equal(evaluator.nPositions, SAMPLES);
    }
    const tail = [
      node('Constant', [], ['axes'], { value_ints: [1, 2] }),
      node('Unsqueeze', ['z', 'axes'], ['y']),
    ];
    const model = await write({ tail, shape: [1, 1, OUTPUTS] });
    await using evaluator = await open(
      model,
      await samplesOf(await floatsOf(targets, [SAMPLES, 1, 1, OUTPUTS])),
    );
    assertClose(evaluator.dense.loss, mean(termsOf(WEIGHTS)));
  });

  for (const dtype of ['FLOAT16', 'DOUBLE'] as const) {
    test(`of a ${dtype.toLowerCase()} model are the same`, async () => {
      const samples = await samplesOf(
        await floatsOf(targets, [SAMPLES, OUTPUTS]),
        INPUT,
        dtype === 'DOUBLE' ? 'float64' : 'float16',
      );
      await using evaluator = await open(await write({ dtype }), samples);
      assertClose(evaluator.dense.loss, mean(termsOf(WEIGHTS)));
    });
  }

  test('that are not finite after pruning: no loss, and still no accuracy', async () => {
    const samples = await samplesOf(await floatsOf(targets, [SAMPLES, OUTPUTS]));
    await using evaluator = await open(await write(), samples);
    const measured = await evaluator.measure(
      await write({ name: 'root', tail: [node('Sqrt', ['z'], ['y'])] }),
    );
    assert.deepEqual(
      [measured.loss, measured.accuracy, measured.loss_increase_standard_error],
      [null, null, null],
    );
  });
});

describe('binary cross-entropy', () => {
  const targets = Array.from({ length: SAMPLES * OUTPUTS }, (_, i) =>
    i % 11 === 3 ? -100 : [0, 1, 1, 0, 0.25][i % 5],
  );
  targets.fill(-100, 4 * OUTPUTS, 5 * OUTPUTS); // a sample that does not count at all

  test('of soft labels: its mean over what counts, hits by side of 0.5, paired errors', async () => {
    const samples = await samplesOf(await floatsOf(targets, [SAMPLES, OUTPUTS]));
    await using evaluator = await open(await write({ tail: SIGMOID }), samples);
    const of = (matrix: readonly number[]) => {
      const z = products(matrix);
      return {
        terms: z.map((logit, i) => binaryTerm(logit, targets[i])),
        hits: z.map((logit, i) => binaryHit(logit, targets[i])),
      };
    };
    const [dense, pruned] = [of(WEIGHTS), of(PRUNED)];
    assert.equal(evaluator.lossKind, 'binary_cross_entropy');
    assertClose(evaluator.dense.loss, mean(counted(dense.terms)));
    assertClose(evaluator.dense.accuracy, mean(counted(dense.hits)));
    assert.equal(evaluator.dense.perplexity, null);
    assert.equal(evaluator.nPositions, counted(dense.terms).length);
    const measured = await evaluator.measure(await write({ name: 'pruned', matrix: PRUNED, tail: SIGMOID }));
    assertClose(measured.loss, mean(counted(pruned.terms)));
    assertClose(measured.accuracy, mean(counted(pruned.hits)));
    assertClose(measured.loss_increase_standard_error, pairedError(pruned.terms, dense.terms, OUTPUTS));
    assertClose(measured.accuracy_drop_standard_error, pairedError(dense.hits, pruned.hits, OUTPUTS));
    assert.ok(!(await readdir(directory)).some((name) => name.startsWith('logits-')), 'copies stay');
  });

  test('of integers, of one column, of another float type and behind a reshape is the same', async () => {
    const one = [0.5, -1];
    const wanted = targets.slice(0, SAMPLES).map((t) => (t === 0.25 ? 0 : t));
    const expected = mean(counted(products(one).map((z, i) => binaryTerm(z, wanted[i]))));
    const behind = [
      node('Sigmoid', ['z'], ['p']),
      node('Constant', [], ['sizes'], { value_ints: [-1, 1] }),
      node('Reshape', ['p', 'sizes'], ['y']),
    ];
    for (const [tail, dtype, numbers, shape] of [
      [SIGMOID, 'int64', BigInt64Array.from(wanted, BigInt), [SAMPLES]],
      [SIGMOID, 'int8', Int8Array.from(wanted), [SAMPLES, 1]],
      [behind, 'float64', Float64Array.from(wanted), [SAMPLES]],
    ] as const) {
      const labels = await writeArray(directory, 'y', dtype, shape, numbers);
      await using evaluator = await open(
        await write({ matrix: one, tail, shape: [1] }),
        await samplesOf(labels),
      );
      assertClose(evaluator.dense.loss, expected);
    }
  });

  for (const [dtype, width] of [
    [undefined, 'float32'],
    ['FLOAT16', 'float16'],
    ['DOUBLE', 'float64'],
  ] as const) {
    test(`knows logits that a ${width} Sigmoid makes 0 or 1 of`, async () => {
      const input = [40, 0, 0, -40, 0, 40, 14, 16];
      const wanted = [0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1];
      const z = products(WEIGHTS, input);
      assert.ok(z.some((logit) => logit < -30) && z.some((logit) => logit > 30));
      const samples = await samplesOf(await floatsOf(wanted, [4, OUTPUTS]), input, width);
      await using evaluator = await open(await write({ tail: SIGMOID, ...(dtype && { dtype }) }), samples);
      const terms = z.map((logit, i) => (wanted[i] === 1 ? -logit : logit));
      assertClose(
        evaluator.dense.loss,
        mean(terms.map((wrong) => Math.max(wrong, 0) + Math.log1p(Math.exp(-Math.abs(wrong))))),
      );
    });
  }

  test('is found where a function of the model makes the Sigmoid, as in gradients', async () => {
    const proto = runnableModel(linear({ tail: [node('Squash', ['z'], ['y'], {}, 'local')] }));
    proto.functions = [modelFunction('Squash', ['a'], ['b'], [node('Sigmoid', ['a'], ['b'])])];
    proto.opsetImport.push({ ...proto.opsetImport[0], domain: 'local', version: 1n });
    const name = 'function.onnx';
    await writeFile(join(directory, name), toBinary(ModelProtoSchema, proto));
    const samples = await samplesOf(await floatsOf(targets, [SAMPLES, OUTPUTS]));
    await using evaluator = await open(await readStoredModel(directory, [name]), samples);
    assert.equal(evaluator.lossKind, 'binary_cross_entropy');
    assertClose(
      evaluator.dense.loss,
      mean(counted(products(WEIGHTS).map((z, i) => binaryTerm(z, targets[i])))),
    );
    const body = [node('Neg', ['a'], ['c']), node('Neg', ['c'], ['d']), node('Sigmoid', ['d'], ['b'])];
    proto.functions = [modelFunction('Squash', ['a'], ['b'], body)];
    await writeFile(join(directory, name), toBinary(ModelProtoSchema, proto));
    await assert.rejects(open(await readStoredModel(directory, [name]), samples), {
      code: 'unsupported_model',
      message: /computed in a function: export the model with functions inlined$/,
    });
  });

  test('reads the logits of a model with external data', async () => {
    const proto = runnableModel(linear({ tail: SIGMOID }));
    const folder = join(directory, 'external');
    await mkdir(join(folder, 'data'), { recursive: true });
    await writeFile(join(folder, 'data', 'w.bin'), moveOut(proto, 'data/w.bin'));
    await writeFile(join(folder, 'model.onnx'), toBinary(ModelProtoSchema, proto));
    const samples = await samplesOf(await floatsOf(targets, [SAMPLES, OUTPUTS]));
    await using evaluator = await open(await readStoredModel(folder, ['model.onnx', 'data/w.bin']), samples);
    assertClose(
      evaluator.dense.loss,
      mean(counted(products(WEIGHTS).map((z, i) => binaryTerm(z, targets[i])))),
    );
  });
});

describe('evaluation and gradients', () => {
  const contextOf = async (samples: SampleSet) => ({
    model: await readStoredModel(directory, ['model.onnx']),
    scratchDirectory: directory,
    samples: { ...samples, labels: samples.labels! },
    runtime: CPU,
    signal: new AbortController().signal,
    onSamples: () => {},
  });

  /** The mean that the graph of gradients computes. */
  async function lossInGradients(samples: SampleSet): Promise<{ kind: string; mean: number }> {
    const scratch = await mkdtemp(join(directory, 'prepared-'));
    const setup = await setUpGradients(await contextOf(samples), scratch);
    const { prepared, facts, output } = setup;
    const { proto, loss } = createGradientGraph(prepared, facts, output, samples.labels!, ['w']);
    await using session = await openSession(await writePrepared(prepared, proto, 'loss'), CPU);
    let [sum, count] = [0, 0];
    for await (const batch of readBatches(samples, 16, setup.context.signal)) {
      const results = await session.run(lossFeeds(batch, setup, loss), [loss.loss, loss.count]);
      sum += Number(results.get(loss.loss)?.data[0]);
      count += Number(results.get(loss.count)?.data[0]);
    }
    await rm(scratch, { recursive: true });
    return { kind: loss.kind, mean: sum / count };
  }

  const random = (count: number, seed: number) =>
    Array.from({ length: count }, (_, i) => Math.fround(Math.sin(i * 12.9898 + seed)));
  const input = random(SAMPLES * FEATURES, 1).map((number) => 9 * number);
  const ids = random(SAMPLES, 4).map((number) => (number > 0.8 ? -100 : number > 0 ? 2 : 0));
  const soft = random(SAMPLES * OUTPUTS, 2).map((number) => (number > 0.9 ? -100 : Math.abs(number)));
  const steep = input.map((number, i) => (i % 9 === 0 ? 20 * number : number));
  for (const [name, tail, labels, shape, x] of [
    ['class ids', IDENTITY, ids, [SAMPLES], input],
    ['class ids of a Softmax', [node('Softmax', ['z'], ['y'])], ids, [SAMPLES, 1], input],
    ['class ids of a Sigmoid', SIGMOID, ids, [SAMPLES], input],
    ['squared errors', IDENTITY, random(SAMPLES * OUTPUTS, 3), [SAMPLES, OUTPUTS], input],
    [
      'squared errors of probabilities',
      [node('Softmax', ['z'], ['y'])],
      random(SAMPLES * OUTPUTS, 3),
      [SAMPLES, OUTPUTS],
      input,
    ],
    ['binary cross-entropy', SIGMOID, soft, [SAMPLES, OUTPUTS], input],
    ['binary cross-entropy of saturated outputs', SIGMOID, soft, [SAMPLES, OUTPUTS], steep],
  ] as const) {
    test(`take the same loss: ${name}`, async () => {
      const samples = await samplesOf(await floatsOf(labels, shape), [...x]);
      const model = await write({ tail });
      const { kind, mean } = await lossInGradients(samples);
      await using evaluator = await open(model, samples);
      assert.equal(evaluator.lossKind, kind);
      assertClose(evaluator.dense.loss, mean, 2e-6);
    });
  }

  async function gradientOf(samples: SampleSet): Promise<Float64Array> {
    for await (const { values } of accumulateGradients(['w'], 'mean', await contextOf(samples)))
      return values;
    throw new Error('no gradient');
  }

  test('refuse the same labels, naming sample and place', async () => {
    const zeros = (shape: readonly number[]) => new Array<number>(shape.reduce((a, b) => a * b)).fill(0);
    const long = [SAMPLES, OUTPUTS];
    for (const [tail, labels, shape, message] of [
      [
        IDENTITY,
        zeros(long).with(67 * 3 + 1, Number.NaN),
        long,
        'sample 67, position 1 has label NaN: squared errors need finite numbers in the range of float32',
      ],
      [
        IDENTITY,
        zeros(long).with(0, Number.NEGATIVE_INFINITY),
        long,
        /^sample 0, position 0 has label -Infinity: squared errors need finite/,
      ],
      [
        IDENTITY,
        zeros([SAMPLES]).with(3, Number.NaN),
        [SAMPLES],
        "sample 3 has label NaN: the model's classes are 0 to 2, and -100 marks what does not count; floats for squared errors have the output's shape",
      ],
      [
        SIGMOID,
        zeros(long).with(209, 1.5),
        long,
        'sample 69, position 2 has label 1.5: the model ends in Sigmoid, so that labels are from 0 to 1, and -100 marks what does not count',
      ],
      [SIGMOID, zeros(long).with(9, Number.NaN), long, /^sample 3, position 0 has label NaN: .* from 0 to 1/],
      [SIGMOID, zeros(long).with(9, -1), long, /^sample 3, position 0 has label -1: .* from 0 to 1/],
    ] as const) {
      const model = await write({ tail });
      const samples = await samplesOf(await floatsOf(labels, shape));
      await assert.rejects(open(model, samples), { code: 'invalid_labels', message });
      await assert.rejects(gradientOf(samples), { code: 'invalid_labels', message });
    }
    const samples = await samplesOf(
      await writeArray(directory, 'y', 'float64', long, Float64Array.from(zeros(long).with(4, 1e300))),
    );
    await write();
    await assert.rejects(gradientOf(samples), {
      message: /^sample 1, position 1 has label 1e\+300: squared/,
    });
  });

  test('refuse the same shapes, saying what was expected', async () => {
    for (const [tail, shape, message] of [
      [
        IDENTITY,
        [SAMPLES, 2],
        /labels are float32 \[70,2\]: expected class ids \[n\], or floats \[n,3\] for/,
      ],
      [IDENTITY, [SAMPLES, 1, OUTPUTS], /float32 \[70,1,3\]: expected class ids \[n\], or floats \[n,3\]/],
      [SIGMOID, [SAMPLES, 4], /expected class ids \[n\], or targets \[n,3\] from 0 to 1 for binary/],
    ] as const) {
      const model = await write({ tail });
      const numbers = new Array<number>(shape.reduce((a, b) => a * b)).fill(0);
      const samples = await samplesOf(await floatsOf(numbers, shape));
      await assert.rejects(open(model, samples), { code: 'samples_mismatch', message });
      await assert.rejects(gradientOf(samples), { code: 'samples_mismatch', message });
    }
  });

  test('take an output that counts samples on its last axis', async () => {
    const tail = [node('Transpose', ['z'], ['y'], { perm: [1, 0] })];
    const model = await write({ tail, shape: ['m'] });
    const labels = random(SAMPLES * OUTPUTS, 6);
    const samples = await samplesOf(await floatsOf(labels, [SAMPLES, OUTPUTS]));
    await using evaluator = await open(model, samples);
    assertClose(evaluator.dense.loss, mean(products(WEIGHTS).map((y, i) => (y - labels[i]) ** 2)));
    const gradient = await gradientOf(samples);
    await write({});
    const untransposed = await gradientOf(samples);
    for (const [i, expected] of untransposed.entries()) assertClose(gradient[i], expected);
  });

  test('refuse an output of another shape than the labels, which no axis of it counts', async () => {
    const sum = node('ReduceSum', ['z', 'first'], ['y'], { keepdims: 0 });
    const model = await write({
      tail: [node('Constant', [], ['first'], { value_ints: [0] }), sum],
      shape: [OUTPUTS],
    });
    const samples = await samplesOf(await floatsOf(new Array(SAMPLES * 2).fill(0), [SAMPLES, 2]));
    const refusal = {
      code: 'samples_mismatch',
      message: /^output 'y' has shape \[1,3\] and the labels are float32/,
    };
    await assert.rejects(open(model, samples), refusal);
    await assert.rejects(gradientOf(samples), refusal);
  });

  test('refuse labels none of which counts', async () => {
    const model = await write({ tail: SIGMOID });
    const samples = await samplesOf(
      await floatsOf(new Array(SAMPLES * OUTPUTS).fill(-100), [SAMPLES, OUTPUTS]),
    );
    const refusal = {
      code: 'invalid_labels',
      message: 'every label is -100, so none counts: give labels of which some are class ids',
    };
    await assert.rejects(open(model, samples), refusal);
    await assert.rejects(gradientOf(samples), refusal);
  });

  test('take samples of a fixed number at a time', async () => {
    const labels = random(SAMPLES * OUTPUTS, 5);
    const samples = await samplesOf(await floatsOf(labels, [SAMPLES, OUTPUTS]));
    const model = await write({ batch: 10 });
    await using evaluator = await open(model, samples);
    assertClose(evaluator.dense.loss, mean(products(WEIGHTS).map((y, i) => (y - labels[i]) ** 2)));
    const expected = WEIGHTS.map((_, at) => {
      const [f, column] = [Math.floor(at / OUTPUTS), at % OUTPUTS];
      const terms = products(WEIGHTS).map((y, i) =>
        i % OUTPUTS === column ? 2 * (y - labels[i]) * INPUT[Math.floor(i / OUTPUTS) * FEATURES + f] : 0,
      );
      return mean(terms);
    });
    for (const [i, found] of (await gradientOf(samples)).entries()) assertClose(found, expected[i], 1e-5);
  });

  test('a loss too large for a number is refused of the dense model', async () => {
    const labels = await floatsOf(new Array(SAMPLES * OUTPUTS).fill(0), [SAMPLES, OUTPUTS]);
    const huge = INPUT.map((number) => number * 1e160);
    await assert.rejects(open(await write({ dtype: 'DOUBLE' }), await samplesOf(labels, huge, 'float64')), {
      code: 'non_finite_activation',
      message:
        'the loss of the dense model is too large for a float64: are the data and labels scaled as the model expects?',
    });
  });
});
