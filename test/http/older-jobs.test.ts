import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openTestApp, readJson, readProblem, type TestApp } from './test-app.ts';

/** A job as it was stored before there were data to measure with: no such ids, a shorter report, no page. */
const JOB = {
  id: 'job_0123456789abcdefghjkmnpqrs',
  created_at: '2026-01-01T00:00:00.000Z',
  model_id: 'mdl_0123456789abcdefghjkmnpqrs',
  scores_dataset_id: null,
  recipe: { criterion: 'magnitude', scope: 'global' },
  metadata: {},
  request_sha256: '0',
};
const REPORT = {
  schema_version: 1,
  evaluation: null,
  verdict: { text: 'EMP removes all.', warnings: [{ code: 'of_then', text: 'Beware.' }] },
};
const RESULT = {
  status: 'succeeded',
  started_at: JOB.created_at,
  finished_at: JOB.created_at,
  error: null,
  summary: null,
  artifacts: [
    {
      name: 'report.json',
      media_type: 'application/json',
      size_bytes: Buffer.byteLength(JSON.stringify(REPORT)),
      sha256: '0',
    },
  ],
  timings_ms: { score: 1 },
};

const PATH = `/v1/jobs/${JOB.id}`;
let service: TestApp;
before(async () => {
  service = await openTestApp();
  const upload = await service.store.createUpload();
  await writeFile(join(upload.files, 'report.json'), JSON.stringify(REPORT));
  await upload.writeJson('result.json', RESULT);
  await service.store.publish('jobs', upload, JOB);
});
after(() => service.close());

test('an older job is described and listed as one without data', async () => {
  const job = await readJson(await service.fetch(PATH));
  assert.deepEqual([job.calibration_dataset_id, job.evaluation_dataset_id], [null, null]);
  assert.deepEqual((await readJson(await service.fetch('/v1/jobs'))).data, [job]);
});

test('its report comes as it was written, to a browser too', async () => {
  for (const accept of ['application/json', 'text/html, */*;q=0.8']) {
    const response = await service.fetch(`${PATH}/report`, { headers: { accept } });
    assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8');
    assert.deepEqual(await readJson(response), { ...REPORT, timings_ms: RESULT.timings_ms });
  }
});

test('it has no page', async () => {
  const response = await service.fetch(`${PATH}/report`, { headers: { accept: 'text/html' } });
  assert.equal(response.status, 406);
  assert.equal((await readProblem(response)).code, 'not_acceptable');
});
