import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { readTensors, unpack } from '../models/small-safetensors.ts';
import { inventoryOf, type Pruned, pruneFiles } from '../pipeline/prune-files.ts';
import { fixtureSamples } from '../runtime/samples.ts';
import { sharedFixtures } from '../shared.ts';

const fixtures = sharedFixtures();

/** What independent code makes of the same scores. */
interface GoldenDecision {
  readonly n: number;
  readonly n_eff: number;
  readonly n_keep: number;
  readonly threshold: number;
  readonly preserved_mass: number;
  readonly preserved_mass_bound: number;
  readonly kept: readonly number[];
}

/** Skips where the fixtures are absent. */
function requireFixtures(t: TestContext): t is TestContext & { skipped: false } {
  if (fixtures === null) t.skip('golden check did not run: ../shared/fixtures is not here');
  return fixtures !== null;
}

const pathOf = (fixture: string, file: string) => join(fixtures ?? '', fixture, file);
const goldenOf = async (fixture: string) =>
  JSON.parse(await readFile(pathOf(fixture, 'golden.json'), 'utf8'));

async function assertDecision({ directory, report }: Pruned, name: string, golden: GoldenDecision) {
  const masks = await readTensors(join(directory, 'masks.safetensors'));
  const family = report.structures?.families.find((each) => each.name === name) ?? assert.fail(name);
  const kept = unpack(masks.get(name)!, family.n).flatMap((keep, i) => (keep ? [i] : []));
  assert.deepEqual(kept, golden.kept, name);
  assert.deepEqual([family.n, family.n_keep], [golden.n, golden.n_keep], name);
  for (const figure of ['n_eff', 'threshold', 'preserved_mass'] as const) {
    const [found, expected] = [Number(family[figure]), golden[figure]];
    assert.ok(Math.abs(found / expected - 1) < 1e-6, `${name} ${figure}: ${found}, not ${expected}`);
  }
}

describe('structures of trained networks', () => {
  for (const fixture of ['fc2-mnist', 'fc5-fashion', 'cnn-fashion']) {
    test(`${fixture}: the filters and neurons that independent code keeps`, async (t) => {
      if (!requireFixtures(t)) return;
      const { channels, neurons } = await goldenOf(fixture);
      const decisions = new Map<string, [layer: string, GoldenDecision][]>();
      for (const [layer, byCriterion] of Object.entries<Record<string, GoldenDecision>>(
        channels ?? neurons,
      )) {
        for (const [criterion, decision] of Object.entries(byCriterion))
          decisions.set(criterion, [...(decisions.get(criterion) ?? []), [layer, decision]]);
      }
      assert.deepEqual([...decisions.keys()], channels ? ['l2_norm', 'bn_gamma'] : ['l2_norm']);
      for (const [criterion, layers] of decisions) {
        const recipe = { granularity: 'channel', criterion, scope: 'layer', round_to: 1 };
        await using pruned = await pruneFiles(pathOf(fixture, 'model.onnx'), recipe);
        const families = pruned.report.structures?.families ?? [];
        assert.equal(families.length, layers.length);
        // Families come in the order of the layers; a BatchNormalization has an index of its own.
        for (const [i, [layer, golden]] of layers.entries()) {
          if (criterion === 'l2_norm') assert.equal(families[i].name, `${layer}.weight`);
          await assertDecision(pruned, families[i].name, golden);
        }
      }
    });
  }

  for (const file of ['model.onnx', 'model.safetensors']) {
    test(`kan-mnist, ${file}: the nodes that independent code keeps, and what that costs`, async (t) => {
      if (!requireFixtures(t)) return;
      const golden = (await goldenOf('kan-mnist')).kan_node;
      const evaluation = file === 'model.onnx' ? await fixtureSamples('kan-mnist', 'eval') : null;
      const recipe = { granularity: 'kan_node', criterion: 'kan_node' };
      await using pruned = await pruneFiles(pathOf('kan-mnist', file), recipe, { evaluation });
      const [family, ...others] = pruned.report.structures?.families ?? [];
      assert.deepEqual([family.kind, others], ['kan_node', []]);
      await assertDecision(pruned, family.name, golden);
      const { total } = pruned.report;
      assert.ok(Math.abs(total.preserved_mass_bound / golden.preserved_mass_bound - 1) < 1e-6);
      const { tensors } = await inventoryOf(pruned.directory, [file]);
      for (const [layer, inputs, outputs] of [
        [0, 784, 51],
        [1, 51, 10],
      ]) {
        const shapeOf = (part: string) =>
          tensors.find(({ name }) => name === `layers.${layer}.${part}`)?.shape;
        assert.deepEqual(['base_weight', 'spline_weight', 'spline_scaler', 'grid'].map(shapeOf), [
          [outputs, inputs],
          [outputs, inputs, 8],
          [outputs, inputs],
          [inputs, 12],
        ]);
      }
      if (evaluation === null) return;
      const { loss, accuracy } = pruned.report.evaluation?.pruned ?? assert.fail();
      assert.ok(Math.abs(Number(loss) - golden.pruned.loss) < 1e-3, `loss ${loss}`);
      assert.ok(Math.abs(Number(accuracy) - golden.pruned.accuracy) < 1e-3, `accuracy ${accuracy}`);
    });
  }

  test('cnn-fashion: variance at beta 1, rounded to eights, statistics taken anew', async (t) => {
    if (!requireFixtures(t)) return;
    await using pruned = await pruneFiles(
      pathOf('cnn-fashion', 'model.onnx'),
      { granularity: 'channel', criterion: 'variance', scope: 'layer', round_to: 8, repair: ['batch_norm'] },
      {
        calibration: await fixtureSamples('cnn-fashion', 'calibration'),
        evaluation: await fixtureSamples('cnn-fashion', 'eval'),
      },
    );
    const { structures, evaluation, repair } = pruned.report;
    assert.deepEqual(
      structures?.families.map(({ n, n_keep }) => [n, n_keep]),
      [
        [32, 24],
        [48, 40],
        [64, 56],
        [96, 88],
        [128, 112],
      ],
    );
    assert.deepEqual([repair[0].kept, repair[0].n_repaired], [true, 5]);
    const accuracy = Number(evaluation?.pruned.accuracy);
    t.diagnostic(`accuracy ${accuracy}, dense ${evaluation?.dense.accuracy}`);
    assert.ok(Math.abs(accuracy - 0.8745) <= 0.003, `${accuracy}`);
    assert.ok(Number(repair[0].loss_before) > 2 * Number(repair[0].loss_after));
  });
});
