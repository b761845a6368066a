import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { describe, test } from 'node:test';
import type { GradientContext } from '../../src/autodiff/gradient-setup.ts';
import { accumulateGradients, type GradientStatistic } from '../../src/autodiff/gradients.ts';
import { EmpError } from '../../src/core/errors.ts';
import { graph, integers, node, tensor } from '../models/build-model.ts';
import {
  CLASSES,
  gradientContext,
  HIDDEN,
  INPUTS,
  labels,
  meanOf,
  N_SAMPLES,
  perceptron,
  perceptronContext,
  perceptronGradients,
  rmsOf,
  w1,
  w2,
  x,
} from '../models/perceptron.ts';
import { gaussians, smallModel } from '../models/small-model.ts';

const oracle = perceptronGradients();

async function collect(
  context: GradientContext,
  weights: readonly string[],
  statistic: GradientStatistic = 'mean',
  maxHeldBytes?: number,
): Promise<Map<string, Float64Array>> {
  const found = new Map<string, Float64Array>();
  for await (const { weight, values } of accumulateGradients(weights, statistic, context, maxHeldBytes)) {
    found.set(weight, values);
  }
  assert.deepEqual([...found.keys()], weights);
  return found;
}

/** Relative to the largest element. */
function assertClose(found: Float64Array | undefined, expected: ArrayLike<number>, tolerance = 2e-6): void {
  assert.equal(found?.length, expected.length);
  const scale = Math.max(...Array.from(expected, Math.abs));
  for (let i = 0; i < expected.length; i++) {
    assert.ok(Math.abs(found[i] - expected[i]) <= tolerance * scale, `${i}: ${found[i]}, not ${expected[i]}`);
  }
}

describe('the gradient of the mean loss', () => {
  test('is that of the stored weights, in their order, whatever the graph makes of them', async (t) => {
    const counts: number[] = [];
    const context = { ...(await perceptronContext(t)), onSamples: (count: number) => counts.push(count) };
    const found = await collect(context, ['w2', 'w1']);
    assertClose(found.get('w1'), meanOf(oracle.w1));
    assertClose(found.get('w2'), meanOf(oracle.w2));
    assert.deepEqual(counts, [64, 6]);
  });

  for (const batch of [1, 7, 35]) {
    test(`does not depend on the batch, of ${batch}, that the model is fixed to`, async (t) => {
      const found = await collect(await perceptronContext(t, { batch }), ['w1', 'w2']);
      assertClose(found.get('w1'), meanOf(oracle.w1));
      assertClose(found.get('w2'), meanOf(oracle.w2));
    });
  }

  test('comes in several passes where the weights exceed what may be held', async (t) => {
    const samples: number[] = [];
    const context = { ...(await perceptronContext(t)), onSamples: (count: number) => samples.push(count) };
    const whole = await collect(context, ['w1', 'w2', 'unused']);
    assert.equal(samples.length, 2);
    const parts = await collect(context, ['w1', 'w2', 'unused'], 'mean', 8 * (w2.length + 4));
    assert.deepEqual(samples, [64, 6, 64, 6, 64, 6]); // w1; w2 and unused
    assert.deepEqual(parts, whole);
  });

  test('leaves out labels of -100, whole batches of them too', async (t) => {
    const counts = (sample: number) => sample < 60 && sample % 3 > 0;
    const ids = labels.map((label, sample) => (counts(sample) ? label : -100n));
    const found = await collect(await perceptronContext(t, { batch: 7 }, ids), ['w1', 'w2']);
    assertClose(found.get('w1'), meanOf(oracle.w1, counts));
    assertClose(found.get('w2'), meanOf(oracle.w2, counts));
  });

  test('is taken over all positions of sequences', async (t) => {
    const proto = smallModel({ ...perceptron, xShape: [14, 5, INPUTS] });
    const context = await gradientContext(
      t,
      proto,
      { shape: [14, 5, INPUTS], data: x },
      { shape: [14, 5], data: labels },
    );
    const found = await collect(context, ['w1', 'w2']);
    assertClose(found.get('w1'), meanOf(oracle.w1));
    assertClose(found.get('w2'), meanOf(oracle.w2));
  });

  test('of squared errors, where the labels are numbers', async (t) => {
    const proto = smallModel({
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      initializers: [tensor('w', [INPUTS, 1], w1.slice(0, INPUTS))],
      outputs: ['y'],
      xShape: [N_SAMPLES, INPUTS],
      x,
    });
    const wanted = gaussians(N_SAMPLES, 9);
    const context = await gradientContext(
      t,
      proto,
      { shape: [N_SAMPLES, INPUTS], data: x },
      { shape: [N_SAMPLES, 1], data: wanted },
    );
    const found = await collect(context, ['w']);
    const expected = new Float64Array(INPUTS);
    for (let n = 0; n < N_SAMPLES; n++) {
      const row = x.subarray(n * INPUTS, (n + 1) * INPUTS);
      const error = row.reduce((sum, value, i) => sum + value * w1[i], 0) - wanted[n];
      for (let i = 0; i < INPUTS; i++) expected[i] += (2 * error * row[i]) / N_SAMPLES;
    }
    assertClose(found.get('w'), expected);
  });

  test('of float16 models is computed in float32', async (t) => {
    const half = new Float16Array(w1.subarray(0, INPUTS * CLASSES));
    const proto = smallModel({
      nodes: [node('MatMul', ['x', 'w'], ['logits'])],
      initializers: [tensor('w', [INPUTS, CLASSES], half)],
      outputs: ['logits'],
      xShape: [N_SAMPLES, INPUTS],
      x,
    });
    const type = proto.graph!.input[0].type!.value;
    assert.ok(type.case === 'tensorType');
    type.value.elemType = 10;
    const halves = Float16Array.from(x);
    const found = await collect(
      await gradientContext(
        t,
        proto,
        { shape: [N_SAMPLES, INPUTS], data: halves },
        { shape: [N_SAMPLES], data: labels },
      ),
      ['w'],
    );
    const expected = new Float64Array(INPUTS * CLASSES);
    for (let n = 0; n < N_SAMPLES; n++) {
      const row = Array.from(halves.subarray(n * INPUTS, (n + 1) * INPUTS));
      const logits = Array.from({ length: CLASSES }, (_, c) =>
        row.reduce((sum, value, i) => sum + value * half[i * CLASSES + c], 0),
      );
      const total = logits.reduce((sum, value) => sum + Math.exp(value), 0);
      for (const [at] of expected.entries()) {
        const c = at % CLASSES;
        const probability = Math.exp(logits[c]) / total;
        expected[at] +=
          (row[Math.floor(at / CLASSES)] * (probability - Number(BigInt(c) === labels[n]))) / N_SAMPLES;
      }
    }
    assertClose(found.get('w'), expected);
  });

  test('is zero of what the loss does not depend on, and the same of weights that are added', async (t) => {
    const context = await perceptronContext(t, {
      nodes: [
        node('Add', ['w1', 'other'], ['sum']),
        ...perceptron.nodes.with(0, node('MatMul', ['x', 'sum'], ['h'])),
      ],
      initializers: [
        ...perceptron.initializers!,
        tensor('other', [INPUTS, HIDDEN], new Float32Array(w1.length)),
      ],
    });
    const found = await collect(context, ['w1', 'other', 'unused']);
    assertClose(found.get('w1'), meanOf(oracle.w1));
    assert.deepEqual(found.get('other'), found.get('w1'));
    assert.deepEqual(found.get('unused'), new Float64Array(4));
  });
});

describe('the root mean square of the gradients of single samples', () => {
  for (const batch of [undefined, 7]) {
    test(
      batch ? `from copies of it, where the model takes ${batch} at a time` : 'one at a time',
      async (t) => {
        const counts = (sample: number) => sample % 5 > 0;
        const ids = labels.map((label, sample) => (counts(sample) ? label : -100n));
        const samples: number[] = [];
        const context = {
          ...(await perceptronContext(t, batch ? { batch } : {}, ids)),
          onSamples: (count: number) => samples.push(count),
        };
        const found = await collect(context, ['w1', 'w2'], 'rms');
        assertClose(found.get('w1'), rmsOf(oracle.w1, counts));
        assertClose(found.get('w2'), rmsOf(oracle.w2, counts));
        assert.deepEqual(samples, Array(N_SAMPLES).fill(1));
      },
    );
  }

  test('takes the mean over the positions of a sequence', async (t) => {
    const proto = smallModel({ ...perceptron, xShape: [14, 5, INPUTS] });
    const context = await gradientContext(
      t,
      proto,
      { shape: [14, 5, INPUTS], data: x },
      { shape: [14, 5], data: labels },
    );
    const found = await collect(context, ['w1'], 'rms');
    const bySequence = Array.from({ length: 14 }, (_, n) => meanOf(oracle.w1.slice(5 * n, 5 * n + 5)));
    assertClose(found.get('w1'), rmsOf(bySequence));
  });
});

describe('refused', () => {
  async function refusal(context: GradientContext, weights: readonly string[]): Promise<EmpError> {
    const error = await collect(context, weights).then(
      () => null,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof EmpError, `${error}`);
    assert.deepEqual(await readdir(context.scratchDirectory), []);
    return error;
  }

  test('labels that are no classes, and labels that do not count at all', async (t) => {
    const bad = await refusal(await perceptronContext(t, {}, labels.with(66, 3n)), ['w1']);
    assert.deepEqual([bad.code, bad.message.slice(0, 21)], ['invalid_labels', 'sample 66 has label 3']);
    const none = await refusal(
      await perceptronContext(
        t,
        {},
        labels.map(() => -100n),
      ),
      ['w1'],
    );
    assert.equal(none.code, 'invalid_labels');
  });

  test('gradients that are no numbers, naming weight and samples', async (t) => {
    const wild = x.slice();
    wild[65 * INPUTS] = Number.POSITIVE_INFINITY;
    const proto = smallModel(perceptron);
    const { code, findings } = await refusal(
      await gradientContext(
        t,
        proto,
        { shape: [N_SAMPLES, INPUTS], data: wild },
        { shape: [N_SAMPLES], data: labels },
      ),
      ['w1'],
    );
    assert.equal(code, 'non_finite_activation');
    assert.deepEqual(findings, [
      { path: 'w1', message: 'its gradient has NaN or infinite numbers for samples 64 to 69' },
    ]);
  });

  test('operators without a rule, all at once, before anything runs', async (t) => {
    let ran = 0;
    const context = await perceptronContext(t, {
      nodes: [
        ...perceptron.nodes.with(2, node('Pad', ['hb', 'none'], ['g'], {}, 'com.microsoft')).slice(0, -1),
        node('Pad', ['g', 'none'], ['r'], {}, 'com.microsoft'),
        node('MatMul', ['r', 'matrix'], ['logits']),
      ],
      initializers: [...(perceptron.initializers ?? []), integers('none', [0, 0, 0, 0])],
    });
    const error = await refusal({ ...context, onSamples: () => ran++ }, ['w1', 'w2']);
    assert.equal(error.code, 'unsupported_model');
    assert.deepEqual(error.findings.map(({ path }) => path).sort(), ['Pad_g', 'Pad_r']);
    assert.equal(ran, 0);
  });

  test('weights in a branch', async (t) => {
    const branch = graph({
      nodes: [node('MatMul', ['x', 'inner'], ['o'])],
      initializers: [tensor('inner', [INPUTS, CLASSES], w1.slice(0, 12))],
      outputs: ['o'],
    });
    const context = await perceptronContext(t, {
      nodes: [
        node('Cast', ['one'], ['c'], { to: 9 }),
        node('If', ['c'], ['y'], { then_branch: branch, else_branch: branch }),
        node('Identity', ['y'], ['logits']),
      ],
      initializers: [tensor('one', [], Float32Array.of(1))],
    });
    const { code, message } = await refusal(context, ['inner']);
    assert.equal(code, 'unsupported_model');
    assert.match(message, /^inner lies in a loop or a branch/);
  });
});

test('stops between batches, and leaves nothing behind', async (t) => {
  const controller = new AbortController();
  const context = {
    ...(await perceptronContext(t)),
    signal: controller.signal,
    onSamples: () => controller.abort(new Error('stopped')),
  };
  await assert.rejects(collect(context, ['w1']), { message: 'stopped' });
  assert.deepEqual(await readdir(context.scratchDirectory), []);
});

test('leaves nothing behind where the rest is not wanted', async (t) => {
  const context = await perceptronContext(t);
  for await (const { weight } of accumulateGradients(['w1', 'w2'], 'mean', context, 8)) {
    assert.equal(weight, 'w1');
    break;
  }
  assert.deepEqual(await readdir(context.scratchDirectory), []);
});
