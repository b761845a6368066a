import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { renderReport } from '../../src/report/html/page.ts';
import { reportSchema } from '../../src/report/report.ts';
import { writeMlp } from '../models/small-mlp.ts';
import { pruneFiles } from './prune-files.ts';

const LAYERS = [20, 48, 32, 5] as const;
const NAMES = LAYERS.slice(1).map((_, i) => `fc${i}.weight`);

describe('what each tensor costs alone', () => {
  let mlp: Awaited<ReturnType<typeof writeMlp>>;
  before(async () => {
    mlp = await writeMlp(LAYERS, 64);
  });
  after(() => mlp[Symbol.asyncDispose]());
  const unlabelled = () => ({ ...mlp.samples, labels: null });

  test('is what a job of that tensor costs, at each sparsity', async () => {
    await using pruned = await pruneFiles(
      mlp.path,
      { sensitivity: true },
      { calibration: unlabelled(), evaluation: null },
    );
    const report = reportSchema.parse(pruned.report);
    const { by, sparsities, tensors } = report.sensitivity ?? assert.fail('nothing was measured');
    assert.equal(by, 'relative_l2', 'nothing says that the outputs are classes');
    assert.deepEqual(
      tensors.map(({ name }) => name),
      NAMES,
    );
    for (const { name, n_keep, distance } of tensors)
      for (const [at, sparsity] of sparsities.entries()) {
        const recipe = { budget: { sparsity }, include: [name] };
        await using alone = await pruneFiles(mlp.path, recipe, { evaluation: unlabelled() });
        assert.equal(alone.report.total.n_keep, n_keep[at]);
        assert.equal(alone.report.evaluation?.pruned.relative_l2, distance[at]);
      }
    const page = renderReport(report);
    for (const name of NAMES) assert.ok(page.includes(`${name}</text>`), `${name} in the chart`);
    assert.match(
      page,
      /relative L2 drift where one tensor alone loses 50.0&#160;%, 75.0&#160;%, 90.0&#160;%/i,
    );
  });

  test('changes nothing of what is pruned', async () => {
    await using plain = await pruneFiles(mlp.path, { beta: 0.5 });
    await using measured = await pruneFiles(
      mlp.path,
      { beta: 0.5, sensitivity: true },
      { calibration: unlabelled() },
    );
    assert.deepEqual(measured.report.artifacts, plain.report.artifacts);
    assert.equal(plain.report.sensitivity, null);
  });

  test('needs calibration data, and tensors', async () => {
    await assert.rejects(pruneFiles(mlp.path, { sensitivity: true }), /sensitivity needs calibration data/);
    const structures = pruneFiles(
      mlp.path,
      { sensitivity: true, granularity: 'channel', criterion: 'l2_norm' },
      { calibration: unlabelled() },
    );
    await assert.rejects(structures, /prunes tensors one by one, and the granularity is channel/);
  });
});
