import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import type { EmpError, ErrorCode } from '../../src/core/errors.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import { writeMlp } from '../models/small-mlp.ts';
import { writeArray, writePart } from '../runtime/samples.ts';
import { pruneFiles } from './prune-files.ts';

const [N, FEATURES, CLASSES] = [400, 20, 5];

describe('data that do not look like the data of the model', () => {
  let mlp: Awaited<ReturnType<typeof writeMlp>>;
  let inputs: Float32Array;
  let labels: BigInt64Array;
  before(async () => {
    mlp = await writeMlp([FEATURES, 48, 32, CLASSES], N);
    inputs = await numbersOf(mlp.samples.inputs[0].path, Float32Array);
    labels = await numbersOf(mlp.samples.labels?.path ?? '', BigInt64Array);
  });
  after(() => mlp[Symbol.asyncDispose]());

  const withInputs = async (name: string, change: (value: number, index: number) => number) => {
    const written = await writeArray(mlp.directory, name, 'float32', [N, FEATURES], inputs.map(change));
    return { ...mlp.samples, inputs: [{ ...written, name: 'input' }] };
  };
  const withLabels = async (name: string, ids: BigInt64Array) => ({
    ...mlp.samples,
    labels: await writeArray(mlp.directory, name, 'int64', [N], ids),
  });
  const oneHot = async () => {
    const rows = new Float32Array(N * CLASSES);
    for (const [sample, label] of labels.entries()) rows[sample * CLASSES + Number(label)] = 1;
    return {
      ...mlp.samples,
      labels: await writeArray(mlp.directory, 'one-hot', 'float32', [N, CLASSES], rows),
    };
  };
  const shuffled = () =>
    withLabels(
      'shuffled',
      labels.map((_, i) => labels[(i * 171 + 13) % N]),
    );

  const KINDS: readonly [string, () => Promise<SampleSet>, ErrorCode, RegExp, object[]][] = [
    [
      'shuffled labels',
      shuffled,
      'invalid_labels',
      /(no better than guessing: its loss is [\d.]+, and 1\.[\d]+ is that of the same answer for every sample|cannot be told from guessing: its accuracy is .* most frequent label, of 400); check that labels and samples are in the same order/,
      [{ max_loss_increase: 5 }, { max_accuracy_drop: 0.3 }],
    ],
    [
      'pixels that are not scaled',
      () => withInputs('pixels', (value) => Math.round(Math.abs(value) * 255)),
      'invalid_labels',
      /no better than guessing.*'input' is from 0 to \d+, where models of images mostly want 0 to 1: divide by 255/,
      [{ max_loss_increase: 5 }, { max_accuracy_drop: 0.3 }, { max_disagreement: 0.9 }],
    ],
    [
      'one-hot labels',
      oneHot,
      'invalid_labels',
      /one-hot classes are.*labels\.argmax\(1\)/,
      [{ max_loss_increase: 5 }],
    ],
    [
      'one answer for all',
      () =>
        withLabels(
          'constant',
          labels.map(() => 3n),
        ),
      'invalid_labels',
      /no better than guessing|cannot be told from guessing/,
      [{ max_loss_increase: 5 }, { max_accuracy_drop: 0.3 }],
    ],
    [
      'the same sample again and again',
      () => withInputs('constants', (_, i) => (i % FEATURES) / 10),
      'samples_mismatch',
      /all 400 samples are the same/,
      [{ max_loss_increase: 5 }, { max_disagreement: 0.5 }, { max_relative_l2: 5 }],
    ],
    [
      'a NaN',
      () => withInputs('nan', (value, i) => (i === 7 * FEATURES + 3 ? Number.NaN : value)),
      'samples_mismatch',
      /input 'input' has a NaN or infinite number at sample 7;/,
      [{ max_loss_increase: 5 }, { max_disagreement: 0.5 }],
    ],
  ];

  for (const [what, evaluationOf, code, cause, targets] of KINDS) {
    test(`${what}: no target is met, and the cause is named`, async () => {
      const evaluation = await evaluationOf();
      for (const target of targets) {
        await assert.rejects(
          pruneFiles(mlp.path, { target }, { evaluation }),
          (error: EmpError) =>
            error.code === code && cause.test(error.message) && error.findings[0].input === 'evaluation',
          JSON.stringify(target),
        );
      }
    });
  }

  test('without a target the report says so', async () => {
    for (const evaluation of [await shuffled(), await oneHot()]) {
      await using pruned = await pruneFiles(mlp.path, {}, { evaluation });
      const texts = pruned.report.verdict.warnings.filter(({ code }) => code === 'doubtful_data');
      assert.equal(texts.length, 1);
      assert.match(texts[0].text, /^Evaluation data: (the dense model is no better|every label is a row)/);
    }
  });

  test('a target that needs no labels is not refused for them', async () => {
    await using pruned = await pruneFiles(
      mlp.path,
      { target: { max_disagreement: 0.2 } },
      { evaluation: await shuffled() },
    );
    assert.ok(pruned.report.verdict.warnings.some(({ code }) => code === 'doubtful_data'));
  });

  test('data scaled otherwise than calibration data that nothing else uses are refused', async () => {
    const scaled = { ...(await withInputs('large', (value) => value * 255)), labels: null };
    const data = { calibration: mlp.samples, evaluation: scaled };
    const recipe = { target: { max_disagreement: 0.9 } };
    await assert.rejects(
      pruneFiles(mlp.path, recipe, data),
      (error: EmpError) =>
        error.findings[0].input === 'evaluation' && /in the calibration data; scale both/.test(error.message),
    );
    const misfit = await writeArray(
      mlp.directory,
      'misfit',
      'float32',
      [N, 2],
      new Float32Array(2 * N).fill(1),
    );
    const unfit = { inputs: [{ ...misfit, name: 'input' }], labels: null, nSamples: N };
    await using pruned = await pruneFiles(mlp.path, recipe, { ...data, calibration: unfit });
    assert.ok(pruned.report.verdict.warnings.every(({ code }) => code !== 'doubtful_data'));
  });

  test('a NaN in the calibration data is named, and refused for a target', async () => {
    const calibration = await withInputs('hole', (value, i) => (i === 9 * FEATURES ? Number.NaN : value));
    const recipe = { repair: ['least_squares'], target: { max_disagreement: 0.5 } };
    await assert.rejects(
      pruneFiles(mlp.path, recipe, { calibration, evaluation: mlp.samples }),
      (error: EmpError) =>
        error.findings[0].input === 'calibration' &&
        /^calibration data: input 'input' has a NaN or infinite number at sample 9;/.test(error.message),
    );
  });

  test('good data raise no doubt', async () => {
    const [calibration, evaluation] = await Promise.all(
      [0, 200].map((start) =>
        writePart(
          mlp.samples,
          Uint32Array.from({ length: 200 }, (_, i) => start + i),
        ),
      ),
    );
    const recipe = { criterion: 'wanda', target: { max_accuracy_drop: 0.1 } };
    await using pruned = await pruneFiles(mlp.path, recipe, { calibration, evaluation });
    assert.ok(pruned.report.verdict.warnings.every(({ code }) => code !== 'doubtful_data'));
  });

  test('samples that repeat each other, or the calibration data, are said, and refused for a promise', async () => {
    const places = Uint32Array.from({ length: N }, (_, i) => i % 390);
    const evaluation = await writePart(mlp.samples, places);
    const recipe = { criterion: 'wanda', target: { max_accuracy_drop: 0.2 } };
    const data = { calibration: mlp.samples, evaluation };
    await using pruned = await pruneFiles(mlp.path, recipe, data);
    const doubts = pruned.report.verdict.warnings.filter(({ code }) => code === 'doubtful_data');
    assert.deepEqual(
      doubts.map(({ text }) => text.split(':')[1].trim()),
      ['10 of 400 samples are copies of others', '390 of 390 samples are calibration samples too'],
    );
    const promise = { ...recipe, target: { max_accuracy_drop: 0.2, confidence: 0.95 } };
    await assert.rejects(
      pruneFiles(mlp.path, promise, data),
      /390 of 390 samples are calibration samples too/,
    );
  });

  test('a model that is sure of itself is judged by its accuracy', async () => {
    const sure = (value: number) => value * 7;
    const evaluation = await withInputs('sure', sure);
    await using pruned = await pruneFiles(mlp.path, { target: { max_accuracy_drop: 0.1 } }, { evaluation });
    const [doubt] = pruned.report.verdict.warnings.filter(({ code }) => code === 'doubtful_data');
    assert.match(doubt.text, /no better than guessing/);
    await assert.rejects(
      pruneFiles(mlp.path, { target: { max_loss_increase: 0.1 } }, { evaluation }),
      /no better than guessing/,
    );
    const large = await withInputs('large', (value) => value * 255);
    await assert.rejects(
      pruneFiles(mlp.path, { target: { max_accuracy_drop: 0.1 } }, { evaluation: large }),
      /no better than guessing.* scaled as in training \('input' is from -[\d.]+ to [\d.]+\)/,
    );
  });

  test('one answer for all says nothing of predictions', async () => {
    const evaluation = {
      ...(await withInputs('small', (value, i) => (i % FEATURES === 0 ? 1 : value / 1e6))),
      labels: null,
    };
    await assert.rejects(
      pruneFiles(mlp.path, { target: { max_disagreement: 0.1 } }, { evaluation }),
      (error: EmpError) =>
        error.code === 'samples_mismatch' && /predicts the same for every sample/.test(error.message),
    );
  });

  test('many copies are refused for a promise, and more for any target', async () => {
    const copied = async (distinct: number) => ({
      ...(await writePart(
        mlp.samples,
        Uint32Array.from({ length: N }, (_, i) => i % distinct),
      )),
      labels: null,
    });
    const target = { max_disagreement: 0.2 };
    await assert.rejects(
      pruneFiles(mlp.path, { target: { ...target, confidence: 0.95 } }, { evaluation: await copied(300) }),
      /100 of 400 samples are copies of others.*leave copies out/,
    );
    await using pruned = await pruneFiles(mlp.path, { target }, { evaluation: await copied(300) });
    assert.ok(pruned.report.evaluation?.search?.found);
    await assert.rejects(pruneFiles(mlp.path, { target }, { evaluation: await copied(150) }), /250 of 400/);
  });

  test('rare large numbers do not make data unlike each other', async () => {
    const rare = (value: number, i: number) => (i === 4321 ? value * 1000 : value);
    const calibration = { ...mlp.samples, labels: null };
    const evaluation = { ...(await withInputs('rare', rare)), labels: null };
    const recipe = { criterion: 'wanda', target: { max_disagreement: 0.2 } };
    await using pruned = await pruneFiles(mlp.path, recipe, { calibration, evaluation });
    assert.ok(pruned.report.evaluation?.search?.found);
  });

  test('calibration data that are scaled otherwise are named', async () => {
    const calibration = { ...(await withInputs('scaled', (value) => value * 255)), labels: null };
    const data = { calibration, evaluation: mlp.samples };
    const recipe = { criterion: 'wanda', target: { max_disagreement: 0.2 } };
    await assert.rejects(
      pruneFiles(mlp.path, recipe, data),
      /'input' is from -?[\d.]+ to [\d.]+, and from .* in the calibration data; scale both/,
    );
  });
});

async function numbersOf<T extends Float32Array | BigInt64Array>(
  path: string,
  type: { new (buffer: ArrayBuffer): T },
): Promise<T> {
  return new type(new Uint8Array(await readFile(path)).buffer);
}
