import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { createNpyOf } from '../formats/npy-bytes.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { transformer } from '../models/structure-models.ts';
import { fileOf, readJson, readProblem } from './test-app.ts';
import { openTestService, type TestService } from './test-service.ts';

type Part = [part: string, name: string, content: Uint8Array];

const read = (path: string) => readFile(new URL(`../../examples/${path}`, import.meta.url));
const perceptron: Part = ['model', 'fc2.onnx', await read('fc2-mnist.onnx')];
const calibration: Part = ['calibration', 'x.npy', await read('mnist/calibration_inputs.npy')];
const evaluation: Part[] = [
  ['evaluation', 'x.npy', await read('mnist/evaluation_inputs.npy')],
  ['evaluation_labels', 'y.npy', await read('mnist/evaluation_labels.npy')],
];
const attention: Part = ['model', 'attention.onnx', transformer()];
const tokens: Part = ['calibration', 'x.npy', createNpyOf('<f4', new Float32Array(2 * 3 * 16), [2, 3, 16])];
const checkpoint: Part = ['model', 'm.safetensors', createSafetensors({ 'fc.weight': [4, 4] })];
const scores = (arrays: Record<string, number[]>): Part => [
  'scores',
  's.safetensors',
  createSafetensors(arrays),
];

let service: TestService;
before(async () => {
  service = await openTestService({ worker: true });
  await analyse(perceptron);
});
after(() => service.close());

/** Uploads a model as a job would, and has its structures found. */
async function analyse([, name, content]: Part) {
  const form = new FormData();
  form.append('file', fileOf(content), name);
  const { id } = await readJson(await fetch(`${service.url}/v1/models`, { method: 'POST', body: form }));
  const response = await fetch(`${service.url}/v1/models/${id}/structures`);
  assert.equal(response.status, 200);
  return readJson(response);
}

function post(parts: readonly Part[], recipe: object): Promise<Response> {
  const form = new FormData();
  for (const [part, name, content] of parts) form.append(part, fileOf(content), name);
  form.append('recipe', JSON.stringify(recipe));
  return fetch(`${service.url}/v1/jobs`, { method: 'POST', body: form, headers: { prefer: 'wait=60' } });
}

async function finished(response: Response) {
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}

const CHANNELS = { granularity: 'channel', criterion: 'l2_norm' };

const REFUSED: [what: string, Part[], recipe: object, code: string, [path: string, message: RegExp][]][] = [
  [
    'channels and heads of a checkpoint without a graph',
    [checkpoint],
    { ...CHANNELS, granularity: 'head' },
    'invalid_request',
    [
      ['/recipe/granularity', /^is head, and needs a model that runs$/],
      [
        'model',
        /^a safetensors file holds no graph to run: send the ONNX export, or give granularity weight$/,
      ],
    ],
  ],
  [
    'BatchNormalizations of a checkpoint without a graph',
    [checkpoint],
    { granularity: 'kan_node', criterion: 'bn_gamma' },
    'invalid_request',
    [
      ['/recipe/criterion', /^is bn_gamma, and needs a model that runs$/],
      ['model', /: send the ONNX export$/],
    ],
  ],
  [
    'nodes of a checkpoint that is no KAN',
    [checkpoint],
    { granularity: 'kan_node', criterion: 'kan_node' },
    'no_prunable_tensors',
    [
      [
        '/recipe/granularity',
        /^this model has no kan_node that can be removed; it has no other structures either, so give granularity weight \(KAN nodes are known by tensors named like layers\.0\.spline_weight\)$/,
      ],
    ],
  ],
  [
    'a criterion of weights',
    [perceptron],
    { granularity: 'channel' },
    'invalid_request',
    [['/recipe/criterion', /^must be given: its default, magnitude, scores no channel: expected l2_norm, /]],
  ],
  [
    'a scope and a rounding of other granularities',
    [perceptron],
    { ...CHANNELS, scope: 'row' },
    'invalid_request',
    [['/recipe/scope', /^row is for weights/]],
  ],
  [
    'rounded counts of weights, by a criterion of structures',
    [perceptron],
    { criterion: 'variance', round_to: 8 },
    'invalid_request',
    [
      ['/recipe/criterion', /^variance scores structures, and the granularity is weight$/],
      ['/recipe/round_to', /^rounds counts of structures, and the granularity is weight$/],
    ],
  ],
  ...['wanda', 'activation', 'variance', 'obs', 'taylor_rms'].map((criterion): (typeof REFUSED)[0] => [
    `${criterion} without calibration data`,
    [perceptron],
    { ...CHANNELS, criterion },
    'invalid_request',
    [
      ['/recipe/criterion', new RegExp(`^is ${criterion}, and calibration is missing$`)],
      ['calibration', new RegExp(`^is missing, and the criterion is ${criterion}$`)],
    ],
  ]),
  [
    'taylor_rms without labels',
    [perceptron, calibration],
    { ...CHANNELS, criterion: 'taylor_rms' },
    'invalid_request',
    [
      ['/recipe/criterion', /^is taylor_rms and needs calibration data with labels, /],
      ['calibration', /^has no labels, and the criterion is taylor_rms$/],
    ],
  ],
  [
    'data that does not fit the model',
    [perceptron, tokens],
    { ...CHANNELS, criterion: 'variance' },
    'samples_mismatch',
    [['calibration', /^input "input" has shape \[2, 3, 16\]: expected 4 axes/]],
  ],
  [
    'bn_gamma for a model without any',
    [attention],
    { ...CHANNELS, criterion: 'bn_gamma' },
    'unsupported_model',
    [
      ['/recipe/criterion', /^is bn_gamma, and the model has no BatchNormalization; /],
      ['model', /^the model has no BatchNormalization; most exports fold it into the convolutions$/],
    ],
  ],
  [
    'a granularity that an analysed model does not have',
    [perceptron],
    { ...CHANNELS, granularity: 'head' },
    'no_prunable_tensors',
    [
      [
        '/recipe/granularity',
        /^this model has no head that can be removed; it has channel \(1 family\), or give granularity weight$/,
      ],
      ['1.weight', /^axis 1 is tied to an axis that cannot shrink \(Gemm /],
      ['3.weight', /^axis 0 is an axis of an output of the model \(logits\)$/],
    ],
  ],
  [
    'weights that compute no channel of an analysed model',
    [perceptron],
    { ...CHANNELS, include: ['3.*'] },
    'invalid_request',
    [['/recipe/include/0', /^matches no weight that computes a channel; such weights are 1\.weight$/]],
  ],
  [
    'scores that do not fit an analysed model',
    [perceptron, scores({ '1.weight': [10] })],
    { ...CHANNELS, criterion: 'scores' },
    'scores_mismatch',
    [['scores', /^expected an array 1\.weight of shape \[100\], one score a structure$/]],
  ],
];

describe('a job on structures that could only fail is refused, and nothing stays', () => {
  for (const [what, parts, recipe, code, findings] of REFUSED) {
    test(what, async () => {
      const before = await service.files();
      const response = await post(parts, recipe);
      const problem = await readProblem(response);
      assert.deepEqual([response.status, problem.code], [422, code], problem.detail);
      assert.deepEqual(
        problem.errors.map(({ path }) => path),
        findings.map(([path]) => path),
        JSON.stringify(problem.errors),
      );
      for (const [i, [, message]] of findings.entries())
        assert.match(problem.errors[i]?.message ?? '', message);
      assert.deepEqual(await service.files(), before);
    });
  }

  test('what takes an analysis fails the job in the same words where there was none yet', async () => {
    const recipe = { ...CHANNELS, granularity: 'kan_node' };
    const { status, error } = await finished(await post([attention], recipe));
    assert.equal(status, 'failed');
    assert.match(
      error.detail,
      /^this model has no kan_node that can be removed; it has channel \(1 family\) and head \(1 family\), or give granularity weight \(KAN nodes are known by tensors named like layers\.0\.spline_weight\)$/,
    );
    await analyse(attention);
    const problem = await readProblem(await post([attention], recipe));
    assert.deepEqual(
      [problem.code, problem.detail, problem.errors],
      [error.code, error.detail, error.errors],
    );
  });
});

describe('a job on structures', () => {
  test('of a size takes no data, and says what it has reached', async () => {
    const job = await finished(await post([perceptron], { ...CHANNELS, target: { max_macs: 40_000 } }));
    assert.equal(job.status, 'succeeded', JSON.stringify(job.error));
    // In multiples of 8 of 784 + 10 each.
    assert.deepEqual([job.summary.pruned_macs, job.summary.met, job.lane], [48 * 794, true, 'long']);
    const report = await readJson(await fetch(`${service.url}/v1/jobs/${job.id}/report`));
    const { name, limit, reached, met } = report.size_target;
    assert.deepEqual([name, limit, reached, met], ['max_macs', 40_000, 48 * 794, true]);
    const refused = await post([perceptron], { target: { max_bytes: 100_000 } });
    const { errors } = await readProblem(refused);
    assert.deepEqual([refused.status, errors?.[0]?.path], [422, '/recipe/target']);
  });

  test('gives a smaller model that runs, with what it costs', async () => {
    const recipe = {
      granularity: 'channel',
      criterion: 'variance',
      scope: 'layer',
      beta: 0.8,
      sweep_betas: [0.5],
      repair: ['least_squares'],
    };
    const job = await finished(await post([perceptron, calibration, ...evaluation], recipe));
    assert.equal(job.status, 'succeeded', JSON.stringify(job.error));
    const report = await readJson(await fetch(`${service.url}/v1/jobs/${job.id}/report`));
    const [family] = report.structures.families;
    assert.deepEqual([family.name, family.kind, family.n], ['1.weight', 'channel', 100]);
    assert.ok(family.n_keep < 100 && family.n_keep % 8 === 0, `${family.n_keep}`);
    assert.deepEqual([job.summary.n, job.summary.n_keep], [100, family.n_keep]);
    assert.deepEqual(report.tensors, []);
    // A unit less is a row of [100, 784], one of the bias and a column of [10, 100] less.
    const { dense, pruned } = report.structures.parameters;
    assert.deepEqual([dense, dense - pruned], [79_510, (100 - family.n_keep) * (784 + 1 + 10)]);
    assert.ok(report.evaluation.sweep[0].sparsity > report.total.sparsity);
    assert.equal(report.repair[0].name, 'least_squares');
    const stages = (await (await fetch(`${service.url}/v1/jobs/${job.id}/events`)).text()).matchAll(
      /"stage":"(\w+)"/g,
    );
    assert.deepEqual(
      [...new Set([...stages].map(([, stage]) => stage))],
      ['inventory', 'score', 'decide', 'apply', 'repair', 'evaluate', 'report'],
    );

    const { size_bytes, url } = job.artifacts.find(({ name }: { name: string }) => name === 'fc2.onnx');
    assert.ok(size_bytes < perceptron[2].byteLength);
    const bytes = new Uint8Array(await (await fetch(service.url + url)).arrayBuffer());
    assert.equal(bytes.byteLength, size_bytes);
    const smaller: Part = ['model', 'fc2.onnx', bytes];
    const { families } = await analyse(smaller);
    assert.deepEqual(
      families.map(({ name, n }: { name: string; n: number }) => [name, n]),
      [['1.weight', family.n_keep]],
    );
    const measured = await finished(await post([smaller, ...evaluation], { dry_run: true }));
    const again = await readJson(await fetch(`${service.url}/v1/jobs/${measured.id}/report`));
    assert.equal(again.evaluation.dense.loss, report.evaluation.pruned.loss);
    const page = await fetch(`${service.url}/v1/jobs/${job.id}/report`, { headers: { accept: 'text/html' } });
    assert.match(await page.text(), /1\.weight/);
  });
});

test('calibration data for l2_norm and a repair that finds nothing are passed over, and the report says so', async () => {
  const channels = { granularity: 'channel', criterion: 'l2_norm' };
  const warningsOf = async (recipe: object): Promise<[string, string][]> => {
    const job = await readJson(await post([perceptron, calibration], recipe));
    assert.equal(job.status, 'succeeded', JSON.stringify(job.error));
    const { verdict } = await readJson(await fetch(`${service.url}/v1/jobs/${job.id}/report`));
    return verdict.warnings.map(({ code, text }: { code: string; text: string }) => [code, text]);
  };
  const unused = new Map(await warningsOf(channels));
  assert.match(unused.get('input_not_used') ?? '', /: criterion l2_norm takes no calibration data\.$/);
  const skipped = new Map(await warningsOf({ ...channels, repair: ['batch_norm'] }));
  assert.match(
    skipped.get('repair_not_kept') ?? '',
    /repair batch_norm: .*the model has no BatchNormalization/,
  );
  assert.ok(!skipped.has('input_not_used'));
});
