import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Queue } from 'bullmq';
import type { BackendSettings } from '../../src/jobs/backends/connect.ts';
import { askToCancel } from '../../src/jobs/cancel-request.ts';
import type { Job, JobEvent, JobRecord } from '../../src/jobs/job.ts';
import { freshId } from '../../src/storage/ids.ts';
import { openJobs, publishModel } from './open-jobs.ts';
import { untilGone } from './processes.ts';
import {
  LIMITS,
  log,
  openSite,
  RETRY,
  readTrace,
  request,
  type Site,
  startTestWorker,
  tracePath,
} from './site.ts';

/** Where a suite works; filled in before its tests run. */
export interface Place {
  settings: BackendSettings;
  directory: string;
}

const LONG_MS = 40_000;
const NOTED_FOR_MS = 10_000;
/** A job that does not end by itself within a test. */
const ENDLESS = { steps: '1000', stepMs: '100' };

/** What jobs promise, on whatever the queue lives. */
export function contract(kind: string, place: Place): void {
  let site: Site;
  let traces = 0;
  before(async () => {
    site = await openSite(place.settings);
  });
  after(() => site.close());

  const newTrace = () => tracePath(place.directory, `job-${traces++}`);
  async function submit(metadata: Record<string, string>): Promise<Job & { trace: string }> {
    const trace = newTrace();
    const { job, created } = await site.jobs.submit(request({ trace, ...metadata }));
    assert.equal(created, true);
    return { ...job, trace };
  }
  async function finish(id: string): Promise<Job> {
    const job = await site.jobs.wait(id, LONG_MS);
    assert.ok(job?.finished_at, `job stands at ${JSON.stringify(job)}`);
    return job;
  }
  async function succeed(id: string): Promise<Job> {
    const job = await finish(id);
    assert.equal(job.status, 'succeeded', JSON.stringify(job.error));
    return job;
  }
  async function until(condition: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + LONG_MS;
    while (!(await condition())) {
      assert.ok(Date.now() < deadline, 'waited too long');
      await sleep(20);
    }
  }
  /** A service in a process of its own, with one job. */
  async function startService(metadata: Record<string, string>) {
    const script = fileURLToPath(new URL('./service-process.ts', import.meta.url));
    const args = [script, JSON.stringify(place.settings), JSON.stringify(metadata)];
    const service = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: service.stdout })[Symbol.asyncIterator]();
    const nextLine = async () => (await lines.next()).value ?? assert.fail('the service has ended');
    const id = await nextLine();
    const untilStage = async (stage: string) => {
      for (let line = ''; line !== stage; ) line = await nextLine();
    };
    return { id, service, untilStage };
  }
  const untilStarted = (trace: string) => until(async () => (await readTrace(trace)).length > 0);
  /** What attempts have left that were not published. */
  const uploadsLeft = async () =>
    (await readdir(join(site.store.root, 'uploads'), { recursive: true })).filter((path) =>
      path.includes('files'),
    );
  const collect = async (id: string, lastEventId: number) => {
    const events: JobEvent[] = [];
    for await (const news of site.jobs.follow(id, lastEventId, AbortSignal.timeout(LONG_MS)))
      events.push(...news.events);
    return events;
  };

  test('a submitted job runs and keeps its result', async () => {
    const job = await submit({ seed: 'a', note: 'kept' });
    assert.match(job.status, /^(queued|running)$/);
    assert.equal(job.metadata.note, 'kept');
    const done = await succeed(job.id);
    assert.deepEqual(done.progress, { stage: 'step 0', percent: 100 });
    assert.equal(done.summary?.n_keep, 1);
    assert.equal(done.error, null);
    assert.ok(done.started_at && done.finished_at && done.created_at <= done.started_at);
    assert.ok(done.started_at <= done.finished_at);
    assert.deepEqual(await site.jobs.get(job.id), done);
    const [artifact] = done.artifacts;
    const content = await buffer(site.store.readFile('jobs', job.id, artifact?.name ?? ''));
    assert.equal(content.byteLength, artifact?.size_bytes);
    assert.deepEqual((await site.jobs.list(1)).data, [done]);
    assert.equal(await site.jobs.get(freshId('job')), null);
  });

  test('events come live, and are replayed from an id', async () => {
    const { id } = await submit({ steps: '5', stepMs: '30' });
    const live = await collect(id, 0);
    assert.deepEqual(
      live.map((event) => event.id),
      [1, 2, 3, 4, 5, 6],
    );
    const stages = live.map((event) => (event.event === 'progress' ? event.data.stage : event.event));
    assert.deepEqual(stages, ['step 0', 'step 1', 'step 2', 'step 3', 'step 4', 'succeeded']);
    assert.deepEqual(live.at(-1)?.data, await site.jobs.get(id));
    assert.deepEqual(await collect(id, 3), live.slice(3));
    assert.deepEqual(await collect(id, 6), []);
  });

  test('a running job shows its progress, and a reader that leaves is forgotten', async () => {
    const { id, trace } = await submit(ENDLESS);
    await untilStarted(trace);
    // A busy machine may look too late to see every step.
    await until(async () => /^step ([2-9]|\d\d)/.test((await site.jobs.get(id))?.progress.stage ?? ''));
    const running = await site.jobs.get(id);
    assert.equal(running?.status, 'running');
    assert.ok(running?.started_at);
    assert.equal((await site.jobs.counts()).long.running, 1);
    const leaving = new AbortController();
    const following = site.jobs.follow(id, 0, leaving.signal);
    assert.equal((await following.next()).value?.events[0]?.id, 1);
    leaving.abort();
    for await (const { isLast } of following) assert.equal(isLast, false);
    assert.equal((await site.jobs.wait(id, 100))?.status, 'running');
    await site.jobs.cancel(id);
  });

  test('an unexpected error is tried again after a growing pause', async () => {
    const { id, trace } = await submit({ behaviour: 'throw', trouble: '2' });
    await succeed(id);
    const [first, second, third, ...more] = await readTrace(trace);
    assert.ok(first && second && third && more.length === 0);
    assert.ok(second.at - first.at >= RETRY.backoffMs, `${second.at - first.at} ms`);
    assert.ok(third.at - second.at >= 2 * RETRY.backoffMs, `${third.at - second.at} ms`);
  });

  test('a clock that is set back holds up no retry', async (t) => {
    const { store, backend } = site;
    const jobs = await openJobs({ store, backend, log, retry: { attempts: 2, backoffMs: 1000 } });
    t.after(() => jobs.close());
    const now = Date.now.bind(Date);
    const ahead = t.mock.method(Date, 'now', () => now() + 3_600_000);
    const { job } = await jobs.submit(request({ trace: newTrace(), behaviour: 'throw', trouble: '1' }));
    await until(async () => (await jobs.counts()).long.retrying === 1);
    ahead.mock.restore();
    await until(async () => {
      await jobs.recover();
      return (await jobs.get(job.id))?.status === 'succeeded';
    });
  });

  test('an error of the last attempt fails the job, its text without paths or stack', async () => {
    const { id, trace } = await submit({ behaviour: 'throw', trouble: '9' });
    const job = await finish(id);
    assert.equal(job.status, 'failed');
    assert.equal(job.error?.code, 'internal_error');
    assert.match(job.error.detail, /in each of 3 attempts: trouble in $/);
    assert.equal((await readTrace(trace)).length, RETRY.attempts);
  });

  test('an error of the input is not tried again', async () => {
    const { id, trace } = await submit({ behaviour: 'refuse', trouble: '9' });
    const job = await finish(id);
    assert.equal(job.status, 'failed');
    assert.deepEqual(job.error, {
      code: 'malformed_onnx',
      detail: 'node 3 is cut short',
      errors: [{ path: 'node/3', message: 'cut' }],
    });
    assert.equal((await readTrace(trace)).length, 1);
  });

  test('a child that is killed costs an attempt and nothing else', async () => {
    const victim = await submit({ behaviour: 'SIGKILL' });
    const next = await submit({});
    await succeed(victim.id);
    await succeed(next.id);
    const [first, second] = await readTrace(victim.trace);
    assert.notEqual(first?.pid, second?.pid);
    assert.deepEqual(await uploadsLeft(), []);
  });

  for (const signal of ['SIGSEGV', 'SIGFPE']) {
    test(`a job that ends its child by ${signal} would do so again, and is not tried again`, async () => {
      const victim = await submit({ behaviour: signal, trouble: '9' });
      const next = await submit({});
      const job = await finish(victim.id);
      assert.equal(job.status, 'failed');
      assert.equal(job.error?.code, 'worker_crashed');
      assert.match(job.error.detail, new RegExp(`ended by ${signal} once`));
      assert.ok(job.started_at);
      assert.equal((await readTrace(victim.trace)).length, 1);
      await succeed(next.id);
      assert.deepEqual(await uploadsLeft(), []);
    });
  }

  async function meetLimit(behaviour: string, detail: RegExp): Promise<void> {
    const { id, trace } = await submit({ behaviour, trouble: '9' });
    const job = await finish(id);
    assert.equal(job.error?.code, 'limit_exceeded');
    assert.match(job.error.detail, detail);
    assert.equal((await readTrace(trace)).length, 1);
    assert.deepEqual(await uploadsLeft(), []);
  }

  test('a job that takes too long says which limit it met, once', async () => {
    await meetLimit('block', /longer than the 10 seconds .* JOB_TIMEOUT_SECONDS/);
  });

  test('a job that takes too much memory says which limit it met, once', async () => {
    await site.close();
    // A busy machine takes its time to hand out memory.
    site = await openSite(place.settings, true, { ...LIMITS, timeMs: LONG_MS });
    await meetLimit('objects', /more than the 512 MiB of memory .* JOB_MEMORY_MIB/);
    await meetLimit(
      'bytes',
      /more than the 512 MiB of memory .*Array buffer allocation failed.* JOB_MEMORY_MIB/,
    );
    await site.close();
    site = await openSite(place.settings);
  });

  test('a job whose child hears nothing is canceled within two seconds, and the next one runs', async () => {
    const deaf = await submit({ behaviour: 'block' });
    const next = await submit({});
    await untilStarted(deaf.trace);
    const [attempt] = await readTrace(deaf.trace);
    const asked = performance.now();
    assert.equal((await site.jobs.cancel(deaf.id))?.status, 'canceled');
    assert.ok(performance.now() - asked < 2000, `${performance.now() - asked} ms`);
    await succeed(next.id);
    await untilGone(attempt!.pid);
    assert.deepEqual(await uploadsLeft(), []);
  });

  test('a job that kills every child fails with a reason', async () => {
    const job = await finish((await submit({ behaviour: 'SIGKILL', trouble: '9' })).id);
    assert.equal(job.status, 'failed');
    assert.equal(job.error?.code, 'worker_crashed');
    assert.match(job.error.detail, /SIGKILL in each of 3 attempts/);
  });

  test('canceling: a waiting job at once, a running one within a second, a finished one not at all', async () => {
    const running = await submit(ENDLESS);
    await untilStarted(running.trace);
    const waiting = await submit({});
    assert.equal((await site.jobs.cancel(waiting.id))?.status, 'canceled');
    const asked = performance.now();
    const canceled = await site.jobs.cancel(running.id);
    assert.ok(performance.now() - asked < 1000, `${performance.now() - asked} ms`);
    assert.equal(canceled?.status, 'canceled');
    assert.equal(canceled?.error?.code, 'canceled');
    assert.deepEqual(await readTrace(waiting.trace), []);
    assert.deepEqual(await readdir(join(site.store.root, 'jobs', running.id, 'artifacts')), []);
    assert.deepEqual(await uploadsLeft(), []);
    const done = await finish((await submit({})).id);
    assert.deepEqual(await site.jobs.cancel(done.id), done);
    assert.equal(await site.jobs.cancel(freshId('job')), null);
    assert.equal((await collect(running.id, 0)).at(-1)?.event, 'canceled');
  });

  test('a job hears that it is to end when the news of it was lost', async () => {
    const { id, trace } = await submit(ENDLESS);
    await untilStarted(trace);
    const asked = performance.now();
    await askToCancel(site.store, id);
    assert.equal((await finish(id)).status, 'canceled');
    // A lock of two seconds is renewed within one and a half.
    assert.ok(performance.now() - asked < 3000, `${performance.now() - asked} ms`);
    assert.equal((await readTrace(trace)).length, 1);
  });

  if (kind !== 'embedded') {
    test('progress and cancellation reach other processes, and what came before is replayed', async () => {
      await site.close();
      const trace = newTrace();
      const { id, service, untilStage } = await startService({ trace, ...ENDLESS });
      site = await openSite(place.settings, false);
      await untilStage('step 3');
      const events: JobEvent[] = [];
      const asked = { at: 0 };
      for await (const news of site.jobs.follow(id, 0, AbortSignal.timeout(LONG_MS))) {
        events.push(...news.events);
        if (events.length >= 8 && asked.at === 0) {
          asked.at = performance.now();
          assert.equal((await site.jobs.cancel(id))?.status, 'canceled');
        }
      }
      assert.ok(performance.now() - asked.at < 1000, `${performance.now() - asked.at} ms`);
      assert.deepEqual(
        events.slice(0, 8).map((event) => event.event === 'progress' && event.data.stage),
        Array.from({ length: 8 }, (_, i) => `step ${i}`),
      );
      assert.deepEqual(
        events.map((event) => event.id),
        events.map((_, i) => i + 1),
      );
      assert.equal(events.at(-1)?.event, 'canceled');
      await untilStage('canceled');
      service.kill('SIGKILL');
      await once(service, 'exit');
      await site.close();
      site = await openSite(place.settings);
    });
  }

  test('canceling a job that waits for its next attempt', async () => {
    const { id, trace } = await submit({ behaviour: 'throw', trouble: '9' });
    await until(async () => (await site.jobs.counts()).long.retrying === 1);
    assert.equal((await site.jobs.cancel(id))?.status, 'canceled');
    const attempts = (await readTrace(trace)).length;
    await sleep(3 * RETRY.backoffMs);
    assert.equal((await readTrace(trace)).length, attempts);
  });

  test('what ends in seconds does not wait for what takes long', async () => {
    const long = await submit(ENDLESS);
    await untilStarted(long.trace);
    const trace = newTrace();
    const { job } = await site.jobs.submit({ ...request({ trace }), lane: 'short' });
    await succeed(job.id);
    assert.equal((await site.jobs.get(long.id))?.status, 'running');
    const canceled = await site.jobs.submit({ ...request({ trace: newTrace(), ...ENDLESS }), lane: 'short' });
    assert.equal((await site.jobs.cancel(canceled.job.id))?.status, 'canceled');
    assert.equal((await site.jobs.cancel(long.id))?.status, 'canceled');
  });

  test('the higher priority starts first, of equals the first; a job tells its turn, and when it may end', async () => {
    const { trace: _, ...first } = await submit({});
    await finish(first.id);
    const running = await submit(ENDLESS);
    await untilStarted(running.trace);
    const traces: Record<string, string> = {};
    const ids: Record<string, string> = {};
    for (const [name, priority] of Object.entries({ usual: undefined, second: 4, last: 0, urgent: 9 })) {
      const trace = newTrace();
      const asked = { ...request({ trace }), ...(priority !== undefined && { priority }) };
      const { job } = await site.jobs.submit(asked);
      assert.equal(job.position, { usual: 0, second: 1, last: 2, urgent: 0 }[name]);
      traces[name] = trace;
      ids[name] = job.id;
    }
    // The order is looked at once a second.
    await sleep(1100);
    const waiting = await site.jobs.get(ids.last ?? '');
    assert.equal(waiting?.position, 3);
    assert.ok(waiting?.eta && Date.parse(waiting.eta) > Date.now(), `eta ${waiting?.eta}`);
    const listed = new Map((await site.jobs.list(4)).data.map(({ id, position }) => [id, position]));
    assert.deepEqual(
      ['urgent', 'usual', 'second', 'last'].map((name) => listed.get(ids[name] ?? '')),
      [0, 1, 2, 3],
    );
    await site.jobs.cancel(running.id);
    const ended = await finish(ids.last ?? '');
    assert.deepEqual([ended.position, ended.eta], [null, null]);
    const starts = await Promise.all(
      Object.entries(traces).map(async ([name, trace]) => ({
        name,
        at: (await readTrace(trace))[0]?.at ?? 0,
      })),
    );
    assert.deepEqual(
      starts.sort((a, b) => a.at - b.at).map(({ name }) => name),
      ['urgent', 'usual', 'second', 'last'],
    );
  });

  test('what a version without priorities has queued is counted, known to recovery, told its place, and computed', async () => {
    const running = await submit(ENDLESS);
    await untilStarted(running.trace);
    const older = await submit({});
    const queue = site.backend.createQueue('long');
    await queue.remove(older.id);
    const data = { model_id: 'mdl_0000000000' };
    await queue.addBulk([{ name: 'prune', data, opts: { jobId: older.id, removeOnComplete: true } }]);
    await queue.close();
    const younger = await submit({});
    await site.jobs.recover();
    // The order is looked at once a second.
    await sleep(1100);
    assert.equal((await site.jobs.counts()).long.queued, 2);
    const places = [older, younger].map(async ({ id }) => (await site.jobs.get(id))?.position);
    assert.deepEqual(await Promise.all(places), [0, 1]);
    await site.jobs.cancel(running.id);
    for (const { id, trace } of [older, younger]) {
      await succeed(id);
      assert.equal((await readTrace(trace)).length, 1);
    }
  });

  test('an idempotency key makes one job, however many ask at once', async () => {
    const trace = newTrace();
    const ask = () => site.jobs.submit(request({ trace }), `key-${kind}`);
    const answers = await Promise.all(Array.from({ length: 8 }, ask));
    const ids = new Set(answers.map(({ job }) => job.id));
    assert.equal(ids.size, 1);
    assert.equal(answers.filter(({ created }) => created).length, 1);
    const [id] = ids;
    await finish(id ?? '');
    assert.equal((await ask()).job.status, 'succeeded');
    assert.equal((await readTrace(trace)).length, 1);
    await assert.rejects(site.jobs.submit(request({ trace, other: 'x' }), `key-${kind}`), {
      code: 'idempotency_key_reused',
    });
  });

  test('a record that a crash kept from the queue is taken up, once', async () => {
    const trace = newTrace();
    const upload = await site.store.createUpload();
    const id = freshId('job');
    const record: JobRecord = {
      id,
      created_at: new Date().toISOString(),
      ...request({ trace }),
      request_sha256: '',
    };
    await site.store.addUnfinished(id);
    await site.store.publish('jobs', upload, record);
    assert.equal((await site.jobs.get(id))?.status, 'queued');
    // Killed between the note and the record, there is a note of nothing.
    const nothing = freshId('job');
    await site.store.addUnfinished(nothing);
    await Promise.all([site.jobs.recover(), site.jobs.recover()]);
    await succeed(id);
    // Killed between the end and its note, there is a note of what has ended.
    await site.store.addUnfinished(id);
    // While the queue still knows it, for a moment after its result, the note is none of recovery's.
    for (const deadline = Date.now() + NOTED_FOR_MS; Date.now() < deadline; await sleep(20)) {
      await site.jobs.recover();
      if (!(await site.store.listUnfinished()).includes(id)) break;
    }
    assert.equal((await readTrace(trace)).length, 1);
    assert.deepEqual(await site.store.listUnfinished(), [nothing]);
    await site.store.removeUnfinished(nothing);
  });

  test('what an attempt has published before it died is the result, and not computed again', async () => {
    const trace = newTrace();
    const { job: undisturbed } = await site.jobs.submit(request({ trace: newTrace() }));
    const { summary, artifacts } = await finish(undisturbed.id);
    const record: JobRecord = {
      id: freshId('job'),
      created_at: new Date().toISOString(),
      ...request({ trace }),
      request_sha256: '',
    };
    await site.store.addUnfinished(record.id);
    await site.store.publish('jobs', await site.store.createUpload(), record);
    const attempt = await site.store.createUpload();
    const outcome = { summary, artifacts, timings_ms: { score: 7 } };
    await writeFile(join(attempt.files, '.outcome.json'), JSON.stringify(outcome));
    assert.equal(await site.store.publishFiles('jobs', record.id, attempt), true);
    await site.jobs.recover();
    const job = await finish(record.id);
    assert.deepEqual([job.status, job.timings_ms, job.artifacts], ['succeeded', { score: 7 }, artifacts]);
    assert.deepEqual(await readTrace(trace), []);
  });

  test('jobs that the queue has forgotten are queued again when they are listed, and computed once', async () => {
    const blocking = await submit({ steps: '20', stepMs: '50' });
    await untilStarted(blocking.trace);
    const waiting = [await submit({}), await submit({})];
    const queue = site.backend.createQueue('long') as unknown as Queue;
    await queue.obliterate({ force: true });
    await queue.close();
    assert.equal((await site.jobs.counts()).long.queued, 0);
    await site.jobs.list(10);
    for (const { id, trace } of [blocking, ...waiting]) {
      await succeed(id);
      assert.equal((await readTrace(trace)).length, 1);
    }
    await until(async () => (await site.jobs.counts()).long.queued === 0);
  });

  test('an unfinished job cannot be deleted and holds its model; a finished one can', async () => {
    const model = 'mdl_1111111111';
    await publishModel(site.store, model);
    const trace = newTrace();
    const { job } = await site.jobs.submit(request({ trace, ...ENDLESS }, model));
    await assert.rejects(site.jobs.delete(job.id), { code: 'conflict' });
    assert.notEqual(await site.jobs.neededBy(model), null);
    await site.jobs.cancel(job.id);
    await until(async () => (await site.jobs.neededBy(model)) === null);
    assert.equal(await site.jobs.delete(job.id), true);
    assert.equal(await site.jobs.delete(job.id), false);
    assert.equal(await site.jobs.get(job.id), null);
    assert.deepEqual(await collect(job.id, 0), []);
    await site.jobs.ping();
  });

  test('two workers share the jobs', async () => {
    const second = await startTestWorker(site.store, site.backend);
    try {
      const jobs = await Promise.all(Array.from({ length: 6 }, () => submit({ steps: '1', stepMs: '400' })));
      for (const { id } of jobs) await succeed(id);
      const pids = await Promise.all(jobs.map(async ({ trace }) => (await readTrace(trace))[0]?.pid));
      assert.equal(new Set(pids).size, 2);
    } finally {
      await second.close();
    }
  });

  const LONG = {
    'a long job': { steps: '20', stepMs: '100', seed: 'undisturbed' },
    'a job whose child hears nothing': { behaviour: 'block' },
  };
  for (const [name, metadata] of Object.entries(LONG)) {
    test(`a worker that shuts down returns ${name} to the queue, for the next`, async () => {
      const { id, trace } = await submit(metadata);
      await untilStarted(trace);
      await site.worker.close();
      assert.equal((await site.jobs.get(id))?.status, 'queued');
      await site.close();
      site = await openSite(place.settings);
      await succeed(id);
      assert.equal((await readTrace(trace)).length, 2);
      const events = await collect(id, 0);
      assert.ok(events.every((event, i) => i === 0 || event.id === events[i - 1]!.id + 1));
      const stages = events.map((event) => (event.event === 'progress' ? event.data.stage : event.event));
      assert.equal(new Set(stages).size, stages.length);
      assert.deepEqual([stages[0], stages.at(-1)], ['step 0', 'succeeded']);
    });
  }

  test('a service killed in the middle of a job: its child ends, the job is taken up, the result is the same', async () => {
    const undisturbed = await finish((await submit({ seed: 'same' })).id);
    await site.close();
    const trace = newTrace();
    const metadata = { trace, seed: 'same', steps: '30', stepMs: '100' };
    const { id, service, untilStage } = await startService(metadata);
    await untilStage('step 5');
    service.kill('SIGKILL');
    await once(service, 'exit');
    const killedAt = Date.now();
    site = await openSite(place.settings);
    const job = await succeed(id);
    assert.deepEqual(job.artifacts, undisturbed.artifacts);
    const [first, second, ...more] = await readTrace(trace);
    assert.ok(first && second && more.length === 0);
    assert.ok(second.at - killedAt < 10_000, `taken up after ${second.at - killedAt} ms`);
    assert.throws(() => process.kill(first.pid, 0), { code: 'ESRCH' });
    // A reader of the first attempt's six events goes on with the second's.
    const [next] = await collect(id, 6);
    assert.ok(next && next.id > 6);
    assert.deepEqual(next.event === 'progress' && next.data.stage, 'step 0');
  });
}
