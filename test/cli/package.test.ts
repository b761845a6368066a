import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readBaseUrl } from '../../scripts/start-server.ts';
import { ended, openPlace } from './run-emp.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);

/** A program of somebody else's, on what the package exports. */
const USER = `
import { mkdir } from 'node:fs/promises';
import { decide } from 'effective-model-pruning/core';
import { openFileSource } from 'effective-model-pruning/formats/file-source';
import { readModelInventory } from 'effective-model-pruning/graph/inventory';
import { prune } from 'effective-model-pruning/pipeline';
import { recipeSchema } from 'effective-model-pruning/recipe';

const { nKeep } = await decide(new Float64Array([3, -1, 0, 0]));
const [directory, name] = process.argv.slice(2);
const source = await openFileSource(directory + '/' + name);
const inventory = await readModelInventory(new Map([[name, source]]));
await mkdir('pruned');
const { summary } = await prune(
  {
    model: { directory, inventory },
    identity: { name, sha256: '', sizeBytes: source.byteLength },
    recipe: recipeSchema.parse({ scope: 'layer' }),
    scores: null, calibration: null, selection: null, evaluation: null,
    outputDirectory: 'pruned',
    runtime: { providers: ['cpu'], threads: 2 },
  },
  { signal: new AbortController().signal, onProgress() {} },
);
console.log(JSON.stringify({ nKeep, n: summary.n }));
process.exit();
`;

test('the packed package works in an empty folder: the command line, its examples, what it exports', async (t) => {
  const place = await openPlace(t);
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', place.path], { cwd: ROOT });
  const packed = JSON.parse(stdout.slice(stdout.indexOf('[')))[0];
  assert.deepEqual(
    packed.files
      .map(({ path }: { path: string }) => path)
      .filter((path: string) => path.endsWith('.ts') && !path.endsWith('.d.ts')),
    [],
  );
  await run('tar', ['-xzf', packed.filename], { cwd: place.path });
  const { name, bin, dependencies } = JSON.parse(
    await readFile(join(place.path, 'package/package.json'), 'utf8'),
  );
  // As an installation lies there, without a registry: the dependencies are those of this tree.
  const modules = join(place.path, 'node_modules');
  for (const dependency of [...Object.keys(dependencies), ...(await readdir(join(ROOT, 'node_modules')))]) {
    const to = join(modules, dependency);
    await mkdir(dirname(to), { recursive: true });
    await symlink(join(ROOT, 'node_modules', dependency), to).catch(ifThere);
  }
  await rename(join(place.path, 'package'), join(modules, name));

  const emp = (...args: string[]) =>
    ended(place.start(args, { program: [process.execPath, join(modules, name, bin.emp)] }));
  const examples = join(modules, name, 'examples');
  const found = await emp(
    ...['find', join(examples, 'fc2-mnist.onnx'), '--data', join(examples, 'mnist/evaluation_inputs.npy')],
    ...[
      '--labels',
      join(examples, 'mnist/evaluation_labels.npy'),
      '--calibration',
      join(examples, 'mnist/calibration_inputs.npy'),
    ],
    ...['--max-accuracy-drop', '0.5', '--max-candidates', '4', '--output', 'found'],
  );
  assert.equal(found.code, 0, found.stderr);
  assert.ok((await readdir(join(place.path, 'found'))).includes('fc2-mnist.onnx'));
  const inspected = await emp('inspect', join(examples, 'fc2-mnist.onnx'));
  assert.equal(inspected.code, 0, inspected.stderr);

  const server = place.start(['serve'], {
    program: [process.execPath, join(modules, name, bin.emp)],
    env: { PORT: '0', HOST: '127.0.0.1', DATA_DIR: join(place.path, 'data'), LOG_LEVEL: 'warn' },
  });
  const url = await readBaseUrl(server);
  const page = await (await fetch(url)).text();
  const assets = [...page.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, path]) => path);
  assert.ok(assets.some((path) => path.endsWith('.js')) && assets.some((path) => path.endsWith('.css')));
  for (const path of assets) assert.equal((await fetch(`${url}${path}`)).status, 200, path);
  const end = once(server, 'exit');
  server.kill('SIGTERM');
  await end;

  await writeFile(join(place.path, 'user.mjs'), USER);
  const used = await ended(
    place.start([examples, 'fc2-mnist.onnx'], { program: [process.execPath, 'user.mjs'] }),
  );
  assert.deepEqual([used.code, used.stderr], [0, '']);
  assert.deepEqual(JSON.parse(used.stdout), { nKeep: 1, n: 79_400 });
  assert.ok((await readdir(join(place.path, 'pruned'))).includes('fc2-mnist.onnx'));
});

function ifThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
