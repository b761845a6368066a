import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { StreamHeartbeats } from '../../src/http/stream-heartbeats.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { followJob } from './follow-job.ts';
import { fileOf, readJson } from './test-app.ts';
import { openTestService, type TestService } from './test-service.ts';

const LIMITS = { inAll: 62, perClient: 60 };

// Without a worker, jobs stay queued.
let service: TestService;
before(async () => {
  service = await openTestService({ eventStreams: LIMITS });
});
after(() => service.close());

async function submit(headers: Record<string, string> = {}) {
  const form = new FormData();
  form.append('model', fileOf(createSafetensors({ 'fc.weight': [4, 8] })), 'm.safetensors');
  const response = await fetch(`${service.url}/v1/jobs`, { method: 'POST', body: form, headers });
  assert.equal(response.status, 202);
  return { response, job: await readJson(response) };
}

const follow = (id: string, localAddress?: string) => followJob(service.url, id, localAddress);

test('who follows an idle job looks at it through the eyes of all, and leaves nothing', async (context) => {
  const { job } = await submit();
  const streams = await Promise.all(Array.from({ length: LIMITS.perClient }, () => follow(job.id)));
  assert.ok(streams.every(({ status }) => status === 200));
  const redis = new Redis(service.redis.url);
  context.after(() => redis.disconnect());
  const looks = async () =>
    Number(/cmdstat_hgetall:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
  const before = await looks();
  await sleep(2500);
  const byAll = (await looks()) - before;
  assert.ok(byAll >= 1 && byAll < 10, `${byAll} looks`);
  for (const { leave } of streams) leave();
  await sleep(500);
  const left = await looks();
  await sleep(2500);
  assert.equal(await looks(), left);
});

test('streams and waits are limited for each client and in all, and a place that was left is free', async () => {
  const { job } = await submit();
  const own = await Promise.all(Array.from({ length: LIMITS.perClient }, () => follow(job.id)));
  const refused = await follow(job.id);
  assert.equal(refused.status, 503);
  assert.equal(refused.answer.headers['retry-after'], '5');
  assert.equal(JSON.parse(await text(refused.answer)).code, 'not_ready');

  const started = performance.now();
  const { response } = await submit({ prefer: 'wait=30' });
  assert.ok(performance.now() - started < 15_000);
  assert.equal(response.headers.get('preference-applied'), null);

  const others = await Promise.all(['127.0.0.2', '127.0.0.3'].map((address) => follow(job.id, address)));
  assert.deepEqual(
    others.map(({ status }) => status),
    [200, 200],
  );
  assert.equal((await follow(job.id, '127.0.0.4')).status, 503);

  others[0]?.leave();
  for (let last = 503; last !== 200; ) {
    const next = await follow(job.id, '127.0.0.4');
    last = next.status ?? 0;
    if (last === 200) next.leave();
    else await sleep(20);
  }
  for (const { leave } of [...own, ...others]) leave();
});

test('one timer keeps all streams alive, and fills none that its reader does not empty', async () => {
  const heartbeats = new StreamHeartbeats(5);
  const streams: ServerResponse[] = [];
  const server = createServer((asked, answer) => {
    streams.push(answer);
    answer.writeHead(200);
    // More than the sockets of both sides hold.
    if (asked.url === '/slow') answer.write(Buffer.alloc(16 * 2 ** 20));
    const heartbeat = heartbeats.start(answer);
    answer.once('close', () => heartbeat[Symbol.dispose]());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const slow = request(`${url}/slow`, { agent: false }).end();
  const [stuck] = (await once(slow, 'response')) as [IncomingMessage];
  stuck.pause();
  const quick = request(url, { agent: false }).end();
  const [live] = (await once(quick, 'response')) as [IncomingMessage];
  for (let beats = 0; beats < 3; beats++)
    assert.match(String((await once(live, 'data'))[0]), /^: still here/);
  const held = streams[0]?.writableLength ?? 0;
  assert.ok(held > 0);
  for (let beats = 0; beats < 5; beats++) await once(live, 'data');
  assert.ok((streams[0]?.writableLength ?? 0) <= held);
  for (const asked of [slow, quick]) asked.on('error', () => {}).destroy();
  server.close();
  await once(server, 'close');
});
