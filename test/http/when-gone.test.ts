import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import fastify from 'fastify';
import { whenGone } from '../../src/http/when-gone.ts';

for (const [when, gone] of [
  ['before the route asks', true],
  ['after the route asked', false],
] as const) {
  test(`a client that goes away ${when} is known to be gone`, async (t) => {
    const app = fastify();
    t.after(() => app.close());
    const { promise: signal, resolve } = Promise.withResolvers<AbortSignal>();
    app.get('/', async (_request, reply) => {
      const close = once(reply.raw, 'close');
      socket.destroy();
      if (gone) await close;
      resolve(whenGone(reply));
      await close;
    });
    const url = new URL(await app.listen({ host: '127.0.0.1', port: 0 }));
    const socket = connect(Number(url.port), url.hostname);
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const heard = await signal;
    assert.equal(heard.aborted, gone);
    if (!gone) await once(heard, 'abort');
  });
}
