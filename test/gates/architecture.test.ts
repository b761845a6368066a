import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readImports } from '../../scripts/imports.ts';
import { findViolations, readMap } from './source-tree.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TARGET = 'export interface Target {\n  readonly one: 1;\n}\n';

const today = await findViolations(ROOT);

/** The tree's sources and its map, to be spoiled. */
async function copyTree(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-architecture-'));
  t.after(() => rm(directory, { recursive: true }));
  for (const path of ['src', 'docs/architecture.md'])
    await cp(join(ROOT, path), join(directory, path), { recursive: true });
  return directory;
}

async function plant(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
}

/** What is found in the tree beside what the repository itself does. */
async function findPlanted(directory: string): Promise<string[]> {
  const found = await findViolations(directory);
  return [...found]
    .filter(([what, where]) => where.length > (today.get(what)?.length ?? 0))
    .map(([what]) => what)
    .sort();
}

describe('the sources', () => {
  test('keep to the map and to the rules of the house', () => {
    assert.deepEqual([...today], []);
  });

  test('show how a job prunes on one page, with what N_eff is for', async () => {
    const text = await readFile(join(ROOT, 'src/pipeline/prune.ts'), 'utf8');
    const { length } = text.trimEnd().split('\n');
    assert.ok(length < 100, `${length} lines`);
    assert.match(text, /N_eff/);
  });
});

describe('an import', () => {
  const imported: Record<string, string> = {
    'of a value': "import { one } from './one.ts';\n",
    'of a type': "import type { One } from './one.ts';\n",
    'over several lines': "import {\n  one,\n  type Two,\n} from './one.ts';\n",
    'of all': "import * as one from './one.ts';\n",
    'for its effect': "import './one.ts';\n",
    'that is exported': "export { one } from './one.ts';\n",
    'of types that are exported': "export type * from './one.ts';\n",
    'at a later time': "const one = () =>\n  import('./one.ts');\n",
    'of a type in its place': "type One = typeof import('./one.ts');\n",
    'of a thread': "new Worker(new URL('./one.ts', import.meta.url));\n",
  };
  for (const [what, text] of Object.entries(imported))
    test(`${what} is seen`, () =>
      assert.deepEqual(readImports(`const two = 2;\n${text}const three = '3';\n`), ['./one.ts']));

  test('is not what only looks like it', () => {
    const text = "export const from = 'a';\nconst b = Array.from('b');\n/** as in `import c from` */\n";
    assert.deepEqual(readImports(text), []);
  });
});

describe('the map', () => {
  test('says nothing else of core, and of a room with all above it the rows before its own', async () => {
    const map = await readMap(ROOT);
    assert.deepEqual(map.get('core'), { rooms: new Set(), packages: false });
    const rooms = [...map.keys()];
    assert.deepEqual(
      [...(map.get('http')?.rooms ?? [])].sort(),
      rooms.slice(0, rooms.indexOf('http')).sort(),
    );
    assert.deepEqual(map.get('main.ts')?.rooms, new Set(rooms.filter((room) => room !== 'main.ts')));
  });
});

describe('in a copy of the tree', () => {
  test('nothing is found that the tree has not', async (t) => {
    assert.deepEqual(await findPlanted(await copyTree(t)), []);
  });

  test('every import that the map does not allow is found, and no other', async (t) => {
    const directory = await copyTree(t);
    const map = await readMap(ROOT);
    const rooms = [...map.keys()].filter((room) => !room.endsWith('.ts'));
    const forbidden: string[] = [];
    for (const from of rooms) {
      const targets = rooms.filter((to) => to !== from && !map.get(from)?.rooms.has(to));
      await plant(directory, { [`src/${from}/target-of-${from}.ts`]: TARGET });
      for (const to of targets) {
        forbidden.push(`${from} imports ${to}`);
        const line = `import type { Target } from '../../${to}/target-of-${to}.ts';\n`;
        await plant(directory, { [`src/${from}/planted/${from}-to-${to}.ts`]: line });
      }
    }
    const found = (await findPlanted(directory)).filter((what) => / imports /.test(what));
    assert.deepEqual(found, forbidden.sort());
  });

  const planted: Record<string, { files: Record<string, string>; found: string[] }> = {
    'a dynamic import upwards': {
      files: { 'src/storage/planted.ts': "export const one = await import('../report/two.ts');\n" },
      found: ['storage imports report'],
    },
    'a room that the map lacks': {
      files: { 'src/attic/planted.ts': 'export const one = 1;\n' },
      found: ['the map lacks attic'],
    },
    'a file right in src that the map lacks': {
      files: { 'src/planted.ts': 'export const one = 1;\n' },
      found: ['the map lacks planted.ts'],
    },
    'I/O in core': {
      files: { 'src/core/planted.ts': "import { open } from 'node:fs/promises';\n" },
      found: ['core imports node:fs/promises'],
    },
    'a package in core': {
      files: { 'src/core/kernel/planted.ts': "import { z } from 'zod';\n" },
      found: ['core imports zod'],
    },
    'an import of main': {
      files: { 'src/http/planted.ts': "import '../main.ts';\n" },
      found: ['a cycle of http, main.ts, serve.ts, start-service.ts', 'http imports main.ts'],
    },
    'an import from outside of src': {
      files: { 'src/http/planted.ts': "import { one } from '../../test/one.ts';\n" },
      found: ['http imports test/one.ts'],
    },
    'a file of 251 lines without a reason in its head, and only that one': {
      files: {
        'src/jobs/planted-fits.ts': '// One.\n'.repeat(250),
        'src/jobs/planted-long.ts': 'export {};\n// Over 250 lines: not in the head.\n'.repeat(126),
        'src/jobs/planted-reason.ts': `/** Over 250 lines because it is a table. */\n${'export {};\n'.repeat(251)}`,
        'src/jobs/planted-generated.ts': `// @generated by a tool\n\n${'export {};\n'.repeat(251)}`,
      },
      found: ['src/jobs/planted-long.ts is over 250 lines and its head gives no reason'],
    },
    'a name that is there twice, and not one that is repeated by rule': {
      files: {
        'src/jobs/planted.ts': 'export const one = 1;\n',
        'src/http/routes/planted.ts': 'export const one = 1;\n',
        'src/jobs/rules/planted.ts': 'export const one = 1;\n',
        'src/jobs/registry.ts': 'export const one = 1;\n',
      },
      found: ['planted.ts is the name of several files'],
    },
  };
  for (const [what, { files, found }] of Object.entries(planted)) {
    test(`${what} is found`, async (t) => {
      const directory = await copyTree(t);
      await plant(directory, files);
      assert.deepEqual(await findPlanted(directory), found);
    });
  }

  async function addRows(directory: string, rows: string): Promise<void> {
    const path = join(directory, 'docs/architecture.md');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace(/^\| `src\/main\.ts`.*\n/m, `$&${rows}`));
  }

  test('a cycle of rooms is found, also through a third', async (t) => {
    const directory = await copyTree(t);
    await addRows(
      directory,
      '| `src/attic/` | one | core |\n| `src/cellar/` | two | core |\n| `src/loft/` | three | core |\n',
    );
    await plant(directory, {
      'src/attic/planted-one.ts': "import type { Two } from '../cellar/planted-two.ts';\n",
      'src/cellar/planted-two.ts': "export type { Three } from '../loft/planted-three.ts';\n",
      'src/loft/planted-three.ts': "export const one = await import('../attic/planted-one.ts');\n",
    });
    assert.deepEqual(await findPlanted(directory), [
      'a cycle of attic, cellar, loft',
      'attic imports cellar',
      'cellar imports loft',
      'loft imports attic',
    ]);
  });

  test('a row of the map that has no room, or names none, or makes a cycle is found', async (t) => {
    const directory = await copyTree(t);
    await addRows(
      directory,
      '| `src/attic/` | one | core, cellar |\n| `src/loft/` | two | core, attic, loft |\n',
    );
    assert.deepEqual(await findPlanted(directory), [
      'the map allows a cycle of loft',
      'the map has attic, which src has not',
      'the map has loft, which src has not',
      'the map lacks cellar',
    ]);
  });
});
