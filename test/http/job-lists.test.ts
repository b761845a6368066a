import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAX_LOOKED_AT } from '../../src/jobs/job-lists.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import { INDEX } from '../../src/storage/folder-layout.ts';
import { freshId } from '../../src/storage/ids.ts';
import { TimeIndex } from '../../src/storage/time-index.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { fileOf, readJson, readProblem } from './test-app.ts';
import { openTestService, type TestService } from './test-service.ts';

const N = 60;
const MODELS = ['mdl_00000000000000000000000000', 'mdl_11111111111111111111111111'];
const FIRST = Date.UTC(2026, 0, 1);

interface Listed {
  readonly id: string;
  readonly status: string;
  readonly model_id: string;
  readonly created_at: string;
  readonly summary: { readonly loss: number | null; readonly met: boolean | null } | null;
}

/** Every fifth has failed, every seventh of the others was not measured, and losses repeat. */
function endedJob(i: number): Listed {
  const hasFailed = i % 5 === 0;
  const isMeasured = i % 7 !== 0;
  return {
    id: freshId('job'),
    status: hasFailed ? 'failed' : 'succeeded',
    model_id: MODELS[i % 2],
    created_at: new Date(FIRST + i * 60_000).toISOString(),
    summary: hasFailed
      ? null
      : { loss: isMeasured ? ((i * 37) % 20) / 7 : null, met: isMeasured ? i % 3 === 0 : null },
  };
}

describe('a list of jobs', () => {
  let service: TestService;
  const jobs = Array.from({ length: N }, (_, i) => endedJob(i)).reverse();
  before(async () => {
    service = await openTestService();
    for (const job of jobs) await plant(job);
    for (const id of [jobs[7].id, freshId('job')])
      await index().add({ id, created_at: '2026-01-20T00:00:00.000Z' }, false);
  });
  after(() => service.close());

  /** As a crash leaves it, of nothing or of another time than the job's. */
  const index = () => new TimeIndex(join(service.store.root, INDEX, 'jobs'));

  /** As a job that has ended lies in the store. */
  async function plant({ status, summary, ...request }: Listed) {
    const { id, created_at } = request;
    const folder = join(service.store.root, 'jobs', id);
    await mkdir(folder, { recursive: true });
    const data = { scores_dataset_id: null, calibration_dataset_id: null, evaluation_dataset_id: null };
    const record = { ...request, ...data, recipe: recipeSchema.parse({}), metadata: {}, request_sha256: '' };
    const counts = { n: 8, n_keep: 4, sparsity: 0.5, n_eff: 4, preserved_mass: 1, preserved_mass_bound: 1 };
    const times = { started_at: created_at, finished_at: created_at, timings_ms: null };
    const result = {
      status,
      ...times,
      error: null,
      summary: summary && { ...counts, ...summary },
      artifacts: [],
    };
    await writeFile(join(folder, 'record.json'), JSON.stringify(record));
    await writeFile(join(folder, 'result.json'), JSON.stringify(result));
    await index().add({ id, created_at }, false);
  }

  const get = (query: string) => fetch(`${service.url}/v1/jobs?${query}`);
  const idsOf = (listed: readonly { id: string }[]) => listed.map(({ id }) => id);
  /** All pages of a list. */
  async function listed(query: string, between: (page: number) => Promise<void> = async () => {}) {
    const ids: string[] = [];
    let cursor = '';
    for (let page = 0; ; page++) {
      const { data, next_cursor } = await readJson(await get(`${query}${cursor}`));
      ids.push(...idsOf(data));
      if (next_cursor === null) return ids;
      assert.ok(data.length > 0, 'another page follows one of some');
      cursor = `&cursor=${next_cursor}`;
      await between(page);
    }
  }
  const lossOf = ({ summary }: Listed) => summary?.loss ?? null;

  test('has those of a filter, newest first, page by page', async () => {
    const filters: [string, (job: Listed) => boolean][] = [
      [`model_id=${MODELS[1]}`, ({ model_id }) => model_id === MODELS[1]],
      ['status=failed', ({ status }) => status === 'failed'],
      ['status=succeeded&met=true', ({ summary }) => summary?.met === true],
      [
        `met=false&model_id=${MODELS[0]}`,
        ({ summary, model_id }) => summary?.met === false && model_id === MODELS[0],
      ],
      ['status=running', () => false],
      ['search_id=sea_00000000000000000000000000', () => false],
      ['model_id=none', () => false],
    ];
    for (const [filter, isAsked] of filters)
      assert.deepEqual(await listed(`${filter}&limit=7`), idsOf(jobs.filter(isAsked)), filter);
    const all = jobs.filter(({ status }) => status === 'failed').length;
    const whole = await readJson(await get(`status=failed&limit=${all}`));
    assert.equal(whole.next_cursor, null, 'nothing follows a page that holds all');
  });

  test('is sorted by a figure, of those that have it, the newest of equal ones first', async () => {
    const valued = jobs.filter((job) => lossOf(job) !== null);
    const upwards = valued.toSorted((a, b) => Number(lossOf(a)) - Number(lossOf(b)));
    const downwards = valued.toSorted((a, b) => Number(lossOf(b)) - Number(lossOf(a)));
    assert.deepEqual(await listed('sort=loss&limit=7'), idsOf(upwards));
    assert.deepEqual(await listed('sort=-loss&limit=100'), idsOf(downwards));
    const met = upwards.filter(({ summary }) => summary?.met === true);
    assert.deepEqual(await listed('sort=loss&met=true&limit=3'), idsOf(met));
    assert.deepEqual(await listed('sort=speedup'), []);
  });

  test('goes on where its page ended, whatever comes and goes meanwhile', async () => {
    const known = await listed('sort=-loss&limit=100');
    const better = {
      ...endedJob(1),
      created_at: '2026-02-01T00:00:00.000Z',
      summary: { loss: 9, met: true },
    };
    const ids = await listed('sort=-loss&limit=5', async (page) => {
      if (page !== 1) return;
      await plant(better);
      assert.ok(await service.store.remove('jobs', known[9] ?? ''));
      assert.ok(await service.store.remove('jobs', known[12] ?? ''));
      await sleep(1100);
    });
    assert.deepEqual(ids, known.toSpliced(12, 1));
    const [first] = (await readJson(await get('sort=-loss&limit=1'))).data;
    assert.equal(first.id, better.id);
    for (const id of [known[9], known[12]]) await plant(jobs.find((job) => job.id === id) ?? assert.fail());
    assert.ok(await service.store.remove('jobs', better.id));
  });

  test('of a filter has jobs that wait', async () => {
    const form = new FormData();
    form.append('model', fileOf(createSafetensors({ 'fc.weight': [4, 8] })), 'model.safetensors');
    const { id } = await readJson(await fetch(`${service.url}/v1/jobs`, { method: 'POST', body: form }));
    assert.deepEqual(await listed('status=queued'), [id]);
    assert.ok(!(await listed('status=succeeded&limit=100')).includes(id));
    assert.ok(!(await listed('met=false&limit=100')).includes(id));
    assert.deepEqual(await listed('status=running'), []);
    await fetch(`${service.url}/v1/jobs/${id}/cancel`, { method: 'POST' });
    assert.deepEqual([await listed('status=queued'), await listed('status=canceled')], [[], [id]]);
  });

  test('looks at so many jobs a page, and says where it goes on', async () => {
    const older = Array.from({ length: MAX_LOOKED_AT }, (_, i) => ({
      ...endedJob(5),
      model_id: MODELS[0],
      created_at: new Date(FIRST - (i + 1) * 1000).toISOString(),
    }));
    const oldest = {
      ...endedJob(1),
      model_id: 'mdl_22222222222222222222222222',
      created_at: '2025-01-01T00:00:00.000Z',
    };
    for (const job of [...older, oldest]) await plant(job);
    const short = await readJson(await get(`model_id=${oldest.model_id}`));
    assert.deepEqual(short.data, []);
    const { data, next_cursor } = await readJson(
      await get(`model_id=${oldest.model_id}&cursor=${short.next_cursor}`),
    );
    assert.deepEqual([idsOf(data), next_cursor], [[oldest.id], null]);
  });

  test('is refused what it cannot be asked for', async () => {
    const { next_cursor } = await readJson(await get('sort=loss&limit=1'));
    const plain = (await readJson(await get('limit=1'))).next_cursor;
    const refused: [string, string, RegExp][] = [
      ['sort=size', '?sort', /^must be one of sparsity, -sparsity, loss, -loss, .*, is "size"$/],
      ['status=done', '?status', /^must be one of queued, running, succeeded, failed, canceled, is "done"$/],
      ['met=yes', '?met', /^must be one of true, false, is "yes"$/],
      [
        `sort=-loss&cursor=${next_cursor}`,
        '?cursor',
        /^must be the next_cursor of a page of jobs that is sorted by -loss$/,
      ],
      [
        `sort=loss&cursor=${plain}`,
        '?cursor',
        /^must be the next_cursor of a page of jobs that is sorted by loss$/,
      ],
      [`cursor=${next_cursor}`, '?cursor', /^must be the next_cursor of a page of jobs$/],
      ['figure=loss', '?figure', /^is not known here: expected limit, cursor, status, model_id/],
    ];
    for (const [query, path, message] of refused) {
      const response = await get(query);
      const { code, errors } = await readProblem(response);
      assert.deepEqual([response.status, code, errors[0]?.path], [422, 'invalid_request', path], query);
      assert.match(errors[0]?.message ?? '', message);
    }
  });
});
