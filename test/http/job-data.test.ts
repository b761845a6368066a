import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { createNpyOf } from '../formats/npy-bytes.ts';
import { encode, floats, model, node } from '../models/build-model.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { FLOAT, INT64, inputOfType, typedInput, typedModel } from '../models/typed-model.ts';
import { fileOf, readJson, readProblem } from './test-app.ts';
import { openTestService, type TestService } from './test-service.ts';

type Part = [part: string, name: string, content: Uint8Array];

const count = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);
const float = (...shape: number[]) => createNpyOf('<f4', new Float32Array(count(shape)), shape);
const double = (...shape: number[]) => createNpyOf('<f8', new Float64Array(count(shape)), shape);
const int64 = (...shape: number[]) => createNpyOf('<i8', new BigInt64Array(count(shape)), shape);

/** Two nodes without gradient rules, one of them after the weight `w`. */
const oddModel = encode(
  model({
    nodes: [
      node('Fancy', ['x'], ['z'], {}, 'com.example'),
      node('MatMul', ['z', 'w'], ['a']),
      node('Fancy', ['a'], ['b'], {}, 'com.example'),
      node('MatMul', ['b', 'v'], ['y']),
    ],
    initializers: [floats('w', [4, 4]), floats('v', [4, 3])],
    inputs: [['x', [4, 4]]],
    outputs: [['y', [4, 3]]],
  }),
);

/** By what the tests call them. */
const MODELS = {
  one: ['m.onnx', await readFile(new URL('../../examples/fc2-mnist.onnx', import.meta.url))],
  two: ['m.onnx', typedModel(typedInput('x', FLOAT, ['batch', 4]), typedInput('ids', INT64, ['batch', 7]))],
  odd: ['m.onnx', oddModel],
  fixed: ['m.onnx', typedModel(typedInput('x', FLOAT, [4, 4]))],
  sequence: [
    'm.onnx',
    typedModel(
      typedInput('x', FLOAT, [1, 4]),
      inputOfType('past', { case: 'sequenceType', value: {} } as never),
    ),
  ],
  graphless: ['m.safetensors', createSafetensors({ 'fc.weight': [4, 4] })],
} as const satisfies Record<string, [string, Uint8Array]>;
type Model = keyof typeof MODELS;

const DATASETS = {
  images: [['inputs', 'any.npy', float(8, 1, 28, 28)]],
  labelled: [
    ['inputs', 'any.npy', float(8, 1, 28, 28)],
    ['labels', 'y.npy', int64(8)],
  ],
  chosen: [
    ['inputs', 'any.npy', float(6, 1, 28, 28)],
    ['labels', 'y.npy', int64(6)],
  ],
  flat: [['inputs', 'any.npy', float(8, 784)]],
  doubles: [['inputs', 'any.npy', double(8, 1, 28, 28)]],
  pair: [
    ['inputs', 'x.npy', float(8, 4)],
    ['inputs', 'ids.npy', int64(8, 7)],
  ],
  half: [['inputs', 'x.npy', float(8, 4)]],
  misnamed: [
    ['inputs', 'x.npy', float(8, 4)],
    ['inputs', 'id.npy', int64(8, 7)],
  ],
  short: [
    ['inputs', 'x.npy', float(8, 4)],
    ['inputs', 'ids.npy', int64(8, 6)],
  ],
  classified: [
    ['inputs', 'x.npy', float(8, 4)],
    ['labels', 'y.npy', int64(8)],
  ],
  numbered: [
    ['inputs', 'x.npy', float(8, 4)],
    ['labels', 'y.npy', float(8, 3)],
  ],
  six: [['inputs', 'x.npy', float(6, 4)]],
  scores: [['scores', 's.safetensors', createSafetensors({ w: [4, 3] })]],
} as const satisfies Record<string, readonly Part[]>;
type Dataset = keyof typeof DATASETS;

let service: TestService;
const models = new Map<Model, string>();
const datasets = new Map<Dataset, string>();
before(async () => {
  service = await openTestService();
  for (const [name, [file, content]] of Object.entries(MODELS))
    models.set(name as Model, (await readJson(await post('/v1/models', [['file', file, content]]))).id);
  for (const [name, parts] of Object.entries(DATASETS))
    datasets.set(name as Dataset, (await readJson(await post('/v1/datasets', parts))).id);
});
after(() => service.close());

function post(path: string, parts: readonly Part[], texts: Record<string, string> = {}): Promise<Response> {
  const form = new FormData();
  for (const [part, name, content] of parts) form.append(part, fileOf(content), name);
  for (const [part, text] of Object.entries(texts)) form.append(part, text);
  return fetch(service.url + path, { method: 'POST', body: form });
}

interface Request {
  readonly model: Model;
  readonly recipe?: object;
  readonly scores?: Dataset;
  readonly calibration?: Dataset;
  readonly selection?: Dataset;
  readonly evaluation?: Dataset;
}

function submit({ model, recipe, ...data }: Request): Promise<Response> {
  const ids = Object.entries(data).map(([kind, name]) => [`${kind}_dataset_id`, datasets.get(name)]);
  const body = { model_id: models.get(model), ...(recipe && { recipe }), ...Object.fromEntries(ids) };
  return fetch(`${service.url}/v1/jobs`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  });
}

/** The same job with all that it needs in one call. */
function submitAtOnce({ model, recipe, ...data }: Request): Promise<Response> {
  const parts: Part[] = [['model', ...MODELS[model]]];
  for (const [kind, name] of Object.entries(data)) {
    for (const [part, file, content] of DATASETS[name] as readonly Part[])
      parts.push([part === 'labels' ? `${kind}_labels` : kind, file, content]);
  }
  return post('/v1/jobs', parts, recipe ? { recipe: JSON.stringify(recipe) } : {});
}

const WANDA = { criterion: 'wanda' };
const TARGET = { target: { max_loss_increase: 0.01 } };
const SWEEP = { sweep_betas: [0.5, 1] };
const NO_GRAPH = /^a safetensors file holds no graph to run: send the ONNX export$/;
const RUNS = /^is (given|wanda), and needs a model that runs$/;

/** Paths as one call names them; sent as JSON, `calibration` is `/calibration_dataset_id`. */
const REFUSED: [what: string, Request, code: string, [path: string, message: RegExp][]][] = [
  [
    'a data-driven criterion for a safetensors model',
    { model: 'graphless', recipe: WANDA, calibration: 'half' },
    'invalid_request',
    [
      ['/recipe/criterion', RUNS],
      ['model', NO_GRAPH],
    ],
  ],
  [
    'evaluation, a search and a sweep of a safetensors model, dry or not',
    { model: 'graphless', recipe: { ...TARGET, ...SWEEP, dry_run: true }, evaluation: 'half' },
    'invalid_request',
    [
      ['/recipe/target', RUNS],
      ['/recipe/sweep_betas', RUNS],
      ['evaluation', RUNS],
      ['model', NO_GRAPH],
    ],
  ],
  [
    'channels of a safetensors model, by what its layers read',
    {
      model: 'graphless',
      recipe: { granularity: 'channel', criterion: 'variance' },
      calibration: 'half',
    },
    'invalid_request',
    [
      ['/recipe/granularity', /^is channel, and needs a model that runs$/],
      ['/recipe/criterion', /^is variance, and needs a model that runs$/],
      [
        'model',
        /^a safetensors file holds no graph to run: send the ONNX export, or give granularity weight$/,
      ],
    ],
  ],
  [
    'structures by gradients without labels',
    { model: 'one', recipe: { granularity: 'head', criterion: 'taylor_rms' }, calibration: 'images' },
    'invalid_request',
    [
      ['/recipe/criterion', /^is taylor_rms and needs calibration data with labels, and \S+ has no labels$/],
      ['calibration', /^has no labels, and the criterion is taylor_rms$/],
    ],
  ],
  [
    'a data-driven criterion without data',
    { model: 'one', recipe: { criterion: 'activation', dry_run: true } },
    'invalid_request',
    [
      ['/recipe/criterion', /^is activation, and \S+ is missing$/],
      ['calibration', /^is missing, and the criterion is activation$/],
    ],
  ],
  [
    'a criterion of gradients without labels',
    { model: 'one', recipe: { criterion: 'saliency_rms' }, calibration: 'images' },
    'invalid_request',
    [
      [
        '/recipe/criterion',
        /^is saliency_rms and needs calibration data with labels, and \S+ has no labels$/,
      ],
      ['calibration', /^has no labels, and the criterion is saliency_rms$/],
    ],
  ],
  [
    'an estimate of curvature without data',
    { model: 'one', recipe: { hessian_probes: 4 } },
    'invalid_request',
    [
      ['/recipe/hessian_probes', /^is 4, and \S+ is missing$/],
      ['calibration', /^is missing, and hessian_probes is 4$/],
    ],
  ],
  [
    'an estimate of curvature without labels',
    { model: 'one', recipe: { hessian_probes: 4 }, calibration: 'images' },
    'invalid_request',
    [
      ['/recipe/hessian_probes', /^is 4 and needs calibration data with labels, and \S+ has no labels$/],
      ['calibration', /^has no labels, and hessian_probes is 4$/],
    ],
  ],
  [
    'an estimate of curvature past operators without gradients',
    { model: 'odd', recipe: { hessian_probes: 1, dry_run: true }, calibration: 'classified' },
    'unsupported_model',
    [['Fancy_b', /^Fancy of com\.example has no gradient rule$/]],
  ],
  [
    'an estimate of curvature for another criterion',
    { model: 'one', recipe: { criterion: 'taylor', hessian_probes: 4 }, calibration: 'images' },
    'invalid_request',
    [['/recipe/hessian_probes', /^goes with criterion magnitude, .*, not with taylor$/]],
  ],
  [
    'operators without gradients after the weights',
    { model: 'odd', recipe: { criterion: 'taylor', dry_run: true }, calibration: 'classified' },
    'unsupported_model',
    [['Fancy_b', /^Fancy of com\.example has no gradient rule$/]],
  ],
  [
    'a search and a sweep without data',
    { model: 'one', recipe: { ...TARGET, ...SWEEP } },
    'invalid_request',
    [
      ['/recipe/target', /^needs evaluation data, and \S+ is missing$/],
      ['/recipe/sweep_betas', /^needs evaluation data, and \S+ is missing$/],
      ['evaluation', /^is missing, and the recipe has target and sweep_betas$/],
    ],
  ],
  [
    'a search without labels',
    { model: 'one', recipe: TARGET, evaluation: 'images' },
    'invalid_request',
    [
      ['/recipe/target', /^needs evaluation data with labels, and \S+ has no labels$/],
      ['evaluation', /^has no labels, and the recipe has target$/],
    ],
  ],
  [
    'a search for an accuracy where the labels give none',
    { model: 'odd', recipe: { target: { max_accuracy_drop: 0.01 } }, evaluation: 'numbered' },
    'invalid_request',
    [
      [
        '/recipe/target/max_accuracy_drop',
        /^needs an accuracy, and labels that are floats of the output's shape give squared errors alone: give max_loss_increase$/,
      ],
      ['evaluation', /^has labels that give no accuracy, and the recipe has max_accuracy_drop$/],
    ],
  ],
  [
    'data of another dtype',
    { model: 'one', evaluation: 'doubles' },
    'samples_mismatch',
    [['evaluation', /^input "input" is float64: expected float32, as arr\.astype\('<f4'\) makes it$/]],
  ],
  [
    'data of another rank',
    { model: 'one', recipe: WANDA, calibration: 'flat' },
    'samples_mismatch',
    [['calibration', /^input "input" has shape \[8, 784\]: expected 4 axes, \[batch, 1, 28, 28\]$/]],
  ],
  [
    'data without one of the inputs',
    { model: 'two', evaluation: 'half', recipe: { dry_run: true } },
    'samples_mismatch',
    [['evaluation', /^input "ids" is missing: expected int64 \[batch, 7\]$/]],
  ],
  [
    'data under a name that is no input',
    { model: 'two', evaluation: 'misnamed' },
    'samples_mismatch',
    [
      ['evaluation', /^input "ids" is missing: expected int64 \[batch, 7\]$/],
      ['evaluation', /^the model has no input "id": its inputs are "x", "ids"$/],
    ],
  ],
  [
    'data of another fixed dimension',
    { model: 'two', evaluation: 'short' },
    'samples_mismatch',
    [['evaluation', /^input "ids" has shape \[8, 6\]: expected 7 on axis 1, \[batch, 7\]$/]],
  ],
  [
    'samples that do not fill batches of a fixed size',
    { model: 'fixed', evaluation: 'six' },
    'samples_mismatch',
    [['evaluation', /^input "x" has shape \[6, 4\]: expected a multiple of 4 samples/]],
  ],
  [
    'tensors that no layer multiplies by, for a criterion that looks at its layer',
    { model: 'one', recipe: { ...WANDA, include: ['*.bias'] }, calibration: 'images' },
    'unsupported_model',
    [
      ['1.bias', /^no layer multiplies by it; exclude it or use criterion magnitude$/],
      ['3.bias', /^no layer multiplies by it/],
    ],
  ],
  [
    'data for a model whose input is no tensor',
    { model: 'sequence', evaluation: 'half' },
    'unsupported_model',
    [['past', /^must take a tensor$/]],
  ],
];

describe('a job that could only fail is refused, and nothing stays', () => {
  for (const [what, request, code, findings] of REFUSED) {
    for (const [how, send, pathOf] of [
      ['on uploaded data', submit, pointerOf],
      ['in one call', submitAtOnce, (path: string) => path],
    ] as const) {
      test(`${what}, ${how}`, async () => {
        const before = await service.files();
        const response = await send(request);
        const problem = await readProblem(response);
        assert.deepEqual([response.status, problem.code], [422, code], problem.detail);
        assert.deepEqual(
          problem.errors.map(({ path }) => path),
          findings.map(([path]) => pathOf(path)),
        );
        for (const [i, [, message]] of findings.entries())
          assert.match(problem.errors[i]?.message ?? '', message);
        assert.deepEqual(await service.files(), before);
      });
    }
  }

  function pointerOf(path: string): string {
    if (path === 'model') return '/model_id';
    return Object.hasOwn({ scores: 0, calibration: 0, evaluation: 0 }, path) ? `/${path}_dataset_id` : path;
  }

  test('a dataset of the wrong kind, and one that is not there', async () => {
    for (const [request, path, message] of [
      [
        { model: 'one', recipe: { criterion: 'scores' }, scores: 'images' },
        '/scores_dataset_id',
        'samples: expected a dataset of scores',
      ],
      [
        { model: 'one', recipe: WANDA, calibration: 'scores' },
        '/calibration_dataset_id',
        'scores: expected a dataset of samples',
      ],
      [
        { model: 'one', evaluation: 'scores' },
        '/evaluation_dataset_id',
        'scores: expected a dataset of samples',
      ],
    ] as [Request, string, string][]) {
      const { errors } = await readProblem(await submit(request));
      assert.equal(errors[0]?.path, path);
      assert.ok(errors[0].message.endsWith(`holds ${message}`), errors[0].message);
    }
    for (const kind of ['calibration', 'selection', 'evaluation']) {
      const response = await fetch(`${service.url}/v1/jobs`, {
        method: 'POST',
        body: JSON.stringify({ model_id: models.get('one'), [`${kind}_dataset_id`]: 'dat_0123456789' }),
        headers: { 'content-type': 'application/json' },
      });
      const { errors } = await readProblem(response);
      assert.deepEqual(errors, [
        { path: `/${kind}_dataset_id`, message: 'there is no dataset dat_0123456789' },
      ]);
    }
  });

  test('parts of one call that make no set of samples', async () => {
    const model: Part = ['model', ...MODELS.one];
    const refused: [Part[], string, string, RegExp][] = [
      [
        [['evaluation_labels', 'y.npy', int64(8)]],
        'invalid_request',
        'evaluation_labels',
        /without evaluation$/,
      ],
      [
        [['selection_labels', 'y.npy', int64(8)]],
        'invalid_request',
        'selection_labels',
        /without selection$/,
      ],
      [
        [['calibration_labels', 'y.npy', int64(8)]],
        'invalid_request',
        'calibration_labels',
        /without calibration$/,
      ],
      [
        [
          ['evaluation', 'x.npy', float(8, 1, 28, 28)],
          ['evaluation_labels', 'y.npy', int64(7)],
        ],
        'invalid_labels',
        'evaluation_labels',
        /^has labels for 7 samples, evaluation has 8$/,
      ],
      [[['calibration', 'x.npy', float(0, 1, 28, 28)]], 'invalid_request', 'calibration', /^is an empty set/],
      [[['evaluation', 'x.npz', float(1)]], 'unsupported_media_type', 'evaluation', /must be a \.npy file/],
    ];
    const before = await service.files();
    for (const [parts, code, path, message] of refused) {
      const problem = await readProblem(await post('/v1/jobs', [model, ...parts]));
      assert.deepEqual([problem.code, problem.errors[0]?.path], [code, path], problem.detail);
      assert.match(problem.errors[0]?.message ?? '', message);
    }
    assert.deepEqual(await service.files(), before);
  });
});

describe('a job with data', () => {
  const REQUEST: Request = {
    model: 'one',
    recipe: { ...WANDA, ...TARGET, ...SWEEP },
    calibration: 'images',
    selection: 'chosen',
    evaluation: 'labelled',
  };

  async function accepted(response: Response) {
    const text = await response.text();
    assert.equal(response.status, 202, text);
    return JSON.parse(text);
  }
  const send = (method: string, path: string) => fetch(service.url + path, { method });

  test('needs its data until it has ended', async () => {
    const job = await accepted(await submit(REQUEST));
    assert.deepEqual([job.scores_dataset_id, job.calibration_dataset_id], [null, datasets.get('images')]);
    assert.deepEqual(
      [job.selection_dataset_id, job.evaluation_dataset_id],
      [datasets.get('chosen'), datasets.get('labelled')],
    );
    for (const name of ['images', 'chosen', 'labelled'] as const) {
      const id = datasets.get(name);
      const response = await send('DELETE', `/v1/datasets/${id}`);
      assert.deepEqual([response.status, (await readProblem(response)).code], [409, 'conflict']);
    }
    assert.equal((await send('DELETE', `/v1/datasets/${datasets.get('flat')}`)).status, 204);
    assert.equal((await post('/v1/datasets', DATASETS.flat)).status, 201);
    assert.equal((await send('POST', `/v1/jobs/${job.id}/cancel`)).status, 200);
  });

  test('may come in one call, its data published with it', async () => {
    const uploaded = await accepted(await submit(REQUEST));
    await send('POST', `/v1/jobs/${uploaded.id}/cancel`);
    const names = ['images', 'chosen', 'labelled'] as const;
    for (const name of names)
      assert.equal((await send('DELETE', `/v1/datasets/${datasets.get(name)}`)).status, 204);
    const job = await accepted(await submitAtOnce(REQUEST));
    const data = ['calibration_dataset_id', 'selection_dataset_id', 'evaluation_dataset_id'];
    for (const name of ['model_id', ...data, 'recipe']) assert.deepEqual(job[name], uploaded[name], name);
    for (const name of names) {
      const again = await post('/v1/datasets', DATASETS[name]);
      assert.equal(again.status, 200);
      assert.equal((await readJson(again)).id, datasets.get(name));
    }
    assert.deepEqual(await service.files(['uploads']), []);
    await send('POST', `/v1/jobs/${job.id}/cancel`);
  });

  test('takes the arrays of several inputs by name, and the same set twice', async () => {
    const request: Request = { model: 'two', recipe: WANDA, calibration: 'pair', evaluation: 'pair' };
    for (const job of [await accepted(await submit(request)), await accepted(await submitAtOnce(request))]) {
      assert.equal(job.calibration_dataset_id, datasets.get('pair'));
      assert.equal(job.evaluation_dataset_id, datasets.get('pair'));
      await send('POST', `/v1/jobs/${job.id}/cancel`);
    }
    assert.deepEqual(await service.files(['uploads']), []);
  });
});
