import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { glob, readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import GithubSlugger from 'github-slugger';
import { parse } from 'yaml';
import { renderReference } from '../../scripts/vocabulary.ts';
import { RULES } from '../../src/autodiff/rules/registry.ts';
import { SETTINGS } from '../../src/config.ts';
import { STRUCTURE_RULES } from '../../src/structure/rules/registry.ts';
import { ONNX_OPERATORS } from '../structure/onnx-operators.ts';

/** Of these one input has a gradient, or one use. */
const MENTIONED = new Set(['Cast', 'OneHot', 'Range']);

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');

/** Whether the last cell of a row is anything but paths of tests. */
function lacksTest(row: string): boolean {
  const paths = (row.split(' | ').at(-1) ?? '').replace(/ \|$/, '').split(', ');
  return !paths.every((path) => {
    const [, file] = /^`(test\/[\w/-]+\.test\.ts)`$/.exec(path) ?? [];
    return file !== undefined && existsSync(new URL(`../../${file}`, import.meta.url));
  });
}

/** A link to a file of the repository, or to a title: of another document, or of the same. */
const LINK = /\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g;

/** What links to a Markdown text may end with. */
function anchorsOf(text: string): Set<string> {
  const slugger = new GithubSlugger();
  const titles = text.replaceAll(/^```.*?^```/gms, '').matchAll(/^#+ (.*)$/gm);
  return new Set([...titles].map(([, title = '']) => slugger.slug(title.replaceAll(/[`*]/g, ''))));
}

describe('what is written beside the code', () => {
  test('the guide and .env.example list every setting, and no other', async () => {
    const listed = (await read('.env.example')).matchAll(/^([A-Z_]+)=/gm);
    assert.deepEqual([...listed].map(([, name]) => name).sort(), [...SETTINGS].sort());
    const rows = (await read('docs/guide/operate.md')).matchAll(/^\| `([A-Z_]+)`/gm);
    assert.deepEqual([...rows].map(([, name]) => name).sort(), [...SETTINGS].sort());
  });

  test('the reference has the tables of criteria and repairs as the vocabulary has them (npm run vocabulary)', async () => {
    const text = await read('docs/reference.md');
    assert.ok((await renderReference()) === text, 'docs/reference.md is stale: npm run vocabulary');
  });

  test('docs/gradients.md lists every operator with a gradient rule once, and no other', async () => {
    const rows = (await read('docs/gradients.md')).matchAll(/^\| (`\w+`(?:, `\w+`)*) \|/gm);
    const listed = [...rows].flatMap(([, cell = '']) => [...cell.matchAll(/\w+/g)].map(([name]) => name));
    assert.deepEqual(listed.sort(), [...RULES.keys()].sort());
  });

  test('docs/structures.md lists every operator with a rule for structures once, and no other', async () => {
    const rows = (await read('docs/structures.md')).matchAll(/^\| (`[\w.]+`(?:, `[\w.]+`)*) \|/gm);
    const listed = [...rows].flatMap(([, cell = '']) => [...cell.matchAll(/[\w.]+/g)].map(([name]) => name));
    assert.deepEqual(listed.sort(), [...STRUCTURE_RULES.keys()].sort());
  });

  test('the documents say of every operator of ONNX that it has a rule, or why not', async () => {
    const sectionsOf = async (path: string, ...titles: string[]) =>
      (await read(path))
        .split(/^## /m)
        .filter((section) => titles.some((title) => section.startsWith(title)));
    const namedIn = (sections: string[]) =>
      new Set(
        sections.flatMap((section) => [...section.matchAll(/\b[A-Z][A-Za-z0-9]+\b/g)].map(([name]) => name)),
      );
    const structures = namedIn(await sectionsOf('docs/structures.md', 'Operators without a rule'));
    const gradients = namedIn(
      await sectionsOf('docs/gradients.md', 'Operators that lack a rule', 'Operators that carry no gradient'),
    );
    assert.equal(ONNX_OPERATORS.length, 198);
    for (const [rules, reasons] of [[STRUCTURE_RULES, structures] as const, [RULES, gradients] as const]) {
      assert.deepEqual(
        ONNX_OPERATORS.filter((name) => !rules.has(name) && !reasons.has(name)),
        [],
      );
      assert.deepEqual(
        [...reasons].filter(
          (name) => rules.has(name) && ONNX_OPERATORS.includes(name) && !MENTIONED.has(name),
        ),
        [],
      );
    }
  });

  test('docs/threat-model.md names for every attack a test that exists', async () => {
    const text = await read('docs/threat-model.md');
    const rows = text.split('\n').filter((line) => /^\| (?!(attack|fault) \|)/.test(line));
    assert.ok(rows.length >= 30, `${rows.length} attacks`);
    assert.deepEqual(rows.filter(lacksTest), []);
    for (const cell of ['', '(to come)', '`test/http/nothing.test.ts`', '`src/main.ts`'])
      assert.ok(lacksTest(`| an attack | a defence | ${cell} |`));
  });

  test('links within the documents lead somewhere', async () => {
    const root = new URL('../../', import.meta.url);
    const documents = await Array.fromAsync(glob('{*,docs/**/*,examples/*}.md', { cwd: root }));
    assert.ok(documents.length > 20, String(documents));
    for (const document of documents)
      for (const [, target = '', anchor] of (await read(document)).matchAll(LINK)) {
        const url = new URL(
          target === '' ? document : target,
          target === '' ? root : new URL(document, root),
        );
        if (target !== '') assert.ok(existsSync(url), `${document}: ${target}`);
        const path = target === '' ? document : url.href.slice(root.href.length);
        if (anchor !== undefined && path.endsWith('.md'))
          assert.ok(anchorsOf(await read(path)).has(anchor), `${document}: ${target}#${anchor}`);
      }
  });

  test('the image copies files that exist, and does not run as root', async () => {
    const dockerfile = await read('Dockerfile');
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths]) =>
      (paths ?? '').split(' '),
    );
    assert.ok(copied.includes('src'));
    const allowed = (await read('.dockerignore')).split('\n').filter((line) => line.startsWith('!'));
    for (const path of copied) {
      assert.ok(existsSync(new URL(`../../${path}`, import.meta.url)), path);
      assert.ok(allowed.includes(`!${path}`), `${path} is not in the build context`);
    }
    assert.match(dockerfile, /^USER node$/m);
  });

  test('the composed service keeps its queue and uses settings that exist', async () => {
    const { services, volumes } = parse(await read('docker-compose.yml'), { merge: true });
    assert.deepEqual(services.redis.command, [
      'redis-server',
      ...['--appendonly', 'yes'],
      ...['--maxmemory-policy', 'noeviction'],
      ...['--maxmemory', '512mb'],
    ]);
    for (const role of ['api', 'worker']) {
      assert.deepEqual(services[role].command, ['node', 'src/main.ts', role]);
      assert.deepEqual(services[role].volumes, ['data:/data']);
      for (const name of Object.keys(services[role].environment))
        assert.ok((SETTINGS as string[]).includes(name));
    }
    assert.ok('data' in volumes && 'redis' in volumes);
  });

  test('the lock file names no registry, and is whole for every platform', async () => {
    const text = await read('package-lock.json');
    assert.doesNotMatch(text, /"resolved"/);
    const packages: Record<string, { optionalDependencies?: Record<string, string> }> =
      JSON.parse(text).packages;
    const locked = new Set(Object.keys(packages).map((path) => path.split('node_modules/').at(-1)));
    const wanted = Object.values(packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}));
    // A registry that mirrors one platform leaves the others out of the lock, and npm 11 then refuses `npm ci`.
    assert.deepEqual(
      wanted.filter((name) => !locked.has(name)),
      [],
    );
  });

  test('no npm runs the install script of onnxruntime-node, which needs a host besides the registry', async () => {
    // npm 11 and newer ask `allowScripts`; npm 10 asks the lock, where an update of the package brings `hasInstallScript` back: delete it.
    assert.equal(JSON.parse(await read('package.json')).allowScripts['onnxruntime-node'], false);
    const { packages } = JSON.parse(await read('package-lock.json'));
    assert.equal(packages['node_modules/onnxruntime-node'].hasInstallScript, undefined);
  });
});
