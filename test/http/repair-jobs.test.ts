import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { createNpyOf } from '../formats/npy-bytes.ts';
import { encode, floats, model, node } from '../models/build-model.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { readJson, readProblem } from './test-app.ts';
import { type FilePart, openTestService, postFiles, type TestService } from './test-service.ts';

const read = (path: string) => readFile(new URL(`../../examples/${path}`, import.meta.url));
const perceptron: FilePart = ['model', 'fc2.onnx', await read('fc2-mnist.onnx')];
const calibration: FilePart = ['calibration', 'x.npy', await read('mnist/calibration_inputs.npy')];
const evaluation: FilePart[] = [
  ['evaluation', 'x.npy', await read('mnist/evaluation_inputs.npy')],
  ['evaluation_labels', 'y.npy', await read('mnist/evaluation_labels.npy')],
];
/** One layer without a bias, by a weight that goes through a Mul. */
const scaled: FilePart = [
  'model',
  'scaled.onnx',
  encode(
    model({
      nodes: [node('Mul', ['w', 'scale'], ['k']), node('MatMul', ['x', 'k'], ['y'])],
      initializers: [floats('w', [4, 3]), floats('scale', [3])],
      inputs: [['x', [2, 4]]],
      outputs: [['y', [2, 3]]],
    }),
  ),
];
const fours: FilePart = ['calibration', 'x.npy', createNpyOf('<f4', new Float32Array(8), [2, 4])];
const graphless: FilePart = ['model', 'm.safetensors', createSafetensors({ 'fc.weight': [4, 4] })];

let service: TestService;
before(async () => {
  service = await openTestService({ worker: true });
});
after(() => service.close());

const post = (parts: readonly FilePart[], recipe: object) => postFiles(service.url, parts, recipe);

const REFUSED: [what: string, FilePart[], recipe: object, [path: string, message: RegExp][]][] = [
  [
    'without calibration data',
    [perceptron],
    { repair: ['bias', 'least_squares'] },
    [
      ['/recipe/repair', /^is bias, least_squares, and calibration is missing$/],
      ['calibration', /^is missing, and repair is bias, least_squares$/],
    ],
  ],
  [
    'of a safetensors model',
    [graphless, calibration],
    { repair: ['bias'] },
    [
      ['/recipe/repair', /^is given, and needs a model that runs$/],
      ['model', /^a safetensors file holds no graph to run: send the ONNX export$/],
    ],
  ],
  [
    'in a dry run',
    [perceptron, calibration],
    { repair: ['bias'], dry_run: true },
    [['/recipe/repair', /^changes the model that is written, and dry_run writes none$/]],
  ],
  [
    'twice',
    [perceptron, calibration],
    { repair: ['bias', 'bias'] },
    [['/recipe/repair', /^must not name a repair twice$/]],
  ],
  ['that there is not', [perceptron, calibration], { repair: ['tape'] }, [['/recipe/repair/0', /./]]],
  [
    'by a seed that nothing draws by',
    [perceptron, calibration],
    { repair: [], seed: 2 },
    [
      [
        '/recipe/seed',
        /^goes with criterion random, which draws by it, not with magnitude; or with a target/,
      ],
    ],
  ],
];

describe('a repair is refused', () => {
  for (const [what, parts, recipe, findings] of REFUSED) {
    test(what, async () => {
      const before = await service.files();
      const response = await post(parts, recipe);
      const problem = await readProblem(response);
      assert.deepEqual([response.status, problem.code], [422, 'invalid_request'], problem.detail);
      assert.deepEqual(
        problem.errors.map(({ path }) => path),
        findings.map(([path]) => path),
      );
      for (const [i, [, message]] of findings.entries())
        assert.match(problem.errors[i]?.message ?? '', message);
      assert.deepEqual(await service.files(), before);
    });
  }
});

test('a job with repairs takes calibration data without labels, and reports them', async () => {
  const recipe = {
    criterion: 'random',
    seed: 5,
    budget: { sparsity: 0.6 },
    repair: ['bias', 'least_squares'],
  };
  const response = await post([perceptron, calibration, ...evaluation], recipe);
  const job = await readJson(response);
  assert.equal(job.status, 'succeeded', JSON.stringify(job.error));
  assert.deepEqual([job.recipe.repair, job.recipe.seed], [recipe.repair, 5]);
  const report = await readJson(await fetch(`${service.url}/v1/jobs/${job.id}/report`));
  const [bias, leastSquares] = report.repair;
  assert.deepEqual([bias.name, leastSquares.name, leastSquares.kept], ['bias', 'least_squares', true]);
  assert.equal(leastSquares.n_repaired, 2);
  // The calibration data have no labels: repairs are judged by the drift on those that are kept out of the fit.
  assert.deepEqual([bias.loss_before, leastSquares.loss_after], [null, null]);
  assert.ok(leastSquares.relative_l2_after < bias.relative_l2_before);
  const page = await fetch(`${service.url}/v1/jobs/${job.id}/report`, { headers: { accept: 'text/html' } });
  const text = await page.text();
  assert.match(text, /<h2 id="repair">/);
  assert.match(text, /Relative L2 drift before/);
});

const SKIPPED: [what: string, FilePart[], repair: string[], index: number, problem: RegExp][] = [
  [
    'the BatchNormalizations of a model without any',
    [perceptron, calibration],
    ['bias', 'batch_norm'],
    1,
    /: the model has no BatchNormalization; most exports fold it into the convolutions/,
  ],
  ['biases that layers do not have', [scaled, fours], ['bias'], 0, /: w has no bias of its own$/],
  [
    'weights that are changed before they multiply',
    [scaled, fours],
    ['least_squares'],
    0,
    /: w is read by node Mul_k \(Mul\), not by/,
  ],
];

describe('a repair that finds nothing to repair is skipped, and the report says why', () => {
  for (const [what, parts, repair, index, reason] of SKIPPED) {
    test(what, async () => {
      const job = await readJson(await post(parts, { repair }));
      assert.equal(job.status, 'succeeded', JSON.stringify(job.error));
      const report = await readJson(await fetch(`${service.url}/v1/jobs/${job.id}/report`));
      const { name, kept, problem, n_repaired } = report.repair[index];
      assert.deepEqual([name, kept, n_repaired], [repair[index], false, 0]);
      assert.match(problem, /^there is nothing that it could repair: /);
      assert.match(problem, reason);
      const warning = report.verdict.warnings.find(
        ({ code, text }: { code: string; text: string }) =>
          code === 'repair_not_kept' && text.includes(repair[index] ?? ''),
      );
      assert.ok(warning?.text.includes(problem), JSON.stringify(report.verdict.warnings));
    });
  }
});
