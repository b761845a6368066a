import assert from 'node:assert/strict';
import { appendFile, cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readSources, sourceKey } from '../../src/intake/source-key.ts';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));
const CHILD = 'intake/find-structures.ts';
let directory: string;
let copy: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-source-'));
  copy = join(directory, 'elsewhere', 'src');
  await cp(SRC, copy, { recursive: true });
});
after(() => rm(directory, { recursive: true }));

const pathsOf = async (root: string) =>
  Array.from((await readSources(join(root, CHILD))).keys(), (path) => relative(root, path));
const keyOf = (root: string) => sourceKey(join(root, CHILD), root);

describe('the key of the structure analysis', () => {
  test('covers every rule, and nothing of the API or the queue', async () => {
    const paths = await pathsOf(SRC);
    const rules = (await readdir(join(SRC, 'structure/rules'))).map((name) => `structure/rules/${name}`);
    assert.ok(rules.length > 5);
    for (const path of [CHILD, 'structure/lanes.ts', ...rules]) assert.ok(paths.includes(path), path);
    const rooms = new Set(paths.map((path) => path.split('/')[0]));
    for (const room of ['http', 'pipeline', 'report', 'storage']) assert.ok(!rooms.has(room), room);
  });

  test('is the same wherever the checkout lies, and whatever else changes', async () => {
    const key = await keyOf(SRC);
    assert.match(key, /^[0-9a-f]{64}$/);
    assert.equal(await keyOf(copy), key);
    await appendFile(join(copy, 'http/app.ts'), '// changed\n');
    await writeFile(join(copy, 'structure/rules/unknown.ts'), '// not in the registry\n');
    assert.equal(await keyOf(copy), key);
  });

  test('changes with a rule, with what rules stand on, and with a rule more', async () => {
    const keys = new Set([await keyOf(SRC)]);
    const oneOfEachRoom = new Map((await pathsOf(SRC)).map((path) => [dirname(path), path]));
    const paths = [...oneOfEachRoom.values()];
    assert.ok(paths.length > 5);
    for (const path of paths) {
      await appendFile(join(copy, path), '// changed\n');
      keys.add(await keyOf(copy));
    }
    await appendFile(join(copy, 'structure/rules/registry.ts'), "import './unknown.ts';\n");
    keys.add(await keyOf(copy));
    assert.equal(keys.size, paths.length + 2);
  });
});
