import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createNpyOf } from '../formats/npy-bytes.ts';
import {
  bytesOf,
  type GivenArray,
  rateModel,
  sliceOf,
  stateModel,
  unbatchedModel,
} from '../runtime/fed-models.ts';
import { fileOf, readJson, readProblem } from './test-app.ts';
import { type FilePart, openTestService, postFiles, type TestService } from './test-service.ts';

let service: TestService;
before(async () => {
  service = await openTestService({ worker: true });
});
after(() => service.close());

const rate = rateModel();
const { state, sr, x } = rate.given;
const file = (part: string, name: string, { shape, numbers }: GivenArray): FilePart => [
  part,
  `${name}.npy`,
  createNpyOf(numbers instanceof BigInt64Array ? '<i8' : '<f4', numbers, shape),
];
const RECIPE = { criterion: 'wanda', granularity: 'channel', round_to: 1, repair: ['least_squares'] };

async function jobOf(parts: readonly FilePart[], recipe: object = RECIPE, model = bytesOf(rate)) {
  const response = await postFiles(service.url, [['model', 'm.onnx', model], ...parts], recipe);
  const job = await readJson(response);
  assert.deepEqual([response.status, job.status, job.error], [200, 'succeeded', null], JSON.stringify(job));
  return { job, report: await readJson(await fetch(`${service.url}/v1/jobs/${job.id}/report`)) };
}

async function refusalOf(parts: readonly FilePart[], model = bytesOf(rate)) {
  const response = await postFiles(service.url, [['model', 'm.onnx', model], ...parts], {
    criterion: 'wanda',
  });
  return { status: response.status, ...(await readProblem(response)) };
}

function upload(parts: readonly FilePart[]): Promise<Response> {
  const form = new FormData();
  for (const [part, name, content] of parts) form.append(part, fileOf(content), name);
  return fetch(`${service.url}/v1/datasets`, { method: 'POST', body: form });
}

describe('inputs that are not samples', () => {
  test('come among the others, or as constants, along with a job or before it', async () => {
    const labels = file('evaluation_labels', 'y', rate.labels);
    const along = await jobOf([
      ...(['calibration', 'evaluation'] as const).flatMap((part) => [
        file(part, 'x', x),
        file(part, 'state', state),
        file(part, 'sr', sr),
      ]),
      labels,
    ]);
    const apart = await jobOf([
      ...(['calibration', 'evaluation'] as const).flatMap((part) => [
        file(part, 'x', x),
        file(part, 'state', state),
        file(`${part}_constants`, 'sr', sr),
      ]),
      labels,
    ]);
    const dataset = await readJson(
      await upload([
        file('inputs', 'x', x),
        file('inputs', 'state', state),
        file('constants', 'sr', sr),
        file('labels', 'y', rate.labels),
      ]),
    );
    const { id, sha256: _, created_at: __, size_bytes: ___, ...described } = dataset;
    assert.deepEqual(described, {
      kind: 'samples',
      n_samples: 6,
      inputs: [
        { name: 'sr', shape: [], dtype: 'int64', constant: true },
        { name: 'state', shape: [2, 6, 16], dtype: 'float32' },
        { name: 'x', shape: [6, 5, 10], dtype: 'float32' },
      ],
      labels: { shape: [6], dtype: 'int64' },
    });
    assert.deepEqual(await readJson(await fetch(`${service.url}/v1/datasets/${id}`)), dataset);
    const response = await fetch(`${service.url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=60' },
      body: JSON.stringify({
        model_id: along.job.model_id,
        calibration_dataset_id: id,
        evaluation_dataset_id: id,
        recipe: RECIPE,
      }),
    });
    const { status, summary } = await readJson(response);
    assert.equal(status, 'succeeded');
    // What is measured of speed differs from run to run, and so does what is said of it.
    const timed = { speedup: 1, speedup_low: 1, speedup_high: 1, speedup_is_difference: null, sentence: '' };
    for (const other of [apart.job.summary, summary])
      assert.deepEqual({ ...other, ...timed }, { ...along.job.summary, ...timed });
    assert.equal(along.report.evaluation.n_samples, 6);
    assert.equal(apart.report.evaluation.dense.loss, along.report.evaluation.dense.loss);
    assert.notEqual(apart.job.evaluation_dataset_id, along.job.evaluation_dataset_id);
  });

  test('are fed one at a time to a model that has no axis for samples', async () => {
    const unbatched = unbatchedModel();
    const { report } = await jobOf(
      [
        file('calibration', 'x', unbatched.given.x),
        file('evaluation', 'x', unbatched.given.x),
        file('evaluation_labels', 'y', unbatched.labels),
      ],
      RECIPE,
      bytesOf(unbatched),
    );
    assert.equal(report.evaluation.n_samples, 6);
  });
});

describe('before a job is accepted', () => {
  const turned: GivenArray = { shape: [6, 2, 16], numbers: state.numbers };
  const refused: [string, FilePart[], [path: string, message: RegExp][]][] = [
    [
      'a state whose layers would be taken for samples',
      [file('calibration', 'x', x), file('calibration', 'state', turned), file('calibration', 'sr', sr)],
      [
        [
          'calibration',
          /^input "state" has shape \[6, 2, 16\]: expected 2 on axis 0, \[2, batch, 16\], where axis 1 counts the samples$/,
        ],
      ],
    ],
    [
      'states of fewer samples',
      [
        file('calibration', 'x', x),
        file('calibration', 'state', { shape: [2, 5, 16], numbers: state.numbers.slice(0, 160) }),
        file('calibration_constants', 'sr', sr),
      ],
      [
        [
          'calibration',
          /^the arrays have no number of samples in common: "x" has 6 on axis 0, "state" has 5 on axis 1$/,
        ],
      ],
    ],
    [
      'constants that hold several samples',
      [
        file('calibration', 'x', x),
        file('calibration_constants', 'state', state),
        file('calibration', 'sr', sr),
      ],
      [
        [
          'calibration',
          /^constant "state" has shape \[2, 6, 16\]: expected \[2, 1, 16\], the same for all samples$/,
        ],
      ],
    ],
    [
      'a constant that is left out',
      [file('calibration', 'x', x), file('calibration', 'state', state)],
      [['calibration', /^input "sr" is missing: expected int64 \[\]$/]],
    ],
    [
      'an array that is both',
      [file('calibration', 'x', x), file('calibration', 'sr', sr), file('calibration_constants', 'sr', sr)],
      [['calibration_constants', /^has "sr", which calibration has too$/]],
    ],
    [
      'constants alone',
      [file('calibration_constants', 'state', sliceOf(state, 1, 0))],
      [['calibration_constants', /^is given without calibration$/]],
    ],
  ];
  for (const [what, parts, findings] of refused) {
    test(`refuses ${what}`, async () => {
      const { status, errors, detail } = await refusalOf(parts);
      assert.equal(status, 422, detail);
      for (const [path, message] of findings) {
        assert.ok(
          errors.some((error) => error.path === path && message.test(error.message)),
          `${message} in ${JSON.stringify(errors)}`,
        );
      }
    });
  }

  test('refuses labels that no axis counts', async () => {
    const labels: GivenArray = { shape: [5, 6], numbers: new BigInt64Array(30) };
    const problem = await refusalOf(
      [
        file('calibration', 'x', x),
        file('calibration', 'state', state),
        file('calibration_labels', 'y', labels),
      ],
      bytesOf(stateModel({ outputs: [['y', ['batch', 4]]] })),
    );
    assert.equal(problem.code, 'invalid_labels');
    assert.match(problem.detail, /labels have shape \[5, 6\]: expected 6, the number of samples, on axis 0/);
  });

  test('a dataset is taken whose axes only a model tells', async () => {
    const square = { shape: [6, 10, 16], numbers: new Float32Array(960) };
    const other = { shape: [10, 6, 16], numbers: new Float32Array(960) };
    const dataset = await readJson(await upload([file('inputs', 'x', square), file('inputs', 'h', other)]));
    assert.equal(dataset.n_samples, null);
  });
});
