import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

/** What is asked over and over, one question at a time. */
export interface LatencyQuestion {
  readonly url: string;
  readonly body: Uint8Array;
  readonly everyMs: number;
}

const { url, body, everyMs } = workerData as LatencyQuestion;
const agent = new Agent({ keepAlive: true });
const headers = { 'content-type': 'application/octet-stream', 'content-length': body.byteLength };

function ask(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const outgoing = request(url, { agent, method: 'POST', headers }, (response) => {
    response.resume().on('end', () => resolve(response.statusCode ?? 0));
  });
  outgoing.on('error', reject).end(body);
  return promise;
}

for (;;) {
  const since = performance.now();
  const status = await ask().catch(() => 0);
  parentPort?.postMessage({ status, ms: performance.now() - since });
  await sleep(everyMs);
}
