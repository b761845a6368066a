/** The yardstick of `bench/http.ts`: the same kind of server, which reads a body and answers its SHA-256. */
import { createHash } from 'node:crypto';
import Fastify from 'fastify';

const app = Fastify({ bodyLimit: 2 ** 30 });
app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));
app.post('/hash', async (request) => {
  const hash = createHash('sha256');
  for await (const chunk of request.body as AsyncIterable<Uint8Array>) hash.update(chunk);
  return { sha256: hash.digest('hex') };
});
console.log(`listening on ${await app.listen({ host: '127.0.0.1', port: 0 })}`);
