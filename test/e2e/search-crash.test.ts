import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGaussian } from '../../bench/gaussian.ts';
import { createNpyOf } from '../formats/npy-bytes.ts';
import { fileOf } from '../http/test-app.ts';
import { writeMlp } from '../models/small-mlp.ts';
import { startRedis } from '../services/redis.ts';
import type { Service } from '../services/service.ts';
import { ServiceProcesses } from './service-process.ts';

const N = 800;
const FEATURES = 20;
/** A lock's time, what it takes to notice that nobody renews it, and the lines. */
const ENDS_WITHIN_MS = 100_000;

interface SearchView {
  id: string;
  status: string;
  candidates: { recipe: object }[];
  lines: { status: string }[];
  external: {
    status: string;
    metric: number | null;
    within: boolean | null;
    sparsity: number;
    recipe: { beta: number } | null;
  }[];
  best: { recipe: { beta: number }; job: { artifacts: { name: string; sha256: string }[] } } | null;
}

describe('kill -9 in the middle of a search', () => {
  let mlp: Awaited<ReturnType<typeof writeMlp>>;
  let redis: Service;
  let undisturbed: ReturnType<typeof tried>;
  const processes = new ServiceProcesses();
  const start = (...args: Parameters<ServiceProcesses['start']>) => processes.start(...args);
  const dataDirectory = () => processes.dataDirectory();
  const call = async <T>(url: string, init?: RequestInit): Promise<T> => {
    const response = await fetch(url, init);
    assert.ok(response.ok, `${url}: ${response.status} ${await response.clone().text()}`);
    return (await response.json()) as T;
  };
  const upload = async (
    url: string,
    path: string,
    parts: readonly [part: string, content: Uint8Array, name: string][],
  ) => {
    const form = new FormData();
    for (const [part, content, name] of parts) form.append(part, fileOf(content), name);
    return (await call<{ id: string }>(`${url}/v1/${path}`, { method: 'POST', body: form })).id;
  };
  const begin = async (
    url: string,
    terms: object = { promise: { max_accuracy_drop: 0.05 } },
  ): Promise<SearchView> => {
    const inputs = createNpyOf('<f4', await readFile(mlp.samples.inputs[0].path), [N, FEATURES]);
    const labels = createNpyOf('<i8', await readFile(mlp.samples.labels?.path ?? ''), [N]);
    const others = new Float32Array(N * FEATURES);
    createGaussian(7)(others);
    const body = JSON.stringify({
      model_id: await upload(url, 'models', [['file', await readFile(mlp.path), 'mlp.onnx']]),
      evaluation_dataset_id: await upload(url, 'datasets', [
        ['inputs', inputs, 'input.npy'],
        ['labels', labels, 'labels.npy'],
      ]),
      calibration_dataset_id: await upload(url, 'datasets', [
        ['inputs', createNpyOf('<f4', others, [N, FEATURES]), 'input.npy'],
      ]),
      ...terms,
      allow: { criteria: ['magnitude', 'wanda'], granularities: ['weight'], repairs: [] },
    });
    return call(`${url}/v1/searches`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
  };
  const until = async (url: string, id: string, holds: (search: SearchView) => boolean) => {
    const deadline = Date.now() + ENDS_WITHIN_MS;
    for (;;) {
      const search = await call<SearchView>(`${url}/v1/searches/${id}`);
      if (holds(search)) return search;
      assert.ok(Date.now() < deadline && search.status !== 'failed', JSON.stringify(search));
      await sleep(20);
    }
  };
  const linesEnded = (count: number) => (search: SearchView) =>
    search.lines.filter(({ status }) => status === 'succeeded').length >= count;
  const finished = ({ status }: SearchView) => status === 'succeeded';
  const tried = ({ candidates, best }: SearchView) => ({
    candidates,
    recipe: best?.recipe,
    model: best?.job.artifacts.find(({ name }) => name === 'mlp.onnx')?.sha256 ?? assert.fail(),
  });

  before(async () => {
    mlp = await writeMlp([FEATURES, 48, 32, 5], N);
    redis = await startRedis();
    const service = await start('all', {
      DATA_DIR: await dataDirectory(),
      REDIS_URL: redis.url,
      WORKER_CONCURRENCY: '1',
    });
    const { id } = await begin(service.url);
    undisturbed = tried(await until(service.url, id, finished));
    await service.stop('SIGTERM');
  });

  after(async () => {
    await processes[Symbol.asyncDispose]();
    await redis?.stop();
    await mlp?.[Symbol.asyncDispose]();
  });

  test('of the whole service between candidates of a client’s own metric: order and answers are kept', async () => {
    const environment = { DATA_DIR: await dataDirectory(), REDIS_URL: redis.url };
    let service = await start('all', environment);
    const { id } = await begin(service.url, {
      promise: { external: { direction: 'lower', max_drop: 0.3 } },
    });
    const betas: (number | undefined)[] = [];
    for (let kills = 0; ; ) {
      const waiting = ({ status, external }: SearchView) =>
        finished({ status } as SearchView) ||
        external.some((candidate) => candidate.status === 'succeeded' && candidate.metric === null);
      const { status, external } = await until(service.url, id, waiting);
      if (status === 'succeeded') break;
      const number = external.findIndex(
        (candidate) => candidate.status === 'succeeded' && candidate.metric === null,
      );
      betas[number] = external[number].recipe?.beta;
      assert.deepEqual(external.map(({ recipe }) => recipe?.beta).slice(0, betas.length), betas);
      const body = JSON.stringify({ value: external[number].sparsity ** 2 });
      const path = `${service.url}/v1/searches/${id}/candidates/${number}/metric`;
      await call(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      if (number % 4 !== 1 || kills >= 1) continue;
      kills++;
      await service.stop('SIGKILL');
      service = await start('all', environment);
    }
    const { best, external } = await until(service.url, id, finished);
    const within = external.filter((candidate) => candidate.within).map(({ sparsity }) => sparsity);
    const chosen = external.find(({ recipe }) => recipe?.beta === best?.recipe.beta);
    assert.equal(chosen?.sparsity, Math.max(...within));
    assert.ok(within.length > 1 && external.length > 5);
  });

  test('of the API between lines, and of a worker at one, with more workers after: the same is tried and found', async () => {
    const environment = { DATA_DIR: await dataDirectory(), REDIS_URL: redis.url };
    const api = await start('api', environment);
    const worker = await start('worker', { ...environment, WORKER_CONCURRENCY: '1' });
    const { id } = await begin(api.url);
    await until(api.url, id, linesEnded(1));
    await api.stop('SIGKILL');
    const next = await start('api', environment);
    await until(next.url, id, linesEnded(2));
    await worker.stop('SIGKILL');
    await start('worker', { ...environment, WORKER_CONCURRENCY: '3' });
    assert.deepEqual(tried(await until(next.url, id, finished)), undisturbed);
  });
});
