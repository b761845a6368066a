/**
 * `npm run soak -- [--minutes 5]`: a mixed load on a service of its own: thresholds of 1,000 to 1,000,000 scores, uploads, jobs, 200 event streams; then 16 clients with a million scores each.
 * Exits with 1 where an answer is 5xx but 503 with Retry-After or 507, where memory grows after the warm-up, or where small requests wait for large ones.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { describeMachine, formatMilliseconds, percentile } from '../bench/measure.ts';
import { medianOf } from '../src/core/median.ts';
import { readTreeUsage } from './process-tree.ts';
import { Answers } from './soak/answers.ts';
import { sendLargeVectors } from './soak/large-vectors.ts';
import type { LatencyQuestion } from './soak/latency-thread.ts';
import { followJobs, gaussianScores, keepUp, LOADS, type Run } from './soak/loads.ts';
import { SERVICE, type Server, startServer } from './start-server.ts';

const EVENT_STREAMS = 200;
const SMALL = 1000;
const SMALL_EVERY_MS = 50;
const WARM_UP_MS = 5000;
const UNLOADED_MS = 20_000;
/** Of the minutes, for the clients with a million scores each. */
const LARGE_SHARE = 0.2;
/** What under load may be of what it is without. */
const MOST_SLOWER = 5;
const MOST_SPREAD = 3;
const MOST_GROWTH = 0.1;

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '5' } } });
const ms = Number(values.minutes) * 60_000;
const findings: string[] = [];

function report(what: string, holds: boolean): void {
  console.log(`${holds ? 'held' : 'FAILED'}: ${what}`);
  if (!holds) findings.push(what);
}

/** Milliseconds of small requests, sent from a thread of their own while `work` goes on. */
async function measureSmall(baseUrl: string, work: () => Promise<void>): Promise<number[]> {
  const body = new Uint8Array(gaussianScores(SMALL).buffer);
  const question: LatencyQuestion = { url: `${baseUrl}/v1/thresholds`, body, everyMs: SMALL_EVERY_MS };
  const thread = new Worker(new URL('./soak/latency-thread.ts', import.meta.url), { workerData: question });
  const latencies: number[] = [];
  thread.on('message', (answer: { status: number; ms: number }) => {
    if (answer.status === 200) latencies.push(answer.ms);
  });
  await work();
  await thread.terminate();
  return latencies;
}

async function mixedLoad({ baseUrl, pid = 0 }: Server, answers: Answers): Promise<number[]> {
  const memory: number[] = [];
  const stopping = new AbortController();
  const run: Run = { baseUrl, answers, signal: stopping.signal, newestJob: null };
  const loads = LOADS.map((load) => keepUp(load, run));
  const readers = Array.from({ length: EVENT_STREAMS }, () => followJobs(run));
  const end = Date.now() + ms * (1 - LARGE_SHARE);
  while (Date.now() < end) {
    await sleep(1000);
    memory.push((await readTreeUsage(pid)).memoryBytes / 2 ** 20);
  }
  stopping.abort();
  await Promise.all([...loads, ...readers]);
  return memory;
}

const directory = await mkdtemp(join(tmpdir(), 'emp-soak-'));
try {
  await using service = await startServer(SERVICE, { DATA_DIR: join(directory, 'data') });
  const answers = new Answers();
  await measureSmall(service.baseUrl, () => sleep(WARM_UP_MS));
  const unloaded = percentile(await measureSmall(service.baseUrl, () => sleep(UNLOADED_MS)), 0.99);
  let memory: number[] = [];
  const loaded = await measureSmall(service.baseUrl, async () => {
    memory = await mixedLoad(service, answers);
  });
  const large = await sendLargeVectors(service.baseUrl, ms * LARGE_SHARE, answers);

  console.log(`${describeMachine()}; ${values.minutes} minutes\n${answers.describe()}\n`);
  const wrong = [...new Set(answers.wrong)].slice(0, 10).join('; ');
  report(
    `${answers.wrong.length} answers 5xx but 503 with Retry-After and 507, or none ${wrong}`,
    wrong === '',
  );
  const p99 = percentile(loaded, 0.99);
  report(
    `p99 of ${SMALL} scores ${formatMilliseconds(p99)} ms under load, ${formatMilliseconds(unloaded)} ms without (${loaded.length} requests)`,
    p99 < MOST_SLOWER * unloaded,
  );
  // The first quarter warms up; a median is not moved by a job that just runs.
  const quarter = Math.floor(memory.length / 4);
  const [early, late] = [medianOf(memory.slice(quarter, 2 * quarter)), medianOf(memory.slice(3 * quarter))];
  report(
    `memory ${early.toFixed(0)} MiB after the warm-up, ${late.toFixed(0)} MiB at the end`,
    late < early * (1 + MOST_GROWTH),
  );
  const mean = large.reduce((sum, value) => sum + value, 0) / large.length;
  const largeP99 = percentile(large, 0.99);
  report(
    `a million scores from 16 clients: mean ${formatMilliseconds(mean)} ms, p99 ${formatMilliseconds(largeP99)} ms (${large.length} requests)`,
    largeP99 < MOST_SPREAD * mean,
  );
} finally {
  await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
process.exitCode = findings.length > 0 ? 1 : 0;
