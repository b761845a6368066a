import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { ModelProto } from '../../src/formats/onnx/onnx-schema.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { type Report, reportSchema } from '../../src/report/report.ts';
import { countMacs } from '../../src/runtime/count-macs.ts';
import { RUNTIME, testFolder } from '../criteria/run-criterion.ts';
import { encode, node } from '../models/build-model.ts';
import { FUSED_PAIRS } from '../models/fused-models.ts';
import { build, NEVER } from '../models/traced-model.ts';
import { random } from '../structure/cases/rule-case.ts';
import { pruneFiles } from './prune-files.ts';

async function write(t: TestContext, proto: ModelProto): Promise<string> {
  const path = join(await testFolder(t), 'model.onnx');
  await writeFile(path, encode(proto));
  return path;
}

/** What the report of a model says, and what a count of the model that came out does. */
async function pruned(t: TestContext, proto: ModelProto, recipe: object) {
  await using done = await pruneFiles(await write(t, proto), recipe);
  assert.ok(reportSchema.safeParse(done.report).success);
  const model = await readStoredModel(done.directory, ['model.onnx']);
  const counted = await countMacs({ model, runtime: RUNTIME, signal: NEVER }, null);
  return { macs: done.report.macs, summary: done.summary, counted };
}

const sum = (macs: Report['macs'], of: 'dense' | 'pruned' | 'nonzero') =>
  macs.layers.reduce((total, layer) => total + (layer[of] ?? 0), 0);

describe('multiply-accumulates in a report', () => {
  for (const { name, fused, plain } of FUSED_PAIRS) {
    test(`of channels of ${name} fall to what the smaller model has`, async (t) => {
      const recipe = { granularity: 'channel', criterion: 'l2_norm', beta: 0.6, round_to: 1 };
      const [one, other] = [await pruned(t, fused, recipe), await pruned(t, plain, recipe)];
      for (const { macs, summary, counted } of [one, other]) {
        assert.ok(macs.dense !== null && macs.pruned !== null && macs.pruned < macs.dense);
        assert.equal(macs.pruned, counted.total);
        assert.deepEqual([sum(macs, 'dense'), sum(macs, 'pruned')], [macs.dense, macs.pruned]);
        assert.equal(macs.nonzero, null);
        assert.deepEqual([summary.dense_macs, summary.pruned_macs], [macs.dense, macs.pruned]);
      }
      assert.deepEqual([one.macs.dense, one.macs.pruned], [other.macs.dense, other.macs.pruned]);
    });
  }

  test('of weights stay, and those without zeros go by what is kept of each weight', async (t) => {
    const proto = build({
      inputs: [['x', ['batch', 5, 6]]],
      nodes: [
        node('MatMul', ['x', 'w'], ['h']),
        node('Transpose', ['h'], ['t'], { perm: [0, 2, 1] }),
        node('MatMul', ['h', 't'], ['scores']),
        node('MatMul', ['scores', 'v'], ['y']),
      ],
      initializers: [random('w', [6, 8]), random('v', [5, 4])],
    });
    const recipe = { scope: 'layer', budget: { sparsity: 0.5 } };
    const { macs, summary, counted } = await pruned(t, proto, recipe);
    const [dense, activations] = [5 * 6 * 8 + 5 * 5 * 8 + 5 * 5 * 4, 5 * 5 * 8];
    assert.deepEqual([macs.dense, macs.pruned, counted.total], [dense, dense, dense]);
    assert.equal(macs.nonzero, activations + (dense - activations) / 2);
    assert.deepEqual(
      macs.layers.map(({ weights, nonzero }) => [weights, nonzero]),
      [
        [['w'], 120],
        [[], 200],
        [['v'], 50],
      ],
    );
    assert.equal(summary.nonzero_macs, macs.nonzero);
  });

  test('say why they were not counted', async (t) => {
    const proto = build({
      inputs: [['x', ['batch', 'sequence', 6]]],
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      initializers: [random('w', [6, 8])],
    });
    const { macs } = await pruned(t, proto, {});
    assert.deepEqual([macs.dense, macs.pruned, macs.nonzero, macs.layers], [null, null, null, []]);
    assert.equal(
      macs.reason,
      'axis 1 of input "x" has no fixed size, and there are no data in use to give it one: evaluation data do',
    );
  });

  test('of a dry run of structures are those of the dense model', async (t) => {
    const recipe = { granularity: 'channel', criterion: 'l2_norm', dry_run: true };
    await using done = await pruneFiles(await write(t, FUSED_PAIRS[0].fused), recipe);
    const { dense, pruned: after, reason } = done.report.macs;
    assert.deepEqual([dense !== null, after, reason], [true, null, null]);
  });
});
