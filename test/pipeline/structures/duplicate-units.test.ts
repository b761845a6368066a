import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSession } from '../../../src/runtime/session.ts';
import { RUNTIME, testFolder } from '../../criteria/run-criterion.ts';
import { encode, node, tensor } from '../../models/build-model.ts';
import { gaussians, smallModel } from '../../models/small-model.ts';
import { readTensors, unpack } from '../../models/small-safetensors.ts';
import { writeArray } from '../../runtime/samples.ts';
import { pruneFiles } from '../prune-files.ts';

const [N, INPUTS, DISTINCT, OUTPUTS] = [400, 6, 6, 3];
const UNITS = 2 * DISTINCT;
/** Which of the distinct units each is: every one stands twice, louder from one to the next. */
const KINDS = [0, 3, 1, 5, 2, 4, 4, 0, 5, 2, 3, 1];

test('of units that stand twice obs leaves one of each, and least_squares what the model gives', async (t) => {
  const folder = await testFolder(t);
  const [distinct, w2, x] = [
    gaussians(DISTINCT * INPUTS, 1),
    gaussians(OUTPUTS * UNITS, 2).map((value) => 1 + 0.3 * value), // two that are alike must not cancel
    gaussians(N * INPUTS, 3),
  ];
  const w1 = Float32Array.from({ length: UNITS * INPUTS }, (_, i) => {
    const kind = KINDS[Math.floor(i / INPUTS)];
    return 1.4 ** kind * distinct[kind * INPUTS + (i % INPUTS)];
  });
  const path = join(folder, 'model.onnx');
  const small = {
    nodes: [
      ...[node('Gemm', ['x', 'w1'], ['h'], { transB: 1 }), node('Relu', ['h'], ['r'])],
      node('Gemm', ['r', 'w2', 'b2'], ['y'], { transB: 1 }),
    ],
    initializers: [
      ...[tensor('w1', [UNITS, INPUTS], w1), tensor('w2', [OUTPUTS, UNITS], w2)],
      tensor('b2', [OUTPUTS], gaussians(OUTPUTS, 4)),
    ],
    outputs: ['y'],
    xShape: [N, INPUTS],
    x,
  };
  await writeFile(path, encode(smallModel(small)));
  const calibration = {
    nSamples: N,
    inputs: [await writeArray(folder, 'x', 'float32', [N, INPUTS], x)],
    labels: null,
  };
  const run = async (file: string) => {
    await using session = await openSession(file, RUNTIME);
    const fed = { dtype: 'float32', shape: [N, INPUTS], data: x } as const;
    return [...((await session.run(new Map([['x', fed]]), ['y'])).get('y')?.data ?? [])].map(Number);
  };
  const prunedBy = async (criterion: string) => {
    const budget = { sparsity: 0.5 };
    const recipe = { granularity: 'channel', criterion, budget, round_to: 1, repair: ['least_squares'] };
    await using pruned = await pruneFiles(path, recipe, { calibration });
    const mask = (await readTensors(join(pruned.directory, 'masks.safetensors'))).get('w1');
    const kept = KINDS.filter((_, unit) => unpack(mask ?? assert.fail(), UNITS)[unit]);
    return { kept: kept.sort(), outputs: await run(join(pruned.directory, 'model.onnx')) };
  };
  const dense = await run(path);
  const missOf = (outputs: readonly number[]) =>
    Math.hypot(...outputs.map((value, i) => value - dense[i])) / Math.hypot(...dense);
  const obs = await prunedBy('obs');
  assert.deepEqual(obs.kept, [0, 1, 2, 3, 4, 5]);
  assert.ok(missOf(obs.outputs) < 0.02, `${missOf(obs.outputs)}`);
  const others = await prunedBy('variance');
  assert.ok(new Set(others.kept).size < DISTINCT, 'by what each gives alone, both of some stay');
  assert.ok(missOf(others.outputs) > missOf(obs.outputs));
});
