import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { SERVICE, startServer } from '../scripts/start-server.ts';
import { createGaussian } from './gaussian.ts';
import { formatMilliseconds, formatRatio, formatTable, measureInterleaved, time } from './measure.ts';

const SCORES = 1_000_000;
const ROUNDS = 200;
const WARM_UP = 30;

/** Posting a million float32 scores to `/v1/thresholds`, against an endpoint that only hashes the same body. */
export async function benchHttp(): Promise<string> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'emp-bench-'));
  try {
    await using service = await startServer(SERVICE, { DATA_DIR: dataDirectory });
    await using yardstick = await startServer(new URL('hash-server.ts', import.meta.url), {});
    const scores = new Float32Array(SCORES);
    createGaussian(1)(scores);
    const body = Buffer.from(scores.buffer);
    const agent = new Agent({ keepAlive: true });
    const postTo = (url: string) => () => time(() => post(agent, url, body));
    const medians = await measureInterleaved(
      [
        { name: 'hash only', measure: postTo(`${yardstick.baseUrl}/hash`) },
        { name: '/v1/thresholds', measure: postTo(`${service.baseUrl}/v1/thresholds?dtype=float32`) },
      ],
      ROUNDS,
      WARM_UP,
    );
    agent.destroy();
    const base = medians.get('hash only') ?? Number.NaN;
    const rows = [...medians].map(([name, ms]) => [name, formatMilliseconds(ms), formatRatio(ms / base)]);
    return [
      `${SCORES.toLocaleString('en-US')} float32 scores posted as octet-stream over one kept-alive connection to localhost, client on the same`,
      `machine; medians of ${ROUNDS} rounds. The yardstick is a Fastify server whose handler computes the body's SHA-256 as it arrives.`,
      '',
      formatTable(['endpoint', 'ms', 'ratio'], rows),
    ].join('\n');
  } finally {
    await rm(dataDirectory, { recursive: true });
  }
}

/** Posts over a connection of the agent. @throws unless the answer is 200 */
export async function post(
  agent: Agent,
  url: string,
  body: Buffer,
  type = 'application/octet-stream',
): Promise<void> {
  const outgoing = request(url, {
    agent,
    method: 'POST',
    headers: { 'content-type': type, 'content-length': body.byteLength },
  });
  outgoing.end(body);
  const [response] = await once(outgoing, 'response');
  const answer = await text(response);
  if (response.statusCode !== 200) throw new Error(`${url} answered ${response.statusCode}: ${answer}`);
}
