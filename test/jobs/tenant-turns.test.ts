import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { messagePriority, PRIORITY, turnOf } from '../../src/jobs/job-lanes.ts';
import { openTenants } from '../../src/jobs/tenants.ts';
import { startWorkers } from '../../src/jobs/workers.ts';
import { publishModel } from './open-jobs.ts';
import { openStack } from './open-stack.ts';
import { LIMITS, log, request } from './site.ts';

/** The most that BullMQ takes. */
const MOST_PRIORITY = 2 ** 21;
const LONG_MS = 20_000;

describe('the queue’s priority of a job', () => {
  const jobs = fc.record({
    priority: fc.integer({ min: PRIORITY.lowest, max: PRIORITY.highest }),
    turn: fc.nat(199_999),
  });

  test('is by its own priority, and of equals by its turn', () => {
    fc.assert(
      fc.property(jobs, jobs, (a, b) => {
        const order = b.priority - a.priority || a.turn - b.turn;
        assert.equal(Math.sign(messagePriority(a) - messagePriority(b)), Math.sign(order));
      }),
    );
  });

  test('says priority and turn again, and is one that the queue takes', () => {
    fc.assert(
      fc.property(jobs, (job) => {
        assert.deepEqual(turnOf(messagePriority(job)), { ...job });
        assert.ok(messagePriority(job) >= 1 && messagePriority(job) <= MOST_PRIORITY);
      }),
    );
    assert.ok(messagePriority({ priority: PRIORITY.lowest, turn: 10 ** 9 }) <= MOST_PRIORITY);
  });
});

test('tenants take turns: who comes second waits for what runs, and not for all that another has submitted', async () => {
  await using opened = new AsyncDisposableStack();
  const { directory, stores, connect } = await openStack(opened);
  const backend = await connect();
  const tenants = opened.adopt(await openTenants({ stores, backend, log }), (one) => one.close());
  const [a, b, own] = await Promise.all(['a', 'b', null].map((tenant) => tenants.of(tenant)));
  for (const { store } of [a, b, own]) await publishModel(store);
  const submit = async ({ jobs }: typeof a, n: number) => {
    const ids: string[] = [];
    for (let i = 0; i < n; i++)
      ids.push((await jobs.submit(request({ trace: join(directory, 'trace') }))).job.id);
    return ids;
  };
  const ofA = await submit(a, 12);
  const ofB = await submit(b, 4);
  const ofNobody = await submit(own, 2);
  const later = await submit(b, 2);
  const worker = await startWorkers({
    ...{ stores, backend, log, limits: LIMITS, concurrency: 1 },
    program: new URL('./test-child.ts', import.meta.url),
  });
  opened.defer(() => worker.close());
  const ended: [string, string][] = [];
  for (const [services, ids] of [
    [a, ofA],
    [b, [...ofB, ...later]],
    [own, ofNobody],
  ] as const)
    for (const id of ids) {
      const job = await services.jobs.wait(id, LONG_MS);
      assert.equal(job?.status, 'succeeded', JSON.stringify(job?.error));
      ended.push([job.finished_at ?? '', id]);
    }
  const order = ended.sort(([x], [y]) => (x < y ? -1 : 1)).map(([, id]) => id);
  // Round by round, the first who came first; and of each tenant in its own order.
  const rounds = ofA.flatMap((id, i) => [id, [...ofB, ...later][i], ofNobody[i]].filter((one) => one));
  assert.deepEqual(order, rounds);
});
