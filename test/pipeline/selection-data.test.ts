import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { EmpError } from '../../src/core/errors.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import { splitSamples } from '../../src/pipeline/split-samples.ts';
import { type Report, reportSchema } from '../../src/report/report.ts';
import { node, value } from '../models/build-model.ts';
import { weights, writeModel } from '../models/runtime-model.ts';
import { writeMlp } from '../models/small-mlp.ts';
import { writeArray, writePart } from '../runtime/samples.ts';
import { pruneFiles, sha256Of } from './prune-files.ts';

const N = 300;

const range = (from: number, to: number) => Uint32Array.from({ length: to - from }, (_, i) => from + i);

describe('selection data', () => {
  let mlp: Awaited<ReturnType<typeof writeMlp>>;
  let chosenOn: SampleSet;
  let reported: SampleSet;
  before(async () => {
    mlp = await writeMlp([20, 24, 5], N);
    const halves = splitSamples(N, 1, 1 / 2, 0) ?? assert.fail();
    chosenOn = await writePart(mlp.samples, halves.first);
    reported = await writePart(mlp.samples, halves.second);
  });
  after(() => mlp[Symbol.asyncDispose]());

  const pruneMlp = (recipe: object, data: object) => pruneFiles(mlp.path, recipe, data);
  const evaluationOf = ({ evaluation }: Report) => evaluation ?? assert.fail();
  const doubtsOf = ({ verdict }: Report) =>
    verdict.warnings.filter(({ code }) => code === 'doubtful_data').map(({ text }) => text);

  for (const recipe of [
    { target: { max_accuracy_drop: 0.05 }, beta: 0.4, repair: ['least_squares'] },
    { target: { max_relative_l2: 0.3, confidence: 0.9 } },
  ]) {
    test(`${JSON.stringify(recipe)}: chooses and reports as halves that hold the same samples do`, async () => {
      const numbers = new Float32Array(20 * 20).map((_, i) => Math.sin(i * i));
      const array = await writeArray(mlp.directory, 'fitted', 'float32', [20, 20], numbers);
      const calibration = { nSamples: 20, inputs: [{ ...array, name: 'input' }], labels: null };
      await using halved = await pruneMlp(recipe, { calibration, evaluation: mlp.samples });
      await using given = await pruneMlp(recipe, {
        calibration,
        selection: chosenOn,
        evaluation: reported,
      });
      assert.ok(reportSchema.safeParse(given.report).success);
      const [there, here] = [halved, given].map(({ report }) => evaluationOf(report).search ?? assert.fail());
      assert.deepEqual({ ...here, seed: 0 }, there);
      assert.equal(here.seed, null);
      assert.deepEqual(given.report.repair, halved.report.repair);
      for (const name of ['n_samples', 'dense', 'pruned'] as const) {
        const [was, is] = [halved, given].map(({ report }) => withoutLatency(evaluationOf(report)[name]));
        assert.deepEqual(is, was, name);
      }
      assert.equal(
        await sha256Of(`${given.directory}/mlp.onnx`),
        await sha256Of(`${halved.directory}/mlp.onnx`),
      );
    });
  }

  test('of a promise takes half as many evaluation samples', async () => {
    const target = { max_accuracy_drop: 0.02, confidence: 0.95 };
    const few = await writePart(reported, range(0, 148));
    await assert.rejects(
      pruneMlp({ target }, { selection: chosenOn, evaluation: few }),
      /at least 149 samples .* there are 148 that no choice saw, all of the evaluation data: give 149,/,
    );
  });

  test('that evaluation data hold too are told where they are few, and refused otherwise and for a promise', async () => {
    const selection = await writePart(mlp.samples, range(0, 150));
    const target = { max_accuracy_drop: 0.1 };
    const refused = async (nShared: number, asked: object) => {
      const evaluation = await writePart(mlp.samples, range(150 - nShared, 300 - nShared));
      await assert.rejects(
        pruneMlp({ target: asked }, { selection, evaluation }),
        (error: EmpError) =>
          error.code === 'samples_mismatch' &&
          error.message.includes(`${nShared} of 150 samples are selection samples too`) &&
          error.findings[0].input === 'evaluation',
      );
    };
    const evaluation = await writePart(mlp.samples, range(149, 299));
    await using pruned = await pruneMlp({ target }, { selection, evaluation });
    assert.match(
      doubtsOf(pruned.report).join(' '),
      /^Evaluation data: 1 of 150 samples are selection samples too: what was chosen on them/,
    );
    await refused(1, { ...target, confidence: 0.9 });
    await refused(2, target);
    await refused(150, target);
  });

  test('are doubted as evaluation data are', async () => {
    const labels = await writeArray(
      mlp.directory,
      'constant',
      'int64',
      [chosenOn.nSamples],
      new BigInt64Array(chosenOn.nSamples).fill(3n),
    );
    await assert.rejects(
      pruneMlp(
        { target: { max_accuracy_drop: 0.1 } },
        { selection: { ...chosenOn, labels }, evaluation: reported },
      ),
      (error: EmpError) =>
        error.code === 'invalid_labels' &&
        /^selection data: the dense model/.test(error.message) &&
        error.findings[0].input === 'selection',
    );
    const copied = await writePart(
      chosenOn,
      range(0, 100).map((place) => place % 90),
    );
    const target = { max_accuracy_drop: 0.1, confidence: 0.9 };
    await using pruned = await pruneMlp({ target }, { selection: copied, evaluation: reported });
    assert.match(
      doubtsOf(pruned.report).join(' '),
      /^Selection data: 10 of 100 samples are copies of others/,
    );
  });

  test('are refused where they are measured otherwise', async () => {
    const numbers = new Float32Array(chosenOn.nSamples * 5).map((_, i) => (i % 7) / 3);
    const labels = await writeArray(mlp.directory, 'floats', 'float32', [chosenOn.nSamples, 5], numbers);
    await assert.rejects(
      pruneMlp(
        { target: { max_loss_increase: 0.1 } },
        { selection: { ...chosenOn, labels }, evaluation: reported },
      ),
      (error: EmpError) =>
        error.code === 'invalid_labels' &&
        /labels give mean squared error, and those of evaluation loss/.test(error.message) &&
        error.findings[0].input === 'selection',
    );
    const path = await writeModel(mlp.directory, 'sequence', {
      inputs: [value('x', ['batch', 'positions', 4])],
      outputs: [value('y', ['batch', 'positions', 3])],
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      initializers: [weights('w', [4, 3], [1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12])],
    });
    const sequences = async (positions: number) => {
      const shape = [8, positions, 4];
      const values = new Float32Array(32 * positions).map((_, i) => Math.sin(i * i));
      const array = await writeArray(mlp.directory, `x${positions}`, 'float32', shape, values);
      return { nSamples: 8, inputs: [{ ...array, name: 'x' }], labels: null };
    };
    await assert.rejects(
      pruneFiles(
        path,
        { target: { max_disagreement: 0.1 } },
        { selection: await sequences(3), evaluation: await sequences(5) },
      ),
      /positions of a sample are 3 of 'y', and in evaluation 5 of 'y'/,
    );
  });

  test('without a target are not used, and the report says so', async () => {
    await using pruned = await pruneMlp({ beta: 0.7 }, { selection: chosenOn, evaluation: mlp.samples });
    assert.equal(evaluationOf(pruned.report).n_samples, N);
    const [warning] = pruned.report.verdict.warnings.filter(({ code }) => code === 'input_not_used');
    assert.equal(warning.text, 'The selection data that came were not used: there is no target to search.');
  });
});

function withoutLatency(figures: number | object): unknown {
  if (typeof figures === 'number') return figures;
  return Object.fromEntries(Object.entries(figures).filter(([name]) => !name.startsWith('latency')));
}
