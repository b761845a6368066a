import { mkdtemp, rm } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SERVICE, startServer } from '../scripts/start-server.ts';
import { createGaussian } from './gaussian.ts';
import { post } from './http.ts';
import { formatMilliseconds, formatRatio, formatTable, time } from './measure.ts';

const CLIENTS = 16;
const SCORES = 1_000_000;
const FEW_SCORES = 1000;
const DURATION_MS = 20_000;
const UNLOADED_ROUNDS = 1000;
const WARM_UP = 200;
/** Of the client with few scores while the others are at work. */
const INTERVAL_MS = 20;

/** Many clients that post a million scores each, again and again, and one that posts a thousand meanwhile. */
export async function benchCrowd(): Promise<string> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'emp-bench-'));
  const agent = new Agent({ keepAlive: true });
  try {
    await using service = await startServer(SERVICE, { DATA_DIR: dataDirectory });
    const url = `${service.baseUrl}/v1/thresholds`;
    const few = Buffer.from(JSON.stringify({ scores: Array.from(gaussian(FEW_SCORES)) }));
    const many = Buffer.from(gaussian(SCORES).buffer);
    const postFew = () => time(() => post(agent, url, few, 'application/json'));
    const postMany = () => time(() => post(agent, url, many));

    const unloaded: number[] = [];
    for (let round = -WARM_UP; round < UNLOADED_ROUNDS; round++) {
      const elapsed = await postFew();
      if (round >= 0) unloaded.push(elapsed);
    }
    const crowded: number[] = [];
    const beside: number[] = [];
    const end = performance.now() + DURATION_MS;
    const clients = Array.from({ length: CLIENTS }, async () => {
      while (performance.now() < end) crowded.push(await postMany());
    });
    while (performance.now() < end) {
      beside.push(await postFew());
      await sleep(INTERVAL_MS);
    }
    await Promise.all(clients);
    return report(unloaded, crowded, beside);
  } finally {
    agent.destroy();
    await rm(dataDirectory, { recursive: true });
  }
}

function gaussian(count: number): Float32Array<ArrayBuffer> {
  const scores = new Float32Array(count);
  createGaussian(1)(scores);
  return scores;
}

function report(unloaded: readonly number[], crowded: readonly number[], beside: readonly number[]): string {
  const row = (name: string, times: readonly number[]) => [
    name,
    String(times.length),
    ...[mean(times), percentile99(times), Math.max(...times)].map(formatMilliseconds),
    `**${formatRatio(percentile99(times) / mean(times))}**`,
  ];
  return [
    `${CLIENTS} clients in one process, each posting ${SCORES.toLocaleString('en-US')} float32 scores again and again for ${DURATION_MS / 1000} s; beside them one that posts`,
    `${FEW_SCORES.toLocaleString('en-US')} as JSON, before and meanwhile. Clients and service share the machine's cores.`,
    '',
    formatTable(
      ['requests', 'n', 'mean, ms', 'p99, ms', 'longest, ms', 'p99 to mean'],
      [
        row('few scores, alone', unloaded),
        row('many scores', crowded),
        row('few scores, beside them', beside),
      ],
    ),
    '',
    `p99 of few scores beside many, to alone: **${formatRatio(percentile99(beside) / percentile99(unloaded))}**.`,
  ].join('\n');
}

function mean(times: readonly number[]): number {
  return times.reduce((sum, ms) => sum + ms, 0) / times.length;
}

function percentile99(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.ceil(0.99 * times.length) - 1];
}
