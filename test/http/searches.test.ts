import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGaussian } from '../../bench/gaussian.ts';
import { createNpyOf } from '../formats/npy-bytes.ts';
import { writeMlp } from '../models/small-mlp.ts';
import { fileOf, readJson, readProblem } from './test-app.ts';
import { openTestService, type TestService } from './test-service.ts';

const N = 1200;
const FEATURES = 20;
const LIMIT = 0.05;
/** Accuracies are quotients: a drop of exactly the limit is within it. */
const ROUNDING = 1e-9;

interface SearchView {
  id: string;
  status: string;
  error: { code: string; detail: string } | null;
  candidates: {
    line: number;
    recipe: { beta: number; granularity: string };
    compressed_bytes: number;
    parameters: number;
    accuracy: number;
    cosine_distance: number | null;
    relative_l2: number | null;
    within: boolean;
  }[];
  front: number[];
  lines: { job_id: string | null; status: string; error: string | null; recipe: object }[];
  external: {
    status: string;
    metric: number | null;
    drop: number | null;
    within: boolean | null;
    sparsity: number;
    job_id: string | null;
  }[];
  finished_at: string | null;
  selection_dataset_id: string | null;
  left_out: { reason: string; recipe: { granularity: string } }[];
  best: { recipe: { beta: number }; met: boolean; certified: number | null; job: JobView } | null;
  dense: { accuracy: number; compressed_bytes: number };
}
interface JobView {
  id: string;
  status: string;
  search_id: string | null;
  selection_dataset_id: string | null;
  summary: { pruned_zstd_bytes: number; accuracy: number; dense_accuracy: number };
  artifacts: { name: string; sha256: string }[];
}

describe('a search', () => {
  let mlp: Awaited<ReturnType<typeof writeMlp>>;
  let service: TestService;
  let ids: { model_id: string; evaluation_dataset_id: string; calibration_dataset_id: string };

  const upload = async (
    path: string,
    parts: Readonly<Record<string, [content: Uint8Array, name: string]>>,
  ) => {
    const form = new FormData();
    for (const [part, [content, name]] of Object.entries(parts)) form.append(part, fileOf(content), name);
    const response = await fetch(`${service.url}/v1/${path}`, { method: 'POST', body: form });
    const text = await response.text();
    assert.ok(response.ok, text);
    return (JSON.parse(text) as { id: string }).id;
  };
  const labelsPath = () => mlp.samples.labels?.path ?? assert.fail();
  const samples = async (labels?: Uint8Array) => ({
    inputs: [createNpyOf('<f4', await readFile(mlp.samples.inputs[0].path), [N, FEATURES]), 'input.npy'] as [
      Uint8Array,
      string,
    ],
    ...(labels && { labels: [labels, 'labels.npy'] as [Uint8Array, string] }),
  });
  /** Of the same distribution. */
  const otherSamples = () => {
    const numbers = new Float32Array(N * FEATURES);
    createGaussian(7)(numbers);
    return { inputs: [createNpyOf('<f4', numbers, [N, FEATURES]), 'input.npy'] as [Uint8Array, string] };
  };
  const post = (body: object) =>
    fetch(`${service.url}/v1/searches`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-request-id': 'asks-to-search' },
      body: JSON.stringify({ ...ids, ...body }),
    });
  const begin = async (body: object): Promise<SearchView> => {
    const response = await post(body);
    const text = await response.text();
    assert.equal(response.status, 202, text);
    return JSON.parse(text);
  };
  const get = async (id: string): Promise<SearchView> =>
    readJson(await fetch(`${service.url}/v1/searches/${id}`));
  const ended = async ({ id }: { id: string }): Promise<SearchView> => {
    for (;;) {
      const search = await get(id);
      if (['succeeded', 'failed', 'canceled'].includes(search.status)) return search;
      await sleep(100);
    }
  };

  before(async () => {
    mlp = await writeMlp([FEATURES, 48, 32, 5], N);
    service = await openTestService({ worker: true });
    const labels = createNpyOf('<i8', await readFile(labelsPath()), [N]);
    ids = {
      model_id: await upload('models', { file: [await readFile(mlp.path), 'mlp.onnx'] }),
      evaluation_dataset_id: await upload('datasets', await samples(labels)),
      calibration_dataset_id: await upload('datasets', otherSamples()),
    };
  });
  after(async () => {
    await service?.close();
    await mlp?.[Symbol.asyncDispose]();
  });

  const modelOf = ({ artifacts }: JobView) => artifacts.find(({ name }) => name === 'mlp.onnx')?.sha256;
  const plain = { criteria: ['magnitude'], granularities: ['weight'], repairs: [] };
  const allow = { criteria: ['magnitude', 'l2_norm'], repairs: ['least_squares'] };
  const promise = { max_accuracy_drop: LIMIT };

  test('finds a model within the promise, and a job with its recipe gives the same bytes', async () => {
    const { id } = await begin({ promise, allow, metadata: { for: 'a test' } });
    const search = await ended({ id });
    assert.deepEqual([search.status, search.error], ['succeeded', null]);
    const { best, candidates, dense, front, left_out } = search;
    assert.ok(best?.met);
    const { summary } = best.job;
    assert.ok(summary.dense_accuracy - summary.accuracy <= LIMIT + ROUNDING);
    const within = candidates.filter((candidate) => candidate.within);
    const least = Math.min(...within.map(({ compressed_bytes }) => compressed_bytes));
    assert.equal(summary.pruned_zstd_bytes, least);
    assert.ok(least < 0.9 * dense.compressed_bytes);
    for (const candidate of within) assert.ok(dense.accuracy - candidate.accuracy <= LIMIT + ROUNDING);
    const sizes = front.map((place) => candidates[place].compressed_bytes);
    const accuracies = front.map((place) => candidates[place].accuracy);
    assert.deepEqual(
      sizes,
      sizes.toSorted((a, b) => a - b),
    );
    assert.deepEqual(
      accuracies,
      accuracies.toSorted((a, b) => a - b),
    );
    assert.ok(left_out.every(({ recipe }) => recipe.granularity !== 'weight'));
    // Where the structures were not found in time, by the jobs of these lines.
    const reasons = [
      ...left_out.map(({ reason }) => reason),
      ...search.lines.map(({ error }) => error ?? ''),
    ];
    assert.ok(reasons.some((reason) => /no head/.test(reason)));

    const again = await fetch(`${service.url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=60' },
      body: JSON.stringify({ ...ids, recipe: best.recipe }),
    });
    const job: JobView = await readJson(again);
    assert.equal(modelOf(job), modelOf(best.job));
    assert.deepEqual([job.search_id, best.job.search_id], [null, id]);

    const reportAs = async (accept: string) => {
      const response = await fetch(`${service.url}/v1/searches/${id}/report`, { headers: { accept } });
      assert.equal(response.headers.get('content-type'), `${accept}; charset=utf-8`);
      return await response.text();
    };
    assert.deepEqual(JSON.parse(await reportAs('application/json')), search);
    const markdown = await reportAs('text/markdown');
    assert.match(markdown, /stays within an accuracy drop of 5 points on samples that no candidate saw/);
    const page = await reportAs('text/html');
    assert.match(page, /^<!DOCTYPE html>/);
    // A row for each of the front, and the model itself; lines that were tried, and those that were not.
    const rows = front.length + 1 + search.lines.length + left_out.length;
    assert.equal(page.match(/<tr><th scope="row">/g)?.length, rows);
    const [first, rest] = [
      markdown.slice(0, markdown.indexOf('## In full')),
      markdown.slice(markdown.indexOf('## In full')),
    ];
    assert.equal(rest.match(/^\| (?!recipe|line|---)/gm)?.length, rows);
    // The decision comes first: that of the best's own job, its figures, and the front.
    for (const text of [first, page.slice(0, page.indexOf('<section'))]) {
      assert.ok(text.includes('Within the promise'));
      // 5 points on so few samples: an estimate.
      assert.ok(text.includes('Ship it if an estimate will do:') && text.includes('accuracy'));
      for (const title of ['Download', 'Loss', 'Accuracy', 'Speed']) assert.ok(text.includes(title), title);
      assert.ok(text.includes(`/v1/jobs/${best.job.id}/report`));
    }
    assert.equal(first.match(/^\|.*(yes|no)( \(the best\))? \|$/gm)?.length, front.length);
    const own = await fetch(`${service.url}/v1/searches/${id}/artifacts/mlp.onnx`);
    assert.equal(
      createHash('sha256')
        .update(new Uint8Array(await own.arrayBuffer()))
        .digest('hex'),
      modelOf(best.job),
    );
    assert.equal((await fetch(`${service.url}/v1/searches/${id}/artifacts/none`)).status, 404);

    const { job_id } = search.lines.find(({ status }) => status === 'succeeded') ?? assert.fail();
    const report = await readProblem(await fetch(`${service.url}/v1/jobs/${job_id}/report`));
    assert.match(report.detail, /tries a line of search/);
    const list = await readJson(await fetch(`${service.url}/v1/searches`));
    assert.equal(list.data[0].id, id);
    assert.equal(list.data[0].candidates, undefined);
  });

  test('has jobs that know the request which began it', async () => {
    const search = await ended(await begin({ promise, allow: plain }));
    const jobs = search.lines.flatMap(({ job_id }) => job_id ?? []);
    assert.ok(jobs.length > 0);
    for (const id of [...jobs, search.best?.job.id ?? '']) {
      const { data } = await readJson(await fetch(`${service.url}/v1/jobs/${id}/logs`));
      assert.deepEqual([data[0].event, data[0].request_id], ['submitted', 'asks-to-search']);
    }
  });

  test('is the same again, by the same seed', async () => {
    const terms = {
      promise,
      allow: plain,
      aim: 'parameters',
    };
    const [one, other] = await Promise.all([begin(terms).then(ended), begin(terms).then(ended)]);
    assert.deepEqual(one.candidates, other.candidates);
    assert.deepEqual(one.best?.recipe, other.best?.recipe);
    const parameters = one.candidates.map((candidate) => candidate.parameters);
    assert.equal(
      Math.min(...one.candidates.filter(({ within }) => within).map((it) => it.parameters)),
      one.candidates.find(({ recipe }) => recipe.beta === one.best?.recipe.beta)?.parameters,
    );
    assert.ok(parameters.every(Number.isInteger));
  });

  test('keeps a promise with confidence on samples that it did not choose by', async () => {
    const search = await begin({
      promise: { ...promise, confidence: 0.9 },
      allow: plain,
    }).then(ended);
    assert.ok(search.best?.met);
    assert.equal(search.best.certified, LIMIT);
  });

  test('chooses on selection data, and reports all evaluation data', async () => {
    const numbers = new Float32Array(40 * FEATURES);
    createGaussian(8)(numbers);
    const inputs: [Uint8Array, string] = [createNpyOf('<f4', numbers, [40, FEATURES]), 'input.npy'];
    const selection_dataset_id = await upload('datasets', { inputs });
    const terms = { selection_dataset_id, promise: { max_relative_l2: 0.3 }, allow: plain };
    const search = await begin({ ...terms, limits: { max_candidates: 4 } }).then(ended);
    assert.equal(search.selection_dataset_id, selection_dataset_id);
    const { best } = search;
    assert.ok(best?.job.selection_dataset_id === selection_dataset_id);
    const reportOf = async ({ id }: { id: string }) =>
      readJson(await fetch(`${service.url}/v1/jobs/${id}/report`));
    const { evaluation } = await reportOf(best.job);
    assert.deepEqual(
      [evaluation.n_samples, evaluation.search.n_samples, evaluation.search.seed],
      [N, 40, null],
    );
    const measured = search.candidates.find(({ recipe }) => recipe.beta === best.recipe.beta);
    assert.equal(evaluation.search.evaluations[0].relative_l2, measured?.relative_l2);

    const listed = (query: string) => fetch(`${service.url}/v1/searches/${search.id}/candidates?${query}`);
    const numbered = search.candidates.map((candidate, number) => ({ ...candidate, number }));
    assert.deepEqual(await readJson(await listed('')), { data: numbered });
    const within = numbered.filter((candidate) => candidate.within);
    assert.ok(within.length > 0 && within.length < numbered.length);
    const drift = ({ relative_l2 }: { relative_l2: number | null }) => Number(relative_l2);
    assert.deepEqual(await readJson(await listed('within=true&sort=-relative_l2&line=0')), {
      data: within.toSorted((a, b) => drift(b) - drift(a)),
    });
    assert.deepEqual(await readJson(await listed('sort=accuracy')), { data: [] });
    const { code, errors } = await readProblem(await listed('sort=size'));
    assert.deepEqual([code, errors[0]?.path], ['invalid_request', '?sort']);

    const again = await fetch(`${service.url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=60' },
      body: JSON.stringify({ ...ids, selection_dataset_id, recipe: best.recipe }),
    });
    const job: JobView = await readJson(again);
    assert.equal(modelOf(job), modelOf(best.job));
    assert.ok(modelOf(job));
  });

  test('without labels goes by the dense model', async () => {
    const evaluation_dataset_id = ids.calibration_dataset_id;
    const search = await begin({
      evaluation_dataset_id,
      calibration_dataset_id: null,
      promise: { max_disagreement: 0.1 },
      allow: plain,
    }).then(ended);
    assert.ok(search.best?.met);
    const byDirection = await begin({
      evaluation_dataset_id,
      calibration_dataset_id: null,
      promise: { max_cosine_distance: 0.05 },
      allow: plain,
    }).then(ended);
    assert.ok(byDirection.best?.met);
    const within = byDirection.candidates.filter((candidate) => candidate.within);
    assert.ok(within.length > 0 && within.every(({ cosine_distance }) => Number(cosine_distance) <= 0.05));
    const refused = await readProblem(
      await post({ evaluation_dataset_id, promise, allow: { granularities: ['weight'] } }),
    );
    assert.equal(refused.code, 'invalid_request');
    assert.ok(
      refused.errors.some(({ path }) => path === '/promise'),
      JSON.stringify(refused),
    );
    assert.ok(refused.errors.some(({ path }) => path === '/evaluation_dataset_id'));
  });

  test('of data that are not the model’s ends with the cause, and without a model', async () => {
    const labels = BigInt64Array.from({ length: N }, (_, i) => BigInt((i * 7) % 5));
    const npy = createNpyOf('<i8', labels, [N]);
    const search = await begin({
      evaluation_dataset_id: await upload('datasets', await samples(npy)),
      promise,
      allow,
    }).then(ended);
    assert.deepEqual([search.status, search.best], ['failed', null]);
    assert.match(search.error?.detail ?? '', /cannot be told from guessing/);
    assert.equal(
      search.lines.filter(({ job_id }) => job_id !== null).length,
      1,
      'the others would fail alike',
    );
  });

  test('tells its lines as they end, and ends its stream with the search', async () => {
    const { id } = await begin({ promise, allow: plain });
    const text = await (await fetch(`${service.url}/v1/searches/${id}/events`)).text();
    const events = [...text.matchAll(/^id: (\d+)\nevent: (\w+)\ndata: (.*)$/gm)];
    assert.deepEqual(events.map(([, number]) => Number(number)).slice(-2), [
      events.length - 1,
      events.length,
    ]);
    const [, , name, data] = events.at(-1) ?? assert.fail();
    assert.deepEqual([name, JSON.parse(data).id], ['succeeded', id]);
    const percents = events.slice(0, -1).map(([, , , progress]) => JSON.parse(progress).percent);
    assert.deepEqual(
      percents,
      percents.toSorted((a, b) => a - b),
    );
  });

  test('is canceled with its jobs, holds what it needs until then, and can be deleted after', async () => {
    const { id } = await begin({ promise, allow });
    const conflict = await fetch(`${service.url}/v1/searches/${id}`, { method: 'DELETE' });
    assert.equal(conflict.status, 409);
    const held = await fetch(`${service.url}/v1/models/${ids.model_id}`, { method: 'DELETE' });
    const { code, detail } = await readProblem(held);
    assert.equal(code, 'conflict');
    assert.match(detail, new RegExp(`^search ${id} uses model |^job job_`));
    const canceled: SearchView = await readJson(
      await fetch(`${service.url}/v1/searches/${id}/cancel`, { method: 'POST' }),
    );
    assert.equal(canceled.status, 'canceled');
    const { lines } = await get(id);
    assert.ok(lines.every(({ status }) => ['canceled', 'succeeded', 'not_tried'].includes(status)));
    const jobs = lines.flatMap(({ job_id }) => job_id ?? []);
    assert.ok(jobs.length > 0);
    const remove = (job: string) => fetch(`${service.url}/v1/jobs/${job}`, { method: 'DELETE' });
    for (const job of jobs)
      assert.match(
        (await readProblem(await remove(job))).detail,
        /is part of search sea_.*: delete that first/,
      );
    assert.equal((await fetch(`${service.url}/v1/searches/${id}`, { method: 'DELETE' })).status, 204);
    assert.equal((await fetch(`${service.url}/v1/searches/${id}`)).status, 404);
    for (const job of jobs) assert.equal((await remove(job)).status, 204);
  });

  describe('by a metric of the client’s own', () => {
    const external = { direction: 'higher', max_drop: 0.3 };
    const tell = (id: string, candidate: number | string, value: unknown) =>
      fetch(`${service.url}/v1/searches/${id}/candidates/${candidate}/metric`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ value }),
      });
    const asked = async (id: string): Promise<{ candidate: number; sparsity: number } | null> => {
      for (;;) {
        const search = await get(id);
        if (search.finished_at) return null;
        const candidate = search.external.findIndex(
          ({ status, metric }) => status === 'succeeded' && metric === null,
        );
        if (candidate !== -1) return { candidate, sparsity: search.external[candidate].sparsity };
        await sleep(50);
      }
    };
    const worth = (sparsity: number) => 0.9 - sparsity;

    test('waits for each candidate, without evaluation data, and ends with the best', async () => {
      const { id } = await begin({ evaluation_dataset_id: null, promise: { external }, allow: plain });
      let most = 0;
      for (let next = await asked(id); next !== null; next = await asked(id)) {
        assert.equal((await get(id)).status === 'succeeded', false);
        most = Math.max(most, next.candidate);
        assert.equal((await tell(id, next.candidate, worth(next.sparsity))).status, 200);
      }
      assert.ok(most <= 13);
      const search = await get(id);
      assert.equal(search.status, 'succeeded');
      const within = search.external.filter((candidate) => candidate.within);
      const best = search.external.findIndex(({ job_id }) => job_id === search.best?.job.id);
      assert.equal(search.best?.met, true);
      assert.equal(search.external[best].sparsity, Math.max(...within.map(({ sparsity }) => sparsity)));
      assert.ok(search.external[best].sparsity > 0.25 && search.external[best].sparsity <= 0.3);
      const artifact = await fetch(`${service.url}/v1/jobs/${search.best?.job.id}/artifacts/mlp.onnx`);
      assert.equal(artifact.status, 200);
    });

    test('takes the first answer for good, and none that it does not ask for', async () => {
      const { id } = await begin({ promise: { external } });
      assert.equal((await asked(id))?.candidate, 0);
      for (const spelling of ['', '%20', '0x0', '00', '0e0', '0.0', '-0', '+0']) {
        const response = await tell(id, spelling, 0.1);
        assert.deepEqual([response.status, (await readProblem(response)).code], [404, 'not_found'], spelling);
      }
      assert.equal((await get(id)).external[0].metric, null);
      assert.equal((await tell(id, 0, 0.9)).status, 200);
      assert.equal((await tell(id, 0, 0.9)).status, 200, 'the same again');
      const other = await readProblem(await tell(id, 0, 0.8));
      assert.deepEqual([other.code, /0\.9, which stands/.test(other.detail)], ['conflict', true]);
      for (const [candidate, value, code] of [
        [5, 1, 'not_found'],
        [14, 1, 'not_found'],
        ['x', 1, 'not_found'],
        [1, 'good', 'invalid_request'],
        [0, 2e300, 'invalid_request'],
        [0, -1e301, 'invalid_request'],
      ] as const)
        assert.equal((await readProblem(await tell(id, candidate, value))).code, code);
      await fetch(`${service.url}/v1/searches/${id}/cancel`, { method: 'POST' });
      const late = await readProblem(await tell(id, 1, 0.5));
      assert.ok(['conflict', 'not_found'].includes(late.code));
    });

    test('tells of values whose difference is more than a number holds', async () => {
      const { id } = await begin({ promise: { external } });
      await asked(id);
      // As an earlier version took them.
      await service.store.decideOnce(
        { kind: 'searches', id, name: 'metric-0.json' },
        JSON.stringify({ value: 1e308 }),
      );
      const next = await asked(id);
      assert.equal(next?.candidate, 1);
      await service.store.decideOnce(
        { kind: 'searches', id, name: 'metric-1.json' },
        JSON.stringify({ value: -1e308 }),
      );
      const search = await get(id);
      assert.deepEqual([search.external[1].drop, search.external[1].within], [null, false]);
      await fetch(`${service.url}/v1/searches/${id}/cancel`, { method: 'POST' });
    });

    test('goes without a confidence, and with one metric alone', async () => {
      for (const given of [
        { external, confidence: 0.9 },
        { external, max_kl: 0.1 },
      ])
        assert.equal((await post({ promise: given })).status, 422);
      const { code, errors } = await readProblem(await post({ evaluation_dataset_id: null, promise }));
      assert.deepEqual(
        [code, errors.map(({ path }) => path)],
        ['invalid_request', ['/evaluation_dataset_id']],
      );
    });
  });

  test('is one of a hundred at most that go on', async () => {
    const others = Array.from({ length: 100 }, (_, i) => `sea_${String(i).padStart(26, '0')}`);
    for (const id of others) await service.store.addUnfinished(id);
    const refused = await post({ promise, allow });
    assert.equal(refused.headers.get('retry-after') === null, false);
    assert.equal((await readProblem(refused)).code, 'queue_full');
    for (const id of others) await service.store.removeUnfinished(id);
  });

  test('what could only fail is refused, by the fields of the search', async () => {
    const codeOf = async (body: object) => {
      const { code, errors } = await readProblem(await post(body));
      return [code, errors.map(({ path }) => path).sort()];
    };
    assert.deepEqual(await codeOf({}), ['invalid_request', ['/promise']]);
    assert.deepEqual(await codeOf({ promise: {} }), ['invalid_request', ['/promise']]);
    assert.deepEqual(await codeOf({ promise, allow: { criteria: ['scores'] } }), [
      'invalid_request',
      ['/allow/criteria/0'],
    ]);
    assert.deepEqual(await codeOf({ promise, selection_dataset_id: ids.evaluation_dataset_id }), [
      'invalid_request',
      ['/selection_dataset_id'],
    ]);
    assert.deepEqual(await codeOf({ promise, model_id: 'mdl_0000000000000000000000000a' }), [
      'invalid_request',
      ['/model_id'],
    ]);
    assert.deepEqual(await codeOf({ promise, aim: 'speed', allow: { granularities: ['weight'] } }), [
      'invalid_request',
      ['/allow'],
    ]);
    const few = await readProblem(await post({ promise: { max_disagreement: 0.001, confidence: 0.99 } }));
    assert.match(few.detail, /4,?6\d\d/);
    assert.ok(
      few.errors.some(({ path }) => path === '/promise/max_disagreement'),
      JSON.stringify(few.errors),
    );
  });
});
