import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { planJob } from '../../../src/intake/plan-job.ts';
import { recipeSchema } from '../../../src/recipe/recipe.ts';
import { openSession } from '../../../src/runtime/session.ts';
import { describeStructures } from '../../../src/structure/overview.ts';
import { StructuredModel } from '../../../src/structure/structured-model.ts';
import { RUNTIME } from '../../criteria/run-criterion.ts';
import { encode, integers, node, tensor } from '../../models/build-model.ts';
import { gaussians, type SmallModel, smallModel } from '../../models/small-model.ts';
import { writeArray } from '../../runtime/samples.ts';
import { inventoryOf, pruneFiles } from '../prune-files.ts';

const N = 40;
const x = gaussians(N * 6, 1);
const labels = Float32Array.from({ length: N * 2 }, (_, i) => Math.sin(i));

const head = [node('Gemm', ['x', 'w1', 'b1'], ['a']), node('Relu', ['a'], ['b'])];
const tail = [node('MatMul', ['read', 'w3'], ['y'])];
const initializers = [
  tensor('w1', [6, 16], gaussians(96, 2)),
  tensor('b1', [16], gaussians(16, 3)),
  tensor('w3', [8, 2], gaussians(16, 4)),
];
/** Half of 16 units are read, in three ways; and a model of whose units all are: by a weight, by a sum, or not. */
const HALVES: Record<string, SmallModel['nodes']> = {
  split: [...head, node('Split', ['b'], ['read', 'unused'], { axis: 1 }), ...tail],
  slice: [...head, node('Slice', ['b', 'from', 'to', 'axis'], ['read']), ...tail],
  gather: [...head, node('Gather', ['b', 'even'], ['read'], { axis: 1 }), ...tail],
};
const sizes = [
  integers('from', [8]),
  integers('to', [16]),
  integers('axis', [1]),
  integers('even', [0, 2, 4, 6, 8, 10, 12, 14]),
];
/** Its outputs are of two units, and the sum of the others. */
const summed = [
  node('MatMul', ['x', 'w1'], ['a']),
  node('Relu', ['a'], ['b']),
  node('ReduceSum', ['b', 'axis'], ['y'], { keepdims: 1 }),
];

const CRITERIA = ['variance', 'wanda', 'obs', 'taylor_rms'];

describe('structures that nothing reads', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emp-unread-'));
  });
  after(() => rm(folder, { recursive: true }));

  const write = async (name: string, nodes: SmallModel['nodes'], outputs: [string, number[]][]) => {
    const small = { xShape: [N, 6], x, nodes, initializers: [...initializers, ...sizes], outputs };
    await writeFile(join(folder, `${name}.onnx`), encode(smallModel(small)));
    return join(folder, `${name}.onnx`);
  };
  const calibration = async () => ({
    nSamples: N,
    inputs: [await writeArray(folder, 'x', 'float32', [N, 6], x)],
    labels: await writeArray(folder, 'labels', 'float32', [N, 2], labels),
  });
  const outputOf = async (path: string) => {
    await using session = await openSession(path, RUNTIME);
    const results = await session.run(new Map([['x', { dtype: 'float32', shape: [N, 6], data: x }]]), ['y']);
    return results.get('y')?.data;
  };
  const overviewOf = async (path: string) => {
    const directory = folder;
    const inventory = await inventoryOf(directory, [path.slice(folder.length + 1)]);
    const model = { directory, inventory };
    await using found = await StructuredModel.open({
      model,
      runtime: RUNTIME,
      signal: new AbortController().signal,
    });
    return { model, overview: describeStructures(found.structures, inventory) };
  };

  for (const [name, nodes] of Object.entries(HALVES)) {
    test(`${name}: they go first, and the outputs stay what they were`, async () => {
      const path = await write(name, nodes, [['y', [N, 2]]]);
      const { overview } = await overviewOf(path);
      assert.deepEqual(
        overview.families.map(({ n, consumers, unread }) => [n, consumers, unread]).toSorted(),
        [
          [8, [], true],
          [8, ['w3'], false],
        ].toSorted(),
      );
      for (const criterion of CRITERIA) {
        const amounts = [
          { scope: 'layer', beta: 1, include: ['w1'] },
          { scope: 'global', budget: { sparsity: 0.4 } },
        ];
        for (const amount of amounts) {
          const recipe = { granularity: 'channel', criterion, round_to: 1, ...amount };
          await using pruned = await pruneFiles(path, recipe, { calibration: await calibration() });
          const families = pruned.report.structures?.families ?? [];
          const unread = families.find(({ n_eff }) => n_eff === null);
          assert.equal(unread?.n, 8, criterion);
          if (amount.scope === 'layer') assert.equal(unread?.n_keep, 1, criterion);
          else {
            assert.equal(unread?.n_keep, 2, criterion);
            assert.deepEqual(await outputOf(join(pruned.directory, `${name}.onnx`)), await outputOf(path));
          }
        }
      }
    });
  }

  test('what a sum reads has no weight to be scored by: the plan says so', async () => {
    const path = await write('summed', summed, [['y', [N, 1]]]);
    const { model, overview } = await overviewOf(path);
    assert.deepEqual(
      overview.families.map(({ consumers, unread }) => [consumers, unread]),
      [[[], false]],
    );
    const content = await calibration();
    const inputs = {
      model: { id: 'mdl', ...model },
      scores: null,
      calibration: { id: 'dat', content },
      selection: null,
      evaluation: null,
    };
    for (const criterion of CRITERIA) {
      const recipe = { granularity: 'channel', criterion };
      await assert.rejects(planJob(recipeSchema.parse(recipe), inputs, overview), {
        code: 'unsupported_model',
        message: `criterion ${criterion} cannot score w1: it is read without weights; exclude it or use criterion l2_norm`,
      });
    }
    await assert.rejects(
      planJob(recipeSchema.parse({ granularity: 'channel', criterion: 'bn_gamma' }), inputs, overview),
      { code: 'unsupported_model' },
    );
    for (const criterion of ['l2_norm', 'activation', 'random']) {
      const recipe = { granularity: 'channel', criterion, round_to: 1, budget: { sparsity: 0.25 } };
      await planJob(recipeSchema.parse(recipe), inputs, overview);
      await using pruned = await pruneFiles(path, recipe, { calibration: content });
      assert.equal(pruned.report.total.n_keep, 12);
    }
  });
});
