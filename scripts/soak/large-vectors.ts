import { setTimeout as sleep } from 'node:timers/promises';
import type { Answers } from './answers.ts';
import { gaussianScores } from './loads.ts';

const CLIENTS = 16;
const SCORES = 1e6;
const MOST_PATIENCE_MS = 5000;

/** 16 clients that send a million scores each, again and again for so long: milliseconds of every request that was accepted. */
export async function sendLargeVectors(baseUrl: string, ms: number, answers: Answers): Promise<number[]> {
  const body = Buffer.from(gaussianScores(SCORES).buffer);
  const headers = { 'content-type': 'application/octet-stream' };
  const latencies: number[] = [];
  const end = Date.now() + ms;
  const client = async () => {
    while (Date.now() < end) {
      const since = performance.now();
      const response = await fetch(`${baseUrl}/v1/thresholds`, { method: 'POST', headers, body });
      await response.bytes();
      answers.note('a million scores', response);
      if (response.ok) latencies.push(performance.now() - since);
      else await sleep(Math.min(MOST_PATIENCE_MS, Number(response.headers.get('retry-after') ?? 1) * 1000));
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: CLIENTS }, client));
  for (const result of ended)
    if (result.status === 'rejected') answers.noteFailure('a million scores', result.reason);
  return latencies;
}
