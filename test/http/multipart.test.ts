import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openTestApp, readProblem, type TestApp } from './test-app.ts';

const MAX_UPLOAD_BYTES = 100_000;
let service: TestApp;
before(async () => {
  service = await openTestApp({ maxUploadBytes: MAX_UPLOAD_BYTES });
});
after(() => service.close());

const HEADERS = { 'content-type': 'multipart/form-data; boundary=cut' };

function post(path: string, body: string): Promise<Response> {
  return service.fetch(path, { method: 'POST', headers: HEADERS, body });
}

for (const path of ['/v1/models', '/v1/datasets', '/v1/jobs']) {
  describe(path, () => {
    test('a client that has gone before its body is read leaves no folder', async () => {
      const port = Number(new URL(await service.listen()).port);
      for (let i = 0; i < 10; i++) {
        const socket = connect(port, '127.0.0.1');
        await once(socket, 'connect');
        socket.end(
          `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${HEADERS['content-type']}\r\nContent-Length: 500000\r\n\r\n`,
        );
        await once(socket.resume(), 'close');
      }
      // Answered after those, in whose place nothing must be waiting.
      assert.equal((await post(path, '--cut--\r\n')).status, 422);
      for (let i = 0; i < 100 && (await service.leftOver()).length > 0; i++) await sleep(20);
      assert.deepEqual(await service.leftOver(), []);
    });

    test('a client that goes away anywhere in its upload leaves no folder', async () => {
      const port = Number(new URL(await service.listen()).port);
      const field = { '/v1/models': 'file', '/v1/datasets': 'inputs', '/v1/jobs': 'model' }[path];
      const part = `--cut\r\nContent-Disposition: form-data; name="${field}"; filename="sub/NAME"\r\n\r\nx\r\n`;
      const body = Array.from({ length: 20 }, (_, i) => part.replace('NAME', `${i}.npy`)).join('');
      for (let i = 0; i < 40; i++) {
        const socket = connect(port, '127.0.0.1');
        await once(socket, 'connect');
        socket.write(
          `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${HEADERS['content-type']}\r\nContent-Length: ${body.length}\r\n\r\n`,
        );
        socket.write(body.slice(0, (i * body.length) / 40));
        await sleep(i % 8);
        socket.destroy();
      }
      for (let i = 0; i < 250 && (await service.leftOver()).length > 0; i++) await sleep(20);
      assert.deepEqual(await service.leftOver(), []);
    });

    for (const [parameters, found] of [
      [`; boundary=${'a'.repeat(255)}`, 'has a boundary that is too long'],
      [`; boundary=${'a'.repeat(10_000)}`, 'has a boundary that is too long'],
      ['; boundary=""', 'has an empty boundary'],
      ['; boundary="', 'has an empty boundary'],
      ['; boundary=', 'has an empty boundary'],
      ['; boundary=; charset=utf-8', 'has an empty boundary'],
      ['', 'names no boundary'],
      [';', 'names no boundary'],
      ['; charset=utf-8', 'names no boundary'],
    ] as const)
      test(`a boundary that cannot be is refused: ${parameters.slice(0, 30)}`, async () => {
        const headers = { 'content-type': `multipart/form-data${parameters}` };
        const response = await service.fetch(path, { method: 'POST', headers, body: 'x' });
        const { code, detail, errors } = await readProblem(response);
        assert.deepEqual([response.status, code], [400, 'malformed_body']);
        const message = 'must name a boundary of 1 to 70 characters (RFC 2046)';
        assert.deepEqual(
          [detail, errors],
          [`Content-Type ${found}; it ${message}`, [{ path: 'Content-Type', message }]],
        );
      });

    for (const body of [
      '',
      '--cut',
      '--other\r\n\r\n--other--',
      '--cut\r\nContent-Disposition: form-data; name="x',
    ])
      test(`a form without an end is told so: ${JSON.stringify(body)}`, async () => {
        const response = await post(path, body);
        // A form of nothing at all lacks its parts.
        if (body === '') assert.equal(response.status, 422);
        else assert.match((await readProblem(response)).detail, /^the form has no end: /);
      });

    for (const name of ['__proto__', 'constructor', 'toString', 'unknown'])
      for (const disposition of [`name="${name}"`, `name="${name}"; filename="x.npy"`])
        test(`a part that is not known is named: ${disposition}`, async () => {
          const part = `--cut\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n1\r\n`;
          const response = await post(path, `${part}${part}--cut--\r\n`);
          const { code, detail, errors } = await readProblem(response);
          assert.deepEqual([response.status, code, errors[0]?.path], [422, 'invalid_request', name]);
          assert.ok(
            detail.startsWith(`part ${name} is not a part of this request, whose parts are `),
            detail,
          );
        });

    test('a file over the limit is refused as it comes, before its end', async () => {
      const field = { '/v1/models': 'file', '/v1/datasets': 'inputs', '/v1/jobs': 'model' }[path];
      const socket = connect(Number(new URL(await service.listen()).port), '127.0.0.1');
      await once(socket, 'connect');
      const head = `--cut\r\nContent-Disposition: form-data; name="${field}"; filename="x.npy"\r\n\r\n`;
      const content = head + ' '.repeat(MAX_UPLOAD_BYTES + 1);
      socket.write(
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${HEADERS['content-type']}\r\nTransfer-Encoding: chunked\r\n\r\n`,
      );
      socket.write(`${content.length.toString(16)}\r\n${content}\r\n`);
      const [answer] = await once(socket.setEncoding('utf8'), 'data');
      assert.match(answer, /^HTTP\/1\.1 413 .*"code":"payload_too_large"/s);
      socket.destroy();
    });

    test('a part without a name', async () => {
      const part = '--cut\r\nContent-Disposition: form-data; filename="x.npy"\r\n\r\nx\r\n--cut--\r\n';
      const response = await post(path, part);
      assert.equal(response.status, 422);
      const { code, detail, errors } = await readProblem(response);
      assert.equal(code, 'invalid_request');
      assert.match(detail, /^a part has no name/);
      assert.deepEqual(
        errors.map(({ path: at }) => at),
        ['Content-Disposition'],
      );
    });
  });
}
