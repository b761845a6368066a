import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, StringStringEntryProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import { createOverlaps, createZip, writeTar, type ZipEntry } from '../formats/archive-bytes.ts';
import { createFloatNpy } from '../formats/npy-bytes.ts';
import { moveOut } from '../models/runtime-model.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { watchDiscards } from './discarded-uploads.ts';
import { openTestApp, readJson, readProblem, type TestApp } from './test-app.ts';

const HEADERS = { 'content-type': 'multipart/form-data; boundary=cut' };

let service: TestApp;
before(async () => {
  service = await openTestApp({ maxUploadBytes: 16 * 2 ** 30 });
});
after(() => service.close());

/** Where an archive goes: by route, part and file name. */
const PLACES = [
  ['/v1/models', 'file', 'm.zip'],
  ['/v1/datasets', 'scores', 's.npz'],
  ['/v1/jobs', 'model', 'm.zip'],
] as const;

/** By hand: `FormData` takes seconds for thousands of files. */
function post(path: string, files: readonly (readonly [part: string, name: string, Uint8Array])[]) {
  return service.fetch(path, { method: 'POST', headers: HEADERS, body: new Uint8Array(formOf(files)) });
}

function formOf(files: readonly (readonly [part: string, name: string, Uint8Array])[]): Buffer {
  const parts = files.flatMap(([part, name, content]) => [
    Buffer.from(`--cut\r\nContent-Disposition: form-data; name="${part}"; filename="${name}"\r\n\r\n`),
    content,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...parts, Buffer.from('--cut--\r\n')]);
}

async function refused(response: Response, status: number, code: string, detail: RegExp): Promise<void> {
  const problem = await readProblem(response);
  assert.deepEqual([response.status, problem.code], [status, code], problem.detail);
  assert.match(problem.detail, detail);
  assert.deepEqual(await service.leftOver(), []);
}

for (const [path, part, file] of PLACES) {
  describe(`${path}, part ${part}`, () => {
    const isNpz = file.endsWith('.npz');
    const name = (i: number) => (isNpz ? `${i}.npy` : i === 0 ? 'model.onnx' : `${i}.bin`);

    // 4,000 of them are 230 kB that unfold to 4 GB.
    for (const count of [10, 1000, 4000]) {
      test(`${count} entries that share one megabyte of zeros`, async () => {
        const kernel = { name: name(0), content: Buffer.alloc(2 ** 20), deflate: true };
        const zip = createOverlaps(
          kernel,
          Array.from({ length: count }, (_, i) => name(i)),
        );
        const response = await post(path, [[part, file, zip]]);
        await refused(response, 422, isNpz ? 'malformed_npz' : 'malformed_archive', /overlaps/);
      });
    }

    for (const count of [4097, 9000, 40_000]) {
      test(`${count} entries`, async () => {
        const entries = Array.from({ length: count }, (_, i) => ({ name: name(i), content: 'x' }));
        const response = await post(path, [[part, file, createZip(entries)]]);
        await refused(response, 413, 'payload_too_large', /more than 4096 entries/);
      });
    }

    test('a gigabyte of zeros', async () => {
      const entry = { name: name(0), content: Buffer.alloc(2 ** 20), deflate: true };
      const zip = createZip([{ ...entry, claimed: { uncompressedSize: 2 ** 30 } }]);
      await refused(await post(path, [[part, file, zip]]), 413, 'payload_too_large', /unfolds from/);
    });
  });
}

describe('as many files as models have, and more', () => {
  const shards = (count: number) => {
    const names = Array.from({ length: count }, (_, i) => `${i}.safetensors`);
    const index = JSON.stringify({ weight_map: Object.fromEntries(names.map((name, i) => [`w${i}`, name])) });
    const content = names.map((name, i) => ['file', name, createSafetensors({ [`w${i}`]: [1] })] as const);
    return [...content, ['file', 'm.safetensors.index.json', Buffer.from(index)] as const];
  };

  test('4,096 parts are one model', async () => {
    const response = await post('/v1/models', shards(4095));
    const { id } = await readJson(response);
    assert.equal(response.status, 201);
    await service.fetch(`/v1/models/${id}`, { method: 'DELETE' });
  });

  test('9,999 parts are refused as soon as there are more', async () => {
    const response = await post('/v1/models', shards(9998));
    await refused(response, 413, 'payload_too_large', /more than the 4096 files and folders/);
  });
});

describe('of an archive only what the model names is unpacked', () => {
  const zipAndTar = (
    title: string,
    entries: readonly ZipEntry[],
    check: (response: Response) => Promise<void>,
  ) => {
    test(`${title}, zip`, async () => {
      await check(await post('/v1/models', [['file', 'm.zip', createZip(entries)]]));
    });
    test(`${title}, tar`, async () => {
      const path = join(service.store.root, 'm.tar');
      await writeTar(
        path,
        entries.map(({ name, content }) => [{ name }, content]),
      );
      await check(await post('/v1/models', [['file', 'm.tar', await readFile(path)]]));
    });
  };
  const remains = (...names: string[]) => {
    return async (response: Response) => {
      const model = await readJson(response);
      assert.equal(response.status, 201, model.detail);
      const found = model.files.map(({ name }: { name: string }) => name);
      await service.fetch(`/v1/models/${model.id}`, { method: 'DELETE' });
      assert.deepEqual(found, names);
    };
  };
  const zeros = { content: '\0'.repeat(70 * 2 ** 20), deflate: true };

  const index = JSON.stringify({ weight_map: { a: 'one.safetensors', b: 'sub/two.safetensors' } });
  zipAndTar(
    'shards, and the small files beside them',
    [
      { name: 'm/one.safetensors', content: createSafetensors({ a: [1] }) },
      { name: 'm/sub/two.safetensors', content: createSafetensors({ b: [1] }) },
      { name: 'm/consolidated.safetensors', content: createSafetensors({ a: [1], b: [1] }) },
      { name: 'm/m.safetensors.index.json', content: index },
      { name: 'm/config.json', content: '{}' },
      { name: 'm/optimizer.pt', ...zeros },
    ],
    remains('config.json', 'm.safetensors.index.json', 'one.safetensors', 'sub/two.safetensors'),
  );

  zipAndTar(
    'one safetensors file',
    [{ name: 'a.safetensors', content: createSafetensors({ a: [1000] }) }],
    remains('a.safetensors'),
  );

  test('a graph and its external data', async () => {
    const bytes = await readFile(new URL('../../examples/fc2-mnist.onnx', import.meta.url));
    const model = fromBinary(ModelProtoSchema, bytes);
    const numbers = moveOut(model, 'data/w.bin');
    const entries = [
      { name: 'docs/more/README.md', content: 'about' },
      { name: 'm.onnx', content: toBinary(ModelProtoSchema, model), deflate: true },
      { name: 'data/w.bin', content: numbers, deflate: true },
      { name: 'data/unused.bin', ...zeros },
    ];
    const packed = await readJson(await post('/v1/models', [['file', 'm.zip', createZip(entries)]]));
    const folder = join(service.store.root, 'models', packed.id, 'files');
    assert.deepEqual((await readdir(folder, { recursive: true })).sort(), ['data', 'data/w.bin', 'm.onnx']);
    assert.deepEqual(await readFile(join(folder, 'data/w.bin')), Buffer.from(numbers));
    const loose = entries
      .slice(1, 3)
      .map(({ name, content }) => ['file', name, Buffer.from(content)] as const);
    assert.deepEqual(await readJson(await post('/v1/models', loose)), packed);
    await service.fetch(`/v1/models/${packed.id}`, { method: 'DELETE' });

    const tensor = model.graph?.initializer[0];
    tensor?.externalData.push(create(StringStringEntryProtoSchema, { key: 'offset', value: '1' }));
    const beyond = { name: 'm.onnx', content: toBinary(ModelProtoSchema, model) };
    await refused(
      await post('/v1/models', [['file', 'm.zip', createZip([beyond, entries[2]])]]),
      422,
      'malformed_onnx',
      /within the \d+ bytes of data\/w.bin/,
    );
  });
});

describe('a client that goes away while its archive is unpacked', () => {
  const header = JSON.stringify({
    a: { dtype: 'F32', shape: [50 * 2 ** 20], data_offsets: [0, 200 * 2 ** 20] },
  });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const large = Buffer.concat([length, Buffer.from(header), Buffer.alloc(200 * 2 ** 20)]);
  const npy = createFloatNpy([1]);
  const MANY = 2000;
  const isOther = (name: string) => name.endsWith('.bin');

  for (const [path, part, file] of PLACES) {
    test(path, async () => {
      const entries = file.endsWith('.npz')
        ? [{ name: 'a.npy', content: Buffer.concat([npy, large]), deflate: true }]
        : [{ name: 'a.safetensors', content: large, deflate: true }];
      const socket = await send(path, part, file, entries);
      const deadline = Date.now() + 20_000;
      while ((await unpacked()) < 2 ** 20) {
        assert.ok(Date.now() < deadline, 'nothing is unpacked');
        await sleep(2);
      }
      socket.destroy();
      for (let i = 0; i < 250 && (await service.leftOver()).length > 0; i++) await sleep(20);
      assert.deepEqual(await service.leftOver(), []);
    });
  }

  // Nothing of these entries is read: only between them it can be seen that the client has gone.
  for (const [phase, isReached, isStopped] of [
    ['listed', (seen) => seen.length > 0, (left) => left < MANY],
    ['sorted out', (seen) => seen.includes(MANY) && seen.at(-1) !== MANY, (left) => left > 0],
  ] as [string, (seen: number[]) => boolean, (left: number) => boolean][]) {
    test(`many entries, of which none belongs to the model, while they are ${phase}`, async () => {
      const graph = await readFile(new URL('../../examples/fc2-mnist.onnx', import.meta.url));
      const others = Array.from({ length: MANY }, (_, i) => ({ name: `${i}.bin`, content: 'x' }));
      const discarded = watchDiscards(service.store);
      const socket = await send('/v1/models', 'file', 'm.zip', [
        { name: 'm.onnx', content: graph },
        ...others,
      ]);
      const seen: number[] = [];
      const deadline = Date.now() + 60_000;
      while (!isReached(seen)) {
        assert.ok(Date.now() < deadline, `${seen}`);
        const count = (await service.leftOver()).filter(isOther).length;
        if (count > 0) seen.push(count);
        // Looking takes the threads that unpacking needs.
        await sleep(10);
      }
      socket.destroy();
      while (discarded.length === 0) {
        assert.ok(Date.now() < deadline, 'the upload goes on');
        await sleep(20);
      }
      const left = discarded[0]?.filter(isOther).length ?? 0;
      assert.ok(isStopped(left), `${left} of ${MANY} files`);
      for (let i = 0; i < 250 && (await service.leftOver()).length > 0; i++) await sleep(20);
      assert.deepEqual(await service.leftOver(), []);
    });
  }

  async function send(path: string, part: string, file: string, entries: readonly ZipEntry[]) {
    const socket = connect(Number(new URL(await service.listen()).port), '127.0.0.1');
    await once(socket, 'connect');
    const body = formOf([[part, file, createZip(entries)]]);
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${HEADERS['content-type']}\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    socket.write(body);
    return socket;
  }

  /** Bytes on disk of what is unpacked now. */
  async function unpacked(): Promise<number> {
    let blocks = 0;
    for (const name of await service.leftOver()) {
      const found = await stat(join(service.store.root, name)).catch(() => null);
      if (/\/files\/.*a\.safetensors$|\/files\/scores\/0\.npy$/.test(name)) blocks += found?.blocks ?? 0;
    }
    return blocks * 512;
  }
});
