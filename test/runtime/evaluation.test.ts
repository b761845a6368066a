import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { NodeProto, TensorProto } from '../../src/formats/onnx/onnx-schema.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import type { StoredModel } from '../../src/formats/stored-model.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { Evaluator } from '../../src/runtime/evaluation.ts';
import { integers, node, value } from '../models/build-model.ts';
import { storeModel, weights } from '../models/runtime-model.ts';
import { sharedFixtures } from '../shared.ts';
import { fixtureSamples, writeArray } from './samples.ts';

const CPU = { providers: ['cpu'], threads: 1 } as const;
const FEATURES = 3;
const CLASSES = 4;
/** Small quarters, so that float32 and float16 products and sums are exact. */
const WEIGHTS = [0.5, -1, 0.25, 2, -0.75, 1, 0.25, -0.5, 1, 0.5, -1.25, 0.25];
const PRUNED = WEIGHTS.map((weight) => (Math.abs(weight) > 0.5 ? weight : 0));

let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-evaluation-'));
});
after(() => rm(directory, { recursive: true }));

function open(
  model: StoredModel,
  samples: SampleSet,
  signal = new AbortController().signal,
): Promise<Evaluator> {
  return Evaluator.open({
    model,
    samples,
    scratchDirectory: directory,
    runtime: CPU,
    signal,
    onSamples: () => {},
  });
}

interface LinearOptions {
  readonly positions?: number;
  /** Nodes from `y`, the logits, to `out`. */
  readonly tail?: NodeProto[];
  readonly initializers?: TensorProto[];
  readonly dtype?: 'FLOAT16' | 'DOUBLE';
  readonly batch?: number | string;
}

/** `out = x W`, x `[n, FEATURES]` or `[n, positions, FEATURES]`. */
function linearModel(
  name: string,
  numbers: readonly number[],
  options: LinearOptions = {},
): Promise<StoredModel> {
  const { positions, tail, initializers = [], dtype, batch = 'n' } = options;
  const dims = positions === undefined ? [batch] : [batch, positions];
  return storeModel(directory, name, {
    inputs: [value('x', [...dims, FEATURES], dtype)],
    nodes: [
      node('CastLike', ['w', 'x'], ['v']),
      node('MatMul', ['x', 'v'], ['y']),
      ...(tail ?? [node('Identity', ['y'], ['out'])]),
    ],
    initializers: [weights('w', [FEATURES, CLASSES], numbers), ...initializers],
    outputs: [value('out', [...dims, CLASSES], dtype)],
  });
}

/** Inputs that look random, in quarters. */
function inputsOf(rows: number): number[] {
  return Array.from({ length: rows * FEATURES }, (_, i) => (((i * 7919) % 23) - 11) / 4);
}

function labelsOf(rows: number): number[] {
  return Array.from({ length: rows }, (_, i) => (i * 5 + (i % 3)) % CLASSES);
}

async function samplesOf(inputs: number[], labels: number[] | null, positions?: number): Promise<SampleSet> {
  const rows = inputs.length / FEATURES;
  const dims = positions === undefined ? [rows] : [rows / positions, positions];
  const x = Float32Array.from(inputs);
  return {
    nSamples: dims[0],
    inputs: [await writeArray(directory, 'x', 'float32', [...dims, FEATURES], x, 12)],
    labels:
      labels && (await writeArray(directory, 'labels', 'int64', dims, BigInt64Array.from(labels, BigInt))),
  };
}

function logitsOf(inputs: number[], matrix: readonly number[]): number[][] {
  return Array.from({ length: inputs.length / FEATURES }, (_, row) =>
    Array.from({ length: CLASSES }, (_, c) => {
      let sum = 0;
      for (let f = 0; f < FEATURES; f++) sum += inputs[row * FEATURES + f] * matrix[f * CLASSES + c];
      return sum;
    }),
  );
}

/** Loss and hit (0 or 1) of every row, by the definition. */
function scoresOf(logits: number[][], labels: number[]): { losses: number[]; hits: number[] } {
  const losses = logits.map((row, i) => {
    const total = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
    return -Math.log(Math.exp(row[labels[i]]) / total);
  });
  const hits = logits.map((row, i) => Number(row.indexOf(Math.max(...row)) === labels[i]));
  return { losses, hits };
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0) / numbers.length;
}

function standardErrorOfDifferences(a: readonly number[], b: readonly number[]): number {
  const differences = a.map((number, i) => number - b[i]);
  const squares = differences.map((difference) => (difference - mean(differences)) ** 2);
  return Math.sqrt((mean(squares) * squares.length) / (squares.length - 1) / squares.length);
}

function assertClose(actual: number | null, expected: number, tolerance = 1e-9): void {
  assert.ok(actual !== null, 'a number was expected');
  assert.ok(
    Math.abs(actual - expected) <= tolerance * Math.max(1, Math.abs(expected)),
    `${actual} is not close to ${expected}`,
  );
}

describe('the golden fixtures', () => {
  const fixtures = sharedFixtures();
  for (const folder of ['fc2-mnist', 'fc5-fashion', 'cnn-fashion', 'kan-mnist', 'llama-tiny']) {
    test(`${folder}: dense loss and accuracy`, {
      skip: fixtures ? false : 'the fixtures are absent',
    }, async () => {
      const golden = JSON.parse(await readFile(join(fixtures ?? '', folder, 'golden.json'), 'utf8'));
      const samples = await fixtureSamples(folder, 'eval');
      const model = await readStoredModel(join(fixtures ?? '', folder), ['model.onnx']);
      await using evaluator = await open(model, samples);
      const { loss, accuracy, perplexity } = evaluator.dense;
      assertClose((loss ?? Number.NaN) / golden.dense.loss, 1, 1e-4);
      assertClose(accuracy, golden.dense.accuracy, 0.001);
      if (folder === 'llama-tiny') assertClose(perplexity, Math.exp(golden.dense.loss), 1e-3);
      else assert.equal(perplexity, null);
      assert.equal(evaluator.nPositions, folder === 'llama-tiny' ? 64 * 128 : 2000);
    });
  }
});

describe('with labels', () => {
  test('loss, accuracy and paired standard errors over several batches', async () => {
    const [inputs, labels] = [inputsOf(150), labelsOf(150)];
    const samples = await samplesOf(inputs, labels);
    const counts: number[] = [];
    await using evaluator = await Evaluator.open({
      model: await linearModel('dense', WEIGHTS),
      samples,
      scratchDirectory: directory,
      runtime: CPU,
      signal: new AbortController().signal,
      onSamples: (count) => counts.push(count),
    });
    const dense = scoresOf(logitsOf(inputs, WEIGHTS), labels);
    const pruned = scoresOf(logitsOf(inputs, PRUNED), labels);
    assertClose(evaluator.dense.loss, mean(dense.losses));
    assert.equal(evaluator.dense.accuracy, mean(dense.hits));
    assert.deepEqual(
      [evaluator.output, evaluator.nSamples, evaluator.nPositions, counts],
      ['out', 150, 150, [64, 64, 22]],
    );
    const measured = await evaluator.measure(await linearModel('pruned', PRUNED));
    assertClose(measured.loss, mean(pruned.losses));
    assert.equal(measured.accuracy, mean(pruned.hits));
    assertClose(
      measured.loss_increase_standard_error,
      standardErrorOfDifferences(pruned.losses, dense.losses),
    );
    assertClose(measured.accuracy_drop_standard_error, standardErrorOfDifferences(dense.hits, pruned.hits));
    const { perplexity, relative_l2, cosine, top1_agreement } = measured;
    assert.deepEqual([perplexity, relative_l2, cosine, top1_agreement], [null, null, null, null]);
    assert.deepEqual(counts, [64, 64, 22, 64, 64, 22]);
  });

  test('of -100 do not count, whatever the model says there', async () => {
    const [inputs, labels] = [inputsOf(9), labelsOf(9)];
    const kept = [0, 1, 2, 4, 5, 7, 8];
    const ignoring = labels.map((label, i) => (kept.includes(i) ? label : -100));
    inputs[3 * FEATURES] = Number.NaN;
    await using evaluator = await open(
      await linearModel('ignored', WEIGHTS),
      await samplesOf(inputs, ignoring),
    );
    const { losses, hits } = scoresOf(logitsOf(inputs, WEIGHTS), labels);
    assertClose(evaluator.dense.loss, mean(kept.map((i) => losses[i])));
    assertClose(evaluator.dense.accuracy, mean(kept.map((i) => hits[i])));
    assert.equal(evaluator.nPositions, 7);
  });

  test('of one column are as good as of none, and of any integer type', async () => {
    const [inputs, labels] = [inputsOf(5), labelsOf(5)];
    const model = await linearModel('column', WEIGHTS);
    const samples = await samplesOf(inputs, labels);
    await using expected = await open(model, samples);
    const column = await writeArray(directory, 'column', 'uint8', [5, 1], Uint8Array.from(labels));
    await using evaluator = await open(model, { ...samples, labels: column });
    assert.deepEqual(evaluator.dense, expected.dense);
  });

  test('of sequences count by position: perplexity, and errors over samples', async () => {
    const positions = 4;
    const [inputs, labels] = [inputsOf(6 * positions), labelsOf(6 * positions)];
    const ignored = new Set([0, 5, 6, 12, 13, 14, 15]); // sample 3 does not count at all
    const ignoring = labels.map((label, i) => (ignored.has(i) ? -100 : label));
    const samples = await samplesOf(inputs, ignoring, positions);
    await using evaluator = await open(await linearModel('sequence', WEIGHTS, { positions }), samples);
    const measured = await evaluator.measure(await linearModel('pruned', PRUNED, { positions }));
    const counted = [...labels.keys()].filter((i) => !ignored.has(i));
    const dense = scoresOf(logitsOf(inputs, WEIGHTS), labels);
    const pruned = scoresOf(logitsOf(inputs, PRUNED), labels);
    const loss = mean(counted.map((i) => dense.losses[i]));
    assertClose(evaluator.dense.loss, loss);
    assertClose(evaluator.dense.perplexity, Math.exp(loss));
    assertClose(measured.perplexity, Math.exp(mean(counted.map((i) => pruned.losses[i]))));
    assertClose(measured.accuracy, mean(counted.map((i) => pruned.hits[i])));
    assert.equal(evaluator.nPositions, counted.length);
    // Of the mean over positions, whose samples have different numbers of them.
    const errorOf = (a: number[], b: number[]) => {
      const center = mean(counted.map((i) => a[i] - b[i]));
      const sums = [0, 1, 2, 4, 5].map((sample) =>
        counted
          .filter((i) => Math.floor(i / positions) === sample)
          .reduce((sum, i) => sum + a[i] - b[i] - center, 0),
      );
      return Math.sqrt((sums.reduce((sum, value) => sum + value ** 2, 0) * 5) / 4) / counted.length;
    };
    assertClose(measured.loss_increase_standard_error, errorOf(pruned.losses, dense.losses));
    assertClose(measured.accuracy_drop_standard_error, errorOf(dense.hits, pruned.hits));
  });

  test('of one sample: no standard error', async () => {
    await using evaluator = await open(await linearModel('one', WEIGHTS), await samplesOf(inputsOf(1), [2]));
    const measured = await evaluator.measure(await linearModel('pruned', PRUNED));
    assert.notEqual(measured.loss, null);
    assert.equal(measured.loss_increase_standard_error, null);
    assert.equal(measured.accuracy_drop_standard_error, null);
  });

  test('a model that ends in Softmax is measured as the one that ends in its logits', async () => {
    const samples = await samplesOf(inputsOf(70), labelsOf(70));
    await using logits = await open(await linearModel('logits', WEIGHTS), samples);
    const tails = {
      softmax: [node('Softmax', ['y'], ['out'])],
      'log-softmax': [node('LogSoftmax', ['y'], ['out'])],
      'softmax-and-more': [
        node('Softmax', ['y'], ['p']),
        node('Cast', ['p'], ['q'], { to: 1 }),
        node('Reshape', ['q', 'shape'], ['r']),
        node('Identity', ['r'], ['out']),
      ],
    };
    for (const [name, tail] of Object.entries(tails)) {
      const model = await linearModel(name, WEIGHTS, {
        tail,
        initializers: [integers('shape', [-1, CLASSES])],
      });
      await using evaluator = await open(model, samples);
      assertClose(evaluator.dense.loss, logits.dense.loss ?? Number.NaN, 1e-6);
      assert.equal(evaluator.dense.accuracy, logits.dense.accuracy);
    }
  });

  test('a probability that has become 0 has a finite loss', async () => {
    const model = await linearModel('steep', WEIGHTS, { tail: [node('Softmax', ['y'], ['out'])] });
    const inputs = [4000, 0, 0]; // logits 2000, -4000, 1000, 8000
    await using evaluator = await open(model, await samplesOf(inputs, [1]));
    assertClose(evaluator.dense.loss, 149 * Math.LN2, 1e-6);
  });

  for (const [dtype, width, array] of [
    ['FLOAT16', 'float16', Float16Array],
    ['DOUBLE', 'float64', Float64Array],
  ] as const) {
    test(`${width} models are measured as float32 ones`, async () => {
      const [inputs, labels] = [inputsOf(20), labelsOf(20)];
      const samples = await samplesOf(inputs, labels);
      const x = await writeArray(directory, 'x', width, [20, FEATURES], array.from(inputs));
      const model = await linearModel('wide', WEIGHTS, { dtype });
      await using evaluator = await open(model, { ...samples, inputs: [x] });
      assertClose(evaluator.dense.loss, mean(scoresOf(logitsOf(inputs, WEIGHTS), labels).losses));
    });
  }

  test('a fixed batch dimension is kept to', async () => {
    const [inputs, labels] = [inputsOf(12), labelsOf(12)];
    const samples = await samplesOf(inputs, labels);
    for (const batch of [4, 12]) {
      await using evaluator = await open(await linearModel('fixed', WEIGHTS, { batch }), samples);
      assertClose(evaluator.dense.loss, mean(scoresOf(logitsOf(inputs, WEIGHTS), labels).losses));
      assert.equal(
        (await evaluator.latency(await linearModel('pruned', PRUNED, { batch }))).batch_size,
        batch,
      );
    }
    await assert.rejects(open(await linearModel('fixed', WEIGHTS, { batch: 5 }), samples), {
      code: 'samples_mismatch',
      message: /5 samples at a time/,
    });
  });

  test('outputs of a pruned model that are not finite: no loss, and wrong', async () => {
    const [inputs, labels] = [inputsOf(10), labelsOf(10)];
    await using evaluator = await open(await linearModel('dense', WEIGHTS), await samplesOf(inputs, labels));
    const model = await linearModel('root', WEIGHTS, { tail: [node('Sqrt', ['y'], ['out'])] });
    const measured = await evaluator.measure(model);
    const logits = logitsOf(inputs, WEIGHTS);
    const { hits } = scoresOf(logits, labels);
    assert.equal(measured.loss, null);
    assert.equal(measured.loss_increase_standard_error, null);
    const counting = hits.map((hit, i) => (logits[i].every((logit) => logit >= 0) ? hit : 0));
    assert.equal(measured.accuracy, mean(counting));
  });
});

describe('without labels', () => {
  test('the drift of all outputs, against the definition', async () => {
    const inputs = inputsOf(150);
    const samples = await samplesOf(inputs, null);
    await using evaluator = await open(await linearModel('dense', WEIGHTS), samples);
    assert.ok(Object.values(evaluator.dense).every((figure) => figure === null));
    assert.equal(evaluator.nPositions, 150);
    const measured = await evaluator.measure(await linearModel('pruned', PRUNED));
    const [dense, pruned] = [logitsOf(inputs, WEIGHTS), logitsOf(inputs, PRUNED)];
    const [y, changed] = [dense.flat(), pruned.flat()];
    const dot = (a: number[], b: number[]) => a.reduce((sum, number, i) => sum + number * b[i], 0);
    const difference = changed.map((number, i) => number - y[i]);
    const top1 = (row: number[]) => row.indexOf(Math.max(...row));
    assertClose(measured.relative_l2, Math.sqrt(dot(difference, difference) / dot(y, y)));
    assertClose(measured.cosine, dot(y, changed) / Math.sqrt(dot(y, y) * dot(changed, changed)));
    assert.equal(measured.top1_agreement, mean(dense.map((row, i) => Number(top1(row) === top1(pruned[i])))));
    const { loss, accuracy, perplexity, loss_increase_standard_error } = measured;
    assert.deepEqual([loss, accuracy, perplexity, loss_increase_standard_error], [null, null, null, null]);
  });

  test('a model is not away from itself, and one of zeros has no direction', async () => {
    await using evaluator = await open(
      await linearModel('dense', WEIGHTS),
      await samplesOf(inputsOf(20), null),
    );
    const same = await evaluator.measure(await linearModel('same', WEIGHTS));
    assert.deepEqual([same.relative_l2, same.cosine, same.top1_agreement], [0, 1, 1]);
    const zero = await evaluator.measure(await linearModel('zero', new Array(WEIGHTS.length).fill(0)));
    assert.deepEqual([zero.relative_l2, zero.cosine], [1, null]);
  });

  test('positions of sequences are counted, and an output of one number has no class to agree on', async () => {
    const samples = await samplesOf(inputsOf(6), null, 2);
    await using sequences = await open(await linearModel('dense', WEIGHTS, { positions: 2 }), samples);
    assert.equal(sequences.nPositions, 6);
    const model = await storeModel(directory, 'sum', {
      inputs: [value('x', ['n', 2, FEATURES])],
      nodes: [node('ReduceSum', ['x', 'axes'], ['out'], { keepdims: 0 })],
      initializers: [integers('axes', [1, 2])],
      outputs: [value('out', ['n'])],
    });
    await using evaluator = await open(model, samples);
    assert.equal(evaluator.nPositions, 3);
    const measured = await evaluator.measure(model);
    assert.deepEqual([measured.relative_l2, measured.top1_agreement], [0, null]);
  });

  test('outputs of a pruned model that are not finite: no distance, and no agreement there', async () => {
    const inputs = inputsOf(10);
    await using evaluator = await open(await linearModel('dense', WEIGHTS), await samplesOf(inputs, null));
    const model = await linearModel('root', WEIGHTS, { tail: [node('Sqrt', ['y'], ['out'])] });
    const measured = await evaluator.measure(model);
    const agreeing = logitsOf(inputs, WEIGHTS).map((row) => Number(row.every((logit) => logit >= 0)));
    assert.deepEqual(
      [measured.relative_l2, measured.cosine, measured.top1_agreement],
      [null, null, mean(agreeing)],
    );
  });
});

describe('latency', () => {
  for (const labels of [labelsOf(70), null]) {
    test(`of both on the first batch at two levels of optimization, ${labels ? 'with' : 'without'} labels`, async () => {
      await using evaluator = await open(
        await linearModel('dense', WEIGHTS),
        await samplesOf(inputsOf(70), labels),
      );
      const pruned = await linearModel('pruned', PRUNED);
      for (const level of ['all', 'extended'] as const) {
        const { dense_ms, pruned_ms, batch_size } = await evaluator.latency(pruned, { level });
        assert.ok(dense_ms > 0 && pruned_ms > 0, level);
        assert.equal(batch_size, 64);
      }
      const { relative_l2, loss } = await evaluator.measure(pruned);
      assert.ok(labels ? loss : relative_l2, 'the dense model is still there to be compared with');
    });
  }
});

describe('the output measured', () => {
  async function outputOf(names: readonly string[]): Promise<string> {
    const model = await storeModel(directory, 'outputs', {
      inputs: [value('x', ['n', FEATURES])],
      nodes: names.map((name) => node(name === 'shape' ? 'Shape' : 'Identity', ['x'], [name])),
      outputs: names.map((name) =>
        name === 'shape' ? value(name, [2], 'INT64') : value(name, ['n', FEATURES]),
      ),
    });
    await using evaluator = await open(model, await samplesOf(inputsOf(3), [0, 1, 2]));
    return evaluator.output;
  }

  test("is the only one, else 'logits', else the first of floats", async () => {
    assert.equal(await outputOf(['scores']), 'scores');
    assert.equal(await outputOf(['scores', 'logits']), 'logits');
    assert.equal(await outputOf(['shape', 'hidden', 'scores']), 'hidden');
  });

  test('must be of floats', async () => {
    await assert.rejects(outputOf(['shape']), {
      code: 'unsupported_model',
      message: /none: 'shape' is int64/,
    });
  });
});

describe('refused', () => {
  async function evaluating(
    inputs: number[],
    labels: number[] | null,
    options?: LinearOptions,
  ): Promise<void> {
    const samples = await samplesOf(inputs, labels, options?.positions);
    await using evaluator = await open(await linearModel('refused', WEIGHTS, options), samples);
    await evaluator.measure(await linearModel('pruned', PRUNED, options));
  }

  test('a label outside the classes, with its sample, position and value', async () => {
    for (const label of [4, -1]) {
      const labels = labelsOf(70).with(66, label);
      await assert.rejects(evaluating(inputsOf(70), labels), {
        code: 'invalid_labels',
        message: new RegExp(`^sample 66 has label ${label}: the model's classes are 0 to 3`),
      });
      await assert.rejects(evaluating(inputsOf(70), labels, { positions: 7 }), {
        code: 'invalid_labels',
        message: new RegExp(`^sample 9, position 3 has label ${label}:`),
      });
    }
  });

  test('a label that is no integer', async () => {
    const samples = await samplesOf(inputsOf(2), null);
    const labels = await writeArray(directory, 'fractions', 'float32', [2], Float32Array.of(1, 1.5));
    await assert.rejects(open(await linearModel('dense', WEIGHTS), { ...samples, labels }), {
      code: 'invalid_labels',
      message: /^sample 1 has label 1\.5:/,
    });
  });

  test('labels none of which counts', async () => {
    await assert.rejects(evaluating(inputsOf(3), [-100, -100, -100]), {
      code: 'invalid_labels',
      message: /every label is -100/,
    });
  });

  test('labels of a shape or number that does not go with the output', async () => {
    const [one, sequence] = [
      await linearModel('one', WEIGHTS),
      await linearModel('s', WEIGHTS, { positions: 2 }),
    ];
    const [single, double] = [await samplesOf(inputsOf(6), null), await samplesOf(inputsOf(6), null, 2)];
    const x = await writeArray(
      directory,
      'x2',
      'float32',
      [3, 2, FEATURES],
      Float32Array.from(inputsOf(6)),
      12,
    );
    const sequences = { ...double, inputs: [{ ...x, name: 'x' }] };
    const flat = { ...single, inputs: [{ ...x, name: 'x', shape: [6, FEATURES] }] };
    for (const [model, samples, shape, reason] of [
      [
        one,
        flat,
        [6, 2],
        /'out' has shape \[6,4\] and the labels are int64 \[6,2\]: expected class ids \[n\]/,
      ],
      [sequence, sequences, [3], /shape \[3,2,4\] and the labels are int64 \[3\]: .* class ids \[n,2\]/],
      [sequence, sequences, [3, 1], /shape \[3,2,4\] and the labels are int64 \[3,1\]/],
      [one, flat, [5], /6 samples and labels \[5\]/],
    ] as const) {
      const numbers = new BigInt64Array(shape[0] * (shape[1] ?? 1));
      const labels = await writeArray(directory, 'misfit', 'int64', shape, numbers);
      await assert.rejects(open(model, { ...samples, labels }), {
        code: 'samples_mismatch',
        message: reason,
      });
    }
  });

  test('a dense model whose output is not finite, with the sample', async () => {
    const inputs = inputsOf(70);
    for (const number of [Number.NaN, Number.POSITIVE_INFINITY]) {
      inputs[67 * FEATURES + 1] = number;
      for (const labels of [labelsOf(70), null]) {
        await assert.rejects(evaluating(inputs, labels), {
          code: 'non_finite_activation',
          message:
            "output 'out' of the dense model is NaN or infinite at sample 67: check how the data are scaled, or leave that sample out",
        });
      }
    }
    await assert.rejects(evaluating(inputs, labelsOf(70), { positions: 7 }), {
      code: 'non_finite_activation',
      message: /at sample 9, position 4: check how/,
    });
  });

  test('data that the model fails on, with the samples', async () => {
    const options: LinearOptions = {
      tail: [node('Reshape', ['y', 'shape'], ['out'])],
      initializers: [integers('shape', [2, CLASSES])],
    };
    await assert.rejects(evaluating(inputsOf(3), [0, 1, 2], options), {
      code: 'model_run_failed',
      message: /^the model failed on sample 0: onnxruntime: .*Reshape/,
    });
  });

  test('a pruned model whose outputs have another shape than those it should be compared with', async () => {
    await using evaluator = await open(
      await linearModel('dense', WEIGHTS),
      await samplesOf(inputsOf(3), null),
    );
    const tail = [node('Transpose', ['y'], ['out'], { perm: [1, 0] })];
    await assert.rejects(evaluator.measure(await linearModel('other', WEIGHTS, { tail })), {
      code: 'unsupported_model',
      message: /'out' has shape \[4,3\] after pruning and \[3,4\] before/,
    });
  });

  test('no samples', async () => {
    await assert.rejects(evaluating([], []), {
      code: 'samples_mismatch',
      message: 'there are no samples: give arrays that have one at least',
    });
  });

  test('all work once aborted, between batches and between rounds', async () => {
    for (const labels of [labelsOf(150), null]) {
      const controller = new AbortController();
      const samples = await samplesOf(inputsOf(150), labels);
      const model = await linearModel('dense', WEIGHTS);
      let batches = 0;
      await using evaluator = await Evaluator.open({
        model,
        samples,
        scratchDirectory: directory,
        runtime: CPU,
        signal: controller.signal,
        onSamples: () => {
          batches++;
          if (batches === (labels ? 5 : 2)) controller.abort(new Error('enough'));
        },
      });
      await assert.rejects(evaluator.measure(model), /^Error: enough$/);
      assert.equal(batches, labels ? 5 : 2);
      await assert.rejects(evaluator.latency(model), /^Error: enough$/);
    }
  });
});
