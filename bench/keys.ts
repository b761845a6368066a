import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SERVICE, startServer } from '../scripts/start-server.ts';
import { createKey } from '../src/access/api-keys.ts';
import { SCOPES } from '../src/access/caller.ts';
import { formatMilliseconds, formatRatio, formatTable, measureInterleaved, time } from './measure.ts';

const KEYS = 1000;
const ROUNDS = 1000;
const WARM_UP = 200;
const BODY = Buffer.from(JSON.stringify({ scores: Array.from({ length: 1000 }, (_, i) => Math.sin(i)) }));

/** What a key costs an instant threshold, and whether what a refusal takes tells how a key was wrong. */
export async function benchKeys(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-bench-'));
  try {
    const keys = Array.from({ length: KEYS }, (_, i) =>
      createKey({ name: `key-${i}`, tenant: null, scopes: SCOPES }),
    );
    const path = join(directory, 'keys.json');
    await writeFile(path, JSON.stringify({ keys: keys.map(({ stored }) => stored) }));
    await using open = await startServer(SERVICE, { DATA_DIR: join(directory, 'open') });
    await using kept = await startServer(SERVICE, { DATA_DIR: join(directory, 'kept'), API_KEYS_FILE: path });
    const agent = new Agent({ keepAlive: true });
    const asking = (url: string, key: string | null, status: number) => () =>
      time(() => post(agent, `${url}/v1/thresholds`, key, status));
    const { text } = keys[KEYS / 2];
    const unknown = createKey({ name: 'unknown', tenant: null, scopes: SCOPES }).text;
    const answered = await measureInterleaved(
      [
        { name: 'no keys', measure: asking(open.baseUrl, null, 200) },
        { name: `one of ${KEYS.toLocaleString('en-US')} keys`, measure: asking(kept.baseUrl, text, 200) },
      ],
      ROUNDS,
      WARM_UP,
    );
    const refused = await measureInterleaved(
      [
        { name: 'an unknown key', measure: asking(kept.baseUrl, unknown, 401) },
        { name: 'its last character is wrong', measure: asking(kept.baseUrl, otherAt(text, -1), 401) },
        {
          name: 'all behind its id is wrong',
          measure: asking(kept.baseUrl, text.slice(0, 17) + unknown.slice(17), 401),
        },
        { name: 'no key at all by its form', measure: asking(kept.baseUrl, 'x'.repeat(text.length), 401) },
      ],
      ROUNDS,
      WARM_UP,
    );
    agent.destroy();
    const tableOf = (first: string, medians: ReadonlyMap<string, number>) => {
      const [[, base]] = medians;
      const rows = [...medians].map(([name, ms]) => [name, formatMilliseconds(ms), formatRatio(ms / base)]);
      return formatTable([first, 'ms', 'ratio'], rows);
    };
    return [
      `A thousand scores as JSON over one kept-alive connection to localhost, client on the same machine; medians of ${ROUNDS.toLocaleString('en-US')} rounds, taken in turn.`,
      '',
      tableOf('`POST /v1/thresholds`', answered),
      '',
      tableOf('refused with 401', refused),
    ].join('\n');
  } finally {
    await rm(directory, { recursive: true, maxRetries: 5 });
  }
}

function otherAt(text: string, place: number): string {
  const at = text.length + place;
  return text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
}

/** @throws unless the answer has the status */
async function post(agent: Agent, url: string, key: string | null, status: number): Promise<void> {
  const outgoing = request(url, {
    agent,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'content-length': BODY.byteLength,
      ...(key !== null && { authorization: `Bearer ${key}` }),
    },
  });
  outgoing.end(BODY);
  const [response] = await once(outgoing, 'response');
  response.resume();
  await once(response, 'end');
  if (response.statusCode !== status) throw new Error(`${url} answered ${response.statusCode}`);
}
