import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Destinations } from '../../src/webhooks/destinations.ts';
import { post, sendWebhook } from '../../src/webhooks/send-webhook.ts';
import { freshSecret, signedHeaders } from '../../src/webhooks/signature.ts';
import { startNameServer } from './name-server.ts';
import { type Receiver, startReceiver, verified } from './webhook-receiver.ts';

const HERE = new Destinations(['127.0.0.1']);
const BODY = JSON.stringify({ type: 'job.succeeded', data: { id: 'job_0000000000' } });

describe('a webhook', () => {
  let receiver: Receiver;
  beforeEach(async () => {
    receiver = await startReceiver();
  });
  afterEach(() => receiver[Symbol.asyncDispose]());
  const send = (path = '/hook', destinations = HERE, timeoutMs?: number, headers = {}) =>
    sendWebhook({ url: receiver.url + path, headers, body: BODY }, destinations, timeoutMs);

  test('comes as it was signed, by each of the secrets that are valid', async () => {
    const secrets = [freshSecret(), freshSecret()];
    const headers = signedHeaders(secrets, 'msg_1', new Date(), BODY);
    assert.deepEqual(await send('/hook?token=a', HERE, undefined, headers), { status: 204, error: null });
    const [one] = receiver.received;
    assert.equal(one.path, '/hook?token=a');
    assert.equal(one.headers['content-type'], 'application/json');
    for (const secret of secrets) assert.deepEqual(verified(secret, one), JSON.parse(BODY));
    assert.throws(() => verified(freshSecret(), one), { name: 'WebhookVerificationError' });
    assert.throws(() => verified(secrets[0], { ...one, body: `${one.body} ` }));
  });

  test('is not sent to this machine unless that is allowed', async () => {
    const { status, error } = await send('/hook', new Destinations());
    assert.equal(status, null);
    assert.match(error ?? '', /https/);
    const url = receiver.url.replace('http:', 'https:');
    const sent = await sendWebhook({ url, headers: {}, body: BODY }, new Destinations());
    assert.match(sent.error ?? '', /public address/);
    assert.equal(receiver.received.length, 0);
  });

  test('that is not taken is told with the status', async () => {
    for (const status of [300, 400, 410, 500]) {
      receiver.answer = (_, response) => response.writeHead(status).end();
      assert.deepEqual(await send(), { status, error: `the receiver answered ${status}` });
    }
  });

  test('that nobody takes is told without an address', async () => {
    const port = new URL(receiver.url).port;
    await receiver[Symbol.asyncDispose]();
    assert.deepEqual(await send(), { status: null, error: 'the connection failed: ECONNREFUSED' });
    receiver = await startReceiver('127.0.0.1', Number(port));
  });

  test('follows redirects, with all that it has', async () => {
    receiver.answer = ({ path }, response) => {
      const hop = Number(path.slice(1));
      if (hop === 3) response.writeHead(200).end();
      else response.writeHead([301, 302, 307][hop], { location: `/${hop + 1}` }).end();
    };
    assert.deepEqual(await send('/0', HERE, undefined, { 'webhook-id': 'msg_1' }), {
      status: 200,
      error: null,
    });
    for (const { body, headers } of receiver.received)
      assert.deepEqual([body, headers['webhook-id']], [BODY, 'msg_1']);
  });

  test('follows three redirects at most', async () => {
    receiver.answer = (_, response) => response.writeHead(308, { location: '/' }).end();
    assert.deepEqual(await send(), { status: 308, error: 'more than 3 redirects' });
    assert.equal(receiver.received.length, 4);
  });

  test('is not led by a redirect to where it may not go', async () => {
    for (const location of [
      'http://127.0.0.2/',
      'https://169.254.169.254/latest/meta-data',
      'https://[::1]/',
      'http://example.com/',
      'file:///etc/passwd',
      'https://a:b@example.com/',
    ]) {
      receiver.answer = (_, response) => response.writeHead(307, { location }).end();
      assert.match((await send()).error ?? '', /^a redirect must/, location);
    }
  });

  test('gives up on a receiver that does not answer, or goes on answering', async () => {
    for (const answer of [
      () => {},
      (response: Parameters<Receiver['answer']>[1]) => {
        response.writeHead(200);
        const timer = setInterval(() => response.write('.'), 20);
        response.on('close', () => clearInterval(timer));
      },
    ]) {
      receiver.answer = (_, response) => answer(response);
      const begun = performance.now();
      assert.deepEqual(await send('/hook', HERE, 500), {
        status: null,
        error: 'no whole answer within 0.5 s',
      });
      assert.ok(performance.now() - begun < 2000);
    }
  });

  test('is not taken by what is no answer', async () => {
    for (const [answer, reason] of [
      [
        'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n',
        /^the connection failed/,
      ],
      ['HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf', /^the connection failed/],
      ['SSH-2.0-OpenSSH\r\n', /^the connection failed/],
      ['', /^the connection failed/],
    ] as const) {
      receiver.answer = (_, response) => void response.socket?.end(answer);
      const begun = performance.now();
      assert.match((await send()).error ?? '', reason, answer);
      assert.ok(performance.now() - begun < 5000);
    }
  });

  test('leaves an answer without end unread', async () => {
    let written = 0;
    receiver.answer = (_, response) => {
      const chunk = Buffer.alloc(64 * 1024);
      const write = () => {
        written += chunk.byteLength;
        if (!response.destroyed) response.write(chunk, () => setImmediate(write));
      };
      response.writeHead(200);
      write();
    };
    assert.deepEqual(await send(), { status: 200, error: null });
    assert.ok(written < 64 * 2 ** 20, `${written} bytes`);
  });
});

describe('a name whose address changes', () => {
  test('is judged by the address that is connected to, each time', async (t) => {
    await using receiver = await startReceiver();
    await using names = await startNameServer('127.0.0.1', '127.0.0.2');
    const destinations = new Destinations(['127.0.0.1'], names.resolve);
    const { port } = new URL(receiver.url);
    const url = `http://hooks.example.com:${port}/`;
    const send = () => post({ url, headers: {}, body: BODY }, destinations.lookup, t.signal);
    assert.equal((await send()).status, 204);
    await assert.rejects(send(), { name: 'RefusedAddress' });
    assert.equal(names.asked(), 2);
    assert.equal(receiver.received.length, 1);
  });

  test('is not asked again between the judgement and the connection', async (t) => {
    await using allowed = await startReceiver('127.0.0.1');
    const { port } = new URL(allowed.url);
    await using other = await startReceiver('127.0.0.2', Number(port));
    await using names = await startNameServer('127.0.0.1', '127.0.0.2', '127.0.0.2');
    const { lookup } = new Destinations(['127.0.0.1'], names.resolve);
    await post({ url: `http://hooks.example.com:${port}/`, headers: {}, body: BODY }, lookup, t.signal);
    assert.equal(names.asked(), 1);
    assert.deepEqual([allowed.received.length, other.received.length], [1, 0]);
  });
});
