import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { describe, type TestContext, test } from 'node:test';
import { mainPath } from '../../src/formats/stored-model.ts';
import { GraphAppendix } from '../../src/graph/appendix.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import type { Reduction } from '../../src/graph/passes/append-sums.ts';
import { type CaptureRequest, captureSums } from '../../src/runtime/capture.ts';
import { scoresOf } from '../criteria/run-criterion.ts';
import { integers, node, tensor } from '../models/build-model.ts';
import {
  gaussians,
  multiply,
  reduceFeatures,
  type SmallModel,
  smallModel,
  smallModelContext,
} from '../models/small-model.ts';

const [x, w] = [gaussians(70 * 4, 1), gaussians(4 * 3, 2)];
/** Names as the capture would choose them, and an initializer that an output hands on. */
const small: SmallModel = {
  nodes: [
    node('MatMul', ['x', 'w'], ['emp_0']),
    node('Relu', ['emp_0'], ['emp_1']),
    node('Identity', ['emp_1'], ['emp__2']),
  ],
  initializers: [tensor('w', [4, 3], w), integers('emp_unused', [1])],
  outputs: ['emp__2'],
  xShape: [70, 4],
  x,
};
const h = multiply(x, w, [70, 4, 3]);

const request = (value: string, size: number, reduction: Reduction = 'sum_of_squares'): CaptureRequest => ({
  activations: { value, size, trailing: 0 },
  reduction,
  tensor: 'w',
  side: 'input',
});

async function contextOf(t: TestContext) {
  const context = await smallModelContext(t, small);
  if (context.calibration === null) throw new TypeError('samples were written');
  return { ...context, samples: context.calibration };
}

function assertClose(found: Float64Array, expected: readonly number[]): void {
  assert.equal(found.length, expected.length);
  for (const [i, value] of expected.entries()) {
    assert.ok(Math.abs(found[i] - value) <= 1e-5 * Math.abs(value), `${found[i]}, not ${value}`);
  }
}

describe('sums over activations', () => {
  for (const limits of [undefined, { values: 1, features: 100 }, { values: 100, features: 6 }]) {
    test(`a graph's input, inner values and outputs, ${JSON.stringify(limits ?? 'in one pass')}`, async (t) => {
      const counts: number[] = [];
      const sums = await captureSums(
        new OnnxModel(smallModel(small)),
        [
          request('emp__2', 3),
          request('x', 4),
          request('emp_0', 3, 'sum_of_magnitudes'),
          request('emp_0', 3),
          request('x', 4),
        ],
        { ...(await contextOf(t)), onSamples: (count) => counts.push(count), ...(limits ? { limits } : {}) },
      );
      const square = (value: number) => value * value;
      const positive = h.map((value) => Math.max(0, value));
      assertClose(sums[0].sums, reduceFeatures(positive, [70, 3], 1, square).sums);
      assertClose(sums[1].sums, reduceFeatures(x, [70, 4], 1, square).sums);
      assertClose(sums[2].sums, reduceFeatures(h, [70, 3], 1, Math.abs).sums);
      assertClose(sums[3].sums, reduceFeatures(h, [70, 3], 1, square).sums);
      assert.equal(sums[4], sums[1]);
      assert.deepEqual(
        sums.map(({ counts }) => counts[1]),
        [70, 70, 70, 70, 70],
      );
      // x [4]; the two of emp_0 [3] each; emp__2 [3]
      const passes = limits === undefined ? 1 : limits.values === 1 ? 4 : 3;
      assert.deepEqual(counts, Array(passes).fill([64, 6]).flat());
    });
  }

  test('of large activations take fewer samples at a time: 16 MB of float64', async (t) => {
    const [batches, wide] = [[] as number[], 2 ** 19];
    const { calibration, ...context } = await smallModelContext(t, {
      nodes: [node('Tile', ['x', 'repeats'], ['wide']), node('MatMul', ['wide', 'v'], ['y'])],
      initializers: [integers('repeats', [1, wide / 4]), tensor('v', [wide, 1], new Float32Array(wide))],
      outputs: ['y'],
      xShape: [10, 4],
      x: x.subarray(0, 40),
    });
    assert.ok(calibration);
    await scoresOf('wanda', { ...context, calibration, onSamples: (count) => batches.push(count) }, ['v']);
    assert.deepEqual(batches, [4, 4, 2]);
  });

  test('are refused of operators that are too old to add to', () => {
    const proto = smallModel({ ...small, opset: 5 });
    assert.throws(() => new GraphAppendix(new OnnxModel(proto)), {
      code: 'unsupported_model',
      message: /operators of version 5, and .* from version 6 on/,
    });
  });

  test('leave the model as it is and nothing in the scratch folder, abandoned or not', async (t) => {
    const context = await contextOf(t);
    const path = mainPath(context.model);
    const hash = async () =>
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex');
    const [before, files] = [await hash(), await readdir(context.scratchDirectory)];
    const model = new OnnxModel(smallModel(small));
    await captureSums(model, [request('emp_0', 3)], context);
    const controller = new AbortController();
    const aborting = {
      ...context,
      signal: controller.signal,
      onSamples: () => controller.abort(new Error('stopped')),
    };
    await assert.rejects(captureSums(model, [request('emp_0', 3)], aborting), { message: 'stopped' });
    assert.equal(await hash(), before);
    assert.deepEqual(await readdir(context.scratchDirectory), files);
  });
});
