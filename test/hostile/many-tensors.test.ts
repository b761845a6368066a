import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type HostileRequest, post, postModel, postParts } from '../../scripts/fuzz/attack.ts';
import { HealthWatch } from '../../scripts/fuzz/health-watch.ts';
import { type Answer, send } from '../../scripts/fuzz/send.ts';
import { readTreeUsage } from '../../scripts/process-tree.ts';
import { SERVICE, type Server, startServer } from '../../scripts/start-server.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { HEALTH_MS } from './open-arena.ts';

const IDLE = new URL('../../scripts/fuzz/idle-server.ts', import.meta.url);
const PATIENCE_MS = 120_000;
/** Requests at the same time. */
const MANY = 12;
/** Readers, a worker's child and the service itself. */
const PEAK_MEBIBYTES = 2500;
const MEBIBYTE = 2 ** 20;

/** The names of tensors of small matrices. */
function matrices(count: number): Record<string, number[]> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`layers.${i}.weight`, [2, 2]]));
}

/** A job whose plan is refused once the names of all tensors have been looked at. */
function misfit(modelId: string): HostileRequest {
  const body = JSON.stringify({ model_id: modelId, recipe: { include: ['nothing*'] } });
  return post('/v1/jobs', 'application/json', body);
}

function get(path: string): HostileRequest {
  return { ...post(path, '', ''), method: 'GET', headers: {} };
}

describe('what is said of very many tensors holds nobody up', () => {
  let directory = '';
  let server: Server;
  let idle: Server;
  let health: HealthWatch;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'emp-tensors-'));
    server = await startServer(SERVICE, { DATA_DIR: directory, LOG_LEVEL: 'fatal' });
    idle = await startServer(IDLE, {});
    health = new HealthWatch(`${server.baseUrl}/healthz`, `${idle.baseUrl}/healthz`);
  });
  after(async () => {
    await health[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await idle[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  const ask = (request: HostileRequest, ms = PATIENCE_MS): Promise<Answer> =>
    send(server.baseUrl, request, ms);

  /** Does something, and asserts that nobody noticed. */
  async function unnoticed<T>(work: () => Promise<T>): Promise<T> {
    health.reset();
    let peakBytes = 0;
    const timer = setInterval(async () => {
      const { memoryBytes } = await readTreeUsage(server.pid ?? 0);
      peakBytes = Math.max(peakBytes, memoryBytes);
    }, 200);
    const done = await work().finally(() => clearInterval(timer));
    const [longestMs = Number.NaN, idleMs = Number.NaN] = health.longestMs();
    assert.ok(longestMs - idleMs < HEALTH_MS, `${longestMs} ms, an idle server ${idleMs} ms`);
    assert.ok(peakBytes < PEAK_MEBIBYTES * MEBIBYTE, `${(peakBytes / MEBIBYTE).toFixed()} MiB`);
    return done;
  }

  /** From a thousand to as many as the largest of today's models have. */
  for (const count of [1e3, 1e5])
    describe(`${count} tensors`, () => {
      let modelId = '';

      test('an upload of them', async () => {
        const request = postModel('m.safetensors', createSafetensors(matrices(count)));
        const { status, text } = await unnoticed(() => ask(request));
        assert.equal(status, 201, text.slice(0, 300));
        modelId = /mdl_\w+/.exec(text)?.[0] ?? '';
      });

      test('many jobs of a few bytes on them', async (t) => {
        const answers = await unnoticed(() =>
          Promise.all(Array.from({ length: MANY }, () => ask(misfit(modelId)))),
        );
        const statuses = answers.map(({ status }) => status);
        t.diagnostic(`${statuses}`);
        for (const { status, text } of answers) {
          assert.ok([422, 503].includes(status), text);
          if (status === 422) assert.equal(JSON.parse(text).errors[0].path, '/recipe/include/0');
        }
        assert.ok(statuses.includes(422));
      });

      test('an upload of scores of them, and whoever reads of it', async () => {
        const content = createSafetensors(matrices(count));
        const upload = postParts('/v1/datasets', [{ name: 'scores', filename: 's.safetensors', content }]);
        await unnoticed(async () => {
          const { status, text } = await ask(upload);
          assert.equal(status, 201, text.slice(0, 300));
          const whole = await ask(get(`/v1/datasets/${/dat_\w+/.exec(text)?.[0]}`));
          assert.equal(whole.status, 200);
          assert.ok(whole.byteLength > count * 50);
          const list = await ask(get('/v1/datasets'));
          assert.ok(list.byteLength < 1000, `a list of ${list.byteLength} bytes`);
        });
      });

      test('jobs that nobody waits for any more are not planned', async () => {
        const { status } = await unnoticed(async () => {
          await Promise.all(Array.from({ length: MANY }, () => ask(misfit(modelId), 200)));
          return ask(misfit(modelId));
        });
        assert.equal(status, 422);
      });
    });
});
