import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { ANY_CONTENT } from '../../src/http/content-headers.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { fileOf, readJson, readProblem } from './test-app.ts';
import { openTestService, type TestService } from './test-service.ts';

let service: TestService;
let modelId: string;
before(async () => {
  service = await openTestService({ worker: true });
  const form = new FormData();
  form.append('file', fileOf(onnx), 'fc2-mnist.onnx');
  modelId = (await readJson(await fetch(`${service.url}/v1/models`, { method: 'POST', body: form }))).id;
});
after(() => service.close());

const onnx = await readFile(new URL('../../examples/fc2-mnist.onnx', import.meta.url));
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

const submit = (body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${service.url}/v1/jobs`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
const get = (path: string, init?: RequestInit) => fetch(service.url + path, init);
const WAIT = { prefer: 'wait=30' };

async function finished(response: Response) {
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}

/** The events of an SSE stream to its end. */
async function readEvents(
  response: Response,
): Promise<{ id: number; event: string; data: Record<string, unknown> }[]> {
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
  const blocks = (await response.text()).split('\n\n').filter((block) => block && !block.startsWith(':'));
  return blocks.map((block) => {
    const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s)));
    return { id: Number(fields.id), event: fields.event, data: JSON.parse(fields.data) };
  });
}

describe('a job from start to end', () => {
  let job: Awaited<ReturnType<typeof finished>>;
  before(async () => {
    const response = await submit({ model_id: modelId, metadata: { for: 'test' } }, WAIT);
    assert.equal(response.headers.get('preference-applied'), 'wait=30');
    job = await finished(response);
    assert.equal(response.headers.get('location'), `/v1/jobs/${job.id}`);
  });

  test('has a summary, defaults filled in, and its metadata', async () => {
    assert.deepEqual([job.status, job.error, job.progress.percent], ['succeeded', null, 100]);
    assert.deepEqual(job.metadata, { for: 'test' });
    assert.deepEqual([job.recipe.criterion, job.recipe.scope], ['magnitude', 'global']);
    assert.equal(job.summary.n, 784 * 100 + 100 * 10);
    assert.equal(job.summary.sparsity, 1 - job.summary.n_keep / job.summary.n);
    assert.deepEqual(await readJson(await get(`/v1/jobs/${job.id}`)), job);
    const { data } = await readJson(await get('/v1/jobs'));
    assert.ok(data.some(({ id }: { id: string }) => id === job.id));
  });

  test('has artifacts, each with its hash as a strong validator', async () => {
    const names = job.artifacts.map(({ name }: { name: string }) => name).sort();
    assert.deepEqual(names, [
      'fc2-mnist.onnx',
      'masks.safetensors',
      'report.html',
      'report.json',
      'report.md',
    ]);
    for (const artifact of job.artifacts) {
      const response = await get(artifact.url);
      const bytes = Buffer.from(await response.arrayBuffer());
      assert.deepEqual([bytes.length, sha256(bytes)], [artifact.size_bytes, artifact.sha256]);
      assert.equal(response.headers.get('etag'), `"${artifact.sha256}"`);
      assert.equal(response.headers.get('content-type')?.split(';')[0], artifact.media_type);
      assert.match(response.headers.get('content-disposition') ?? '', /^attachment/);

      const head = await get(artifact.url, { method: 'HEAD' });
      assert.equal(head.headers.get('content-length'), String(bytes.length));
      const tail = await get(artifact.url, {
        headers: { range: 'bytes=-3', 'if-range': `"${artifact.sha256}"` },
      });
      assert.equal(tail.status, 206);
      assert.deepEqual(Buffer.from(await tail.arrayBuffer()), bytes.subarray(-3));
      const cached = await get(artifact.url, { headers: { 'if-none-match': `W/"${artifact.sha256}"` } });
      assert.equal(cached.status, 304);
    }
  });

  test('has zeros where the dense model has the smallest weights', async () => {
    const artifact = job.artifacts.find(({ name }: { name: string }) => name === 'fc2-mnist.onnx');
    const pruned = Buffer.from(await (await get(artifact.url)).arrayBuffer());
    assert.equal(pruned.length, onnx.length);
    let changed = 0;
    for (let i = 0; i < pruned.length; i++) {
      if (pruned[i] === onnx[i]) continue;
      assert.equal(pruned[i], 0);
      changed++;
    }
    const zeroed = job.summary.n - job.summary.n_keep;
    assert.ok(changed > 3 * zeroed && changed <= 4 * zeroed, `${changed} bytes for ${zeroed} weights`);
  });

  test('has a report as JSON, unless a page is asked for', async () => {
    for (const accept of [
      '*/*',
      'application/json',
      'text/html;q=0.8, application/json',
      'text/*;q=0, */*',
    ]) {
      const response = await get(`/v1/jobs/${job.id}/report`, { headers: { accept } });
      assert.match(response.headers.get('content-type') ?? '', /^application\/json/, accept);
      assert.equal(response.headers.get('vary'), 'Accept');
      const report = await readJson(response);
      assert.deepEqual([report.schema_version, report.total.n_keep], [1, job.summary.n_keep]);
      for (const stage of ['inventory', 'score', 'decide', 'apply', 'report'])
        assert.ok(report.timings_ms[stage] >= 0, stage);
    }
  });

  test('has a report as Markdown, which begins with the decision', async () => {
    const artifact = job.artifacts.find(({ name }: { name: string }) => name === 'report.md');
    assert.equal(artifact.media_type, 'text/markdown');
    const { decision, origin } = await readJson(await get(`/v1/jobs/${job.id}/report`));
    assert.deepEqual([origin.job_id, origin.created_at], [job.id, job.created_at]);
    assert.deepEqual([decision.status, decision.sentence], [job.summary.decision, job.summary.sentence]);
    for (const accept of ['text/markdown', 'text/markdown, text/html;q=0.9']) {
      const response = await get(`/v1/jobs/${job.id}/report`, { headers: { accept } });
      assert.equal(response.headers.get('content-type'), 'text/markdown; charset=utf-8');
      const text = await response.text();
      assert.equal(sha256(Buffer.from(text)), artifact.sha256);
      assert.ok(text.indexOf(`${decision.badge}.**`) < text.indexOf('## In full'), 'the badge comes first');
      assert.ok(text.includes(job.id), 'the calls to repeat it name the job');
    }
  });

  test('has a report as a page that may run nothing and load nothing', async () => {
    const artifact = job.artifacts.find(({ name }: { name: string }) => name === 'report.html');
    assert.equal(artifact.media_type, 'text/html');
    const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8';
    for (const accept of [browser, 'text/html', 'application/json;q=0.5, text/*', 'text/html, */*;q=0.1']) {
      const response = await get(`/v1/jobs/${job.id}/report`, { headers: { accept } });
      assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8', accept);
      assert.equal(
        response.headers.get('content-security-policy'),
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      );
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
      assert.equal(response.headers.get('content-disposition'), null);
      assert.equal(response.headers.get('vary'), 'Accept');
      assert.equal(sha256(Buffer.from(await response.arrayBuffer())), artifact.sha256);
    }
    const head = await get(`/v1/jobs/${job.id}/report`, { method: 'HEAD', headers: { accept: 'text/html' } });
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(artifact.size_bytes)]);
  });

  test('has a report in no other form', async () => {
    for (const accept of ['text/plain', 'image/png', 'application/json;q=0, text/html;q=0']) {
      const response = await get(`/v1/jobs/${job.id}/report`, { headers: { accept } });
      assert.deepEqual(
        [response.status, (await readProblem(response)).code],
        [406, 'not_acceptable'],
        accept,
      );
    }
  });

  test('replays its events, to the one that was seen last', async () => {
    const path = `/v1/jobs/${job.id}/events`;
    const stream = await get(path);
    for (const [name, value] of Object.entries(ANY_CONTENT)) assert.equal(stream.headers.get(name), value);
    const events = await readEvents(stream);
    assert.deepEqual(
      events.map(({ id }) => id),
      events.map((_, i) => i + 1),
    );
    const last = events.at(-1);
    assert.deepEqual([last?.event, last?.data], ['succeeded', job]);
    for (const { data } of events.slice(0, -1))
      assert.deepEqual(Object.keys(data).sort(), ['percent', 'stage']);
    const rest = await readEvents(
      await get(path, { headers: { 'last-event-id': String(events.length - 1) } }),
    );
    assert.deepEqual(rest, events.slice(-1));
    const seen = await get(path, { headers: { 'last-event-id': String(events.length) } });
    assert.equal(seen.status, 204);
    assert.equal(
      (await readProblem(await get(path, { headers: { 'last-event-id': 'x' } }))).code,
      'invalid_request',
    );
  });

  test('has no other artifact, however it is spelled', async () => {
    for (const name of ['other', 'result.json', '..%2fresult.json', '..%2f..%2f..%2frecord.json']) {
      assert.equal((await readProblem(await get(`/v1/jobs/${job.id}/artifacts/${name}`))).code, 'not_found');
    }
  });

  test('is canceled to no effect, and deleted once', async () => {
    assert.deepEqual(await readJson(await get(`/v1/jobs/${job.id}/cancel`, { method: 'POST' })), job);
    assert.equal((await get(`/v1/jobs/${job.id}`, { method: 'DELETE' })).status, 204);
    for (const [path, method] of [
      ['', 'GET'],
      ['', 'DELETE'],
      ['/events', 'GET'],
      ['/report', 'GET'],
      ['/cancel', 'POST'],
    ]) {
      const response = await get(`/v1/jobs/${job.id}${path}`, { method: method as string });
      assert.deepEqual([response.status, (await readProblem(response)).code], [404, 'not_found']);
    }
  });
});

describe('POST /v1/jobs', () => {
  test('an idempotency key returns the first job, and refuses another request', async () => {
    const headers = { 'idempotency-key': 'test 1' };
    const body = { model_id: modelId, recipe: { dry_run: true } };
    const first = await submit(body, headers);
    assert.equal(first.status, 202);
    assert.equal(first.headers.get('idempotency-replayed'), null);
    const second = await submit(body, headers);
    assert.equal(second.headers.get('idempotency-replayed'), 'true');
    assert.equal((await readJson(second)).id, (await readJson(first)).id);
    const other = await readProblem(await submit({ model_id: modelId }, headers));
    assert.equal(other.code, 'idempotency_key_reused');
    const long = await readProblem(await submit(body, { 'idempotency-key': 'x'.repeat(256) }));
    assert.deepEqual([long.code, long.errors[0]?.path], ['invalid_request', 'Idempotency-Key']);
  });

  const refused: [string, unknown, string, ...string[]][] = [
    ['no model', {}, 'invalid_request', '/model_id'],
    ['a model that is not there', { model_id: 'mdl_0123456789' }, 'invalid_request', '/model_id'],
    ['an unknown field', { webhook_url: 'https://x' }, 'invalid_request', '/webhook_url'],
    ['an unknown recipe field', { recipe: { round_to: 8 } }, 'invalid_request', '/recipe/round_to'],
    ['a target of nothing', { recipe: { target: {} } }, 'invalid_request', '/recipe/target'],
    [
      'beta and budget',
      { recipe: { beta: 1, budget: { sparsity: 0.5 } } },
      'invalid_request',
      '/recipe/budget',
    ],
    ['beta 0', { recipe: { beta: 0 } }, 'invalid_request', '/recipe/beta'],
    [
      'scores without a criterion',
      { scores_dataset_id: 'dat_0123456789' },
      'invalid_request',
      '/scores_dataset_id',
    ],
    [
      'a criterion without scores',
      { recipe: { criterion: 'scores' } },
      'invalid_request',
      '/recipe/criterion',
      '/scores_dataset_id',
    ],
    [
      'globs that match nothing',
      { recipe: { include: ['nothing*'] } },
      'invalid_request',
      '/recipe/include/0',
    ],
    ['nothing left', { recipe: { exclude: ['*'] } }, 'no_prunable_tensors', '/recipe/exclude'],
    ['metadata that is no string', { metadata: { a: 1 } }, 'invalid_request', '/metadata/a'],
  ];
  for (const [what, body, code, ...paths] of refused) {
    test(`refuses ${what}`, async () => {
      const response = await submit({
        ...(what === 'no model' ? {} : { model_id: modelId }),
        ...(body as object),
      });
      const problem = await readProblem(response);
      assert.deepEqual([response.status, problem.code], [422, code]);
      assert.deepEqual(problem.errors.map(({ path }) => path).slice(0, paths.length), paths);
    });
  }

  test('refuses what is not JSON', async () => {
    const headers = { 'content-type': 'application/json' };
    for (const body of ['{', '']) {
      const response = await get('/v1/jobs', { method: 'POST', body, headers });
      assert.deepEqual([response.status, (await readProblem(response)).code], [400, 'malformed_body']);
    }
  });
});

describe('one call with the model in it', () => {
  const model = createSafetensors({ 'fc.weight': [4, 8], 'fc.bias': [4] });
  const scores = createSafetensors({ 'fc.weight': [4, 8] });

  function send(parts: Record<string, string | [Uint8Array, string]>, headers: Record<string, string> = {}) {
    const form = new FormData();
    for (const [name, part] of Object.entries(parts)) {
      if (typeof part === 'string') form.append(name, part);
      else form.append(name, fileOf(part[0]), part[1]);
    }
    return get('/v1/jobs', { method: 'POST', body: form, headers });
  }

  test('prunes by uploaded scores', async () => {
    const recipe = JSON.stringify({ criterion: 'scores', scope: 'layer' });
    const job = await finished(
      await send(
        {
          model: [model, 'm.safetensors'],
          scores: [scores, 's.safetensors'],
          recipe,
          metadata: '{"a": "b"}',
        },
        WAIT,
      ),
    );
    assert.deepEqual([job.status, job.metadata], ['succeeded', { a: 'b' }]);
    assert.equal(job.summary.n, 32);
    const dataset = await readJson(await get(`/v1/datasets/${job.scores_dataset_id}`));
    assert.deepEqual(dataset.arrays, [{ name: 'fc.weight', shape: [4, 8], dtype: 'float32' }]);
    const again = await submit(
      { model_id: job.model_id, scores_dataset_id: job.scores_dataset_id, recipe: JSON.parse(recipe) },
      WAIT,
    );
    assert.deepEqual((await finished(again)).summary, job.summary);
    for (const path of [`/v1/models/${job.model_id}`, `/v1/datasets/${job.scores_dataset_id}`])
      assert.equal((await get(path, { method: 'DELETE' })).status, 204);
  });

  test('leaves nothing behind when it is refused', async () => {
    const kept = () => service.files(['models', 'datasets', 'uploads']);
    const before = await kept();
    const wrong = createSafetensors({ 'fc.weight': [8, 4] });
    const broken: [string, Parameters<typeof send>[0], string][] = [
      ['invalid_request', { recipe: '{}' }, 'model'],
      ['invalid_request', { model: [model, 'm.safetensors'], recipe: '{' }, 'recipe'],
      ['invalid_request', { model: [model, 'm.safetensors'], recipe: '{"beta": "1"}' }, '/recipe/beta'],
      [
        'invalid_request',
        { model: [model, 'm.safetensors'], recipe: '{"criterion": "scores"}' },
        '/recipe/criterion',
      ],
      ['malformed_safetensors', { model: [model.subarray(0, 30), 'm.safetensors'] }, ''],
      [
        'scores_mismatch',
        {
          model: [model, 'm.safetensors'],
          scores: [wrong, 's.safetensors'],
          recipe: '{"criterion": "scores"}',
        },
        '',
      ],
      ['invalid_request', { model: [model, 'm.safetensors'], calibration: 'x' }, 'calibration'],
      ['invalid_request', { model: [model, 'm.safetensors'], probes: 'x' }, 'probes'],
    ];
    for (const [code, parts, path] of broken) {
      const problem = await readProblem(await send(parts));
      assert.equal(problem.code, code, problem.detail);
      if (path) assert.equal(problem.errors[0]?.path, path);
    }
    const headers = { 'idempotency-key': 'one call' };
    // Ended: a running job writes files too.
    const first = await submit(
      { model_id: modelId, recipe: { dry_run: true } },
      { ...headers, prefer: 'wait=30' },
    );
    assert.equal(((await first.json()) as { status: string }).status, 'succeeded');
    const reused = await readProblem(await send({ model: [model, 'm.safetensors'] }, headers));
    assert.equal(reused.code, 'idempotency_key_reused');
    assert.deepEqual(await kept(), before);
  });
});
