import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectTo, parseResponse, rawRequest, trickle } from './raw-request.ts';
import { openTestApp, type TestApp } from './test-app.ts';

const GET = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

describe('connections above the limit', () => {
  let service: TestApp;
  let url = '';
  const open: Socket[] = [];
  before(async () => {
    service = await openTestApp({ maxConnections: 8 });
    url = await service.listen();
  });
  after(async () => {
    for (const socket of open) socket.destroy();
    await service.close();
  });

  /** Connections in the middle of a request, which nothing may close. */
  async function occupy(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const socket = await connectTo(url);
      socket.write(
        'POST /v1/thresholds HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n',
      );
      open.push(socket);
    }
    await sleep(50);
  }

  test('take the place of idle ones', async () => {
    const idle = await Promise.all(Array.from({ length: 8 }, () => connectTo(url)));
    for (const socket of idle) {
      socket.write(GET('/healthz'));
      await once(socket, 'data');
    }
    const closed = idle.map((socket) => once(socket, 'close'));
    for (const socket of idle) socket.resume();
    const late = await connectTo(url);
    await Promise.all(closed);
    late.write(GET('/v1/models'));
    const [answer] = await once(late, 'data');
    assert.match(String(answer), /^HTTP\/1\.1 200 /);
    late.destroy();
    await once(late, 'close');
  });

  test('are told to come again, and health is still answered', async () => {
    await occupy(8);
    const late = await connectTo(url);
    late.write(GET('/v1/models'));
    const { status, headers, body } = parseResponse(await text(late));
    assert.deepEqual([status, headers.get('retry-after'), headers.get('connection')], [503, '5', 'close']);
    assert.equal(JSON.parse(body).code, 'not_ready');

    const probe = await connectTo(url);
    probe.write(GET('/healthz'));
    assert.match(String((await once(probe, 'data'))[0]), /^HTTP\/1\.1 200 /);
    probe.destroy();
  });

  test('are served once others have ended', async () => {
    const late = await connectTo(url);
    for (const socket of open.splice(0)) socket.destroy();
    await sleep(50);
    late.write(GET('/v1/models'));
    assert.match(String((await once(late, 'data'))[0]), /^HTTP\/1\.1 200 /);
    late.destroy();
  });
});

describe('the body of a request', () => {
  let service: TestApp;
  let url = '';
  before(async () => {
    service = await openTestApp({ requestTimeoutMs: 400 });
    url = await service.listen();
  });
  after(() => service.close());

  const upload =
    'POST /v1/models HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 5000000\r\n\r\n' +
    '--x\r\nContent-Disposition: form-data; name="file"; filename="m.onnx"\r\n\r\n';

  for (const [what, head] of [
    [
      'JSON',
      'POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{',
    ],
    ['an upload', upload],
    [
      'what is sent to no route',
      'POST /nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n',
    ],
  ] as const) {
    test(`that trickles is not waited for: ${what}`, { timeout: 20_000 }, async () => {
      const socket = await connectTo(url);
      socket.write(head);
      const { status, body } = await trickle(socket, '1\r\n \r\n', 20);
      const code = what === 'what is sent to no route' ? [404, 'not_found'] : [408, 'request_timeout'];
      assert.deepEqual([status, JSON.parse(body).code], code);
      while ((await service.files()).length > 0) await sleep(20);
    });
  }

  test('that comes steadily may take as long as it needs', async () => {
    const socket = await connectTo(url);
    const scores = `[${'1,'.repeat(49_999)}1]`;
    const length = scores.length + '{"scores":}'.length;
    socket.write(
      `POST /v1/thresholds HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n{"scores":`,
    );
    for (let at = 0; at < scores.length; at += 5000) {
      socket.write(scores.slice(at, at + 5000));
      await sleep(50);
    }
    socket.write('}');
    assert.equal(parseResponse(await text(socket)).status, 200);
  });
});

describe('a connection on which no request can be told from the next', () => {
  let service: TestApp;
  before(async () => {
    service = await openTestApp();
  });
  after(() => service.close());

  const head = 'POST /v1/thresholds HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
  for (const [what, rest] of [
    ['two lengths', 'Content-Length: 0\r\nContent-Length: 5\r\n\r\nGET /'],
    ['a length and chunks', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['chunks, but not at last', 'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n'],
    ['a length with a sign', 'Content-Length: +5\r\n\r\nGET /'],
    ['a length of space before its colon', 'Content-Length : 5\r\n\r\nGET /'],
    [
      'a header that goes on in the next line',
      'X: y\r\n Transfer-Encoding: chunked\r\nContent-Length : 0\r\n\r\n',
    ],
  ]) {
    test(`is closed: ${what}`, async () => {
      const { status, headers, body } = await rawRequest(
        await service.listen(),
        `${head}${rest}GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      );
      assert.deepEqual([status, headers.get('connection')], [400, 'close']);
      // Nothing of what follows was answered.
      assert.equal(JSON.parse(body).code, 'malformed_request');
    });
  }

  test('is closed: headers that do not end', { timeout: 30_000 }, async () => {
    service.app.server.headersTimeout = 200;
    const socket = await connectTo(await service.listen());
    socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n');
    const { status, body } = await trickle(socket, 'X: y\r\n', 50);
    assert.deepEqual([status, JSON.parse(body).code], [408, 'request_timeout']);
  });
});
