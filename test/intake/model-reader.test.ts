import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ModelReader, type ReaderLimits } from '../../src/intake/model-reader.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';

const NAME = 'm.safetensors';

describe('a reader of models', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'emp-reader-'));
    await writeFile(join(directory, NAME), createSafetensors({ 'fc.weight': [2, 2] }));
  });
  after(() => rm(directory, { recursive: true }));
  const read = (reader: ModelReader) =>
    reader.read({ directory, files: directory }, [NAME], 'refused', {
      client: 'one',
      tenant: null,
      signal: new AbortController().signal,
    });

  // No model is as small as these limits: what is refused here is refused within any.
  const cases: [string, Partial<ReaderLimits>, string][] = [
    ['more time', { timeMs: 1 }, 'longer than the 0.001 seconds'],
    ['more memory', { memoryMebibytes: 16 }, 'more than the 16 MiB of memory, 16 MiB of them for objects,'],
    ['more objects', { heapMebibytes: 8 }, 'more than the 1536 MiB of memory, 8 MiB of them for objects,'],
  ];
  for (const [what, limits, told] of cases) {
    test(`refuses a model that takes ${what} than it may, as often as it is asked`, async () => {
      const reader = new ModelReader(directory, limits);
      try {
        for (let i = 0; i < 2; i++) {
          await assert.rejects(read(reader), {
            code: 'limit_exceeded',
            message: `${NAME}: reading it takes ${told} that it may: it has more parts than a model needs`,
          });
        }
      } finally {
        await reader.close();
      }
    });
  }

  test('takes a model whose multiply-accumulates take more than they may for one without', async () => {
    const upload = { directory, files: directory };
    const asker = { client: 'one', tenant: null, signal: new AbortController().signal };
    const reader = new ModelReader(directory, { timeMs: 1 });
    try {
      assert.equal(await reader.count(upload, NAME, asker), null);
    } finally {
      await reader.close();
    }
  });

  test('says that it may be asked again where its process was killed, and reads then', async () => {
    const reader = new ModelReader(directory);
    try {
      reader.warm();
      const reading = assert.rejects(read(reader), { code: 'not_ready' });
      const children = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8');
      process.kill(Number(children), 'SIGKILL');
      await reading;
      assert.deepEqual((await read(reader)).files, [NAME]);
    } finally {
      await reader.close();
    }
  });
});
