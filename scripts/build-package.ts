/** Makes `dist/` of `src/`: Node strips no types inside `node_modules`, so a package holds JavaScript. */
import { execFileSync } from 'node:child_process';
import { chmod, copyFile, glob, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const DIST = join(ROOT, 'dist');
/** Where the compiler writes: `src` beside the `package.json` that it imports. */
const EMITTED = join(DIST, '.emitted');
const COMPILER = join(ROOT, 'node_modules/.bin/tsc');
/** Programs of children and threads are named by address, which the compiler leaves as it is. */
const STARTED = /(new URL\('\.\/[\w/-]+)\.ts('\s*,\s*import\.meta\.url\))/g;
const FOR_PAGE = [
  ...['--noEmit', 'false', '--rewriteRelativeImportExtensions'],
  ...['--rootDir', join(ROOT, 'src'), '--outDir', EMITTED],
];
/** What is read beside the code. */
const READ = ['core/kernel/kernel.wasm', 'jobs/backends/new-database.tar.br'];

await rm(DIST, { recursive: true, force: true });
execFileSync(COMPILER, ['-p', join(ROOT, 'tsconfig.build.json')], { stdio: 'inherit' });
for (const name of await readdir(join(EMITTED, 'src')))
  await rename(join(EMITTED, 'src', name), join(DIST, name));
await rm(EMITTED, { recursive: true });
// The page is compiled for browsers, and bundled by whoever serves it.
execFileSync(COMPILER, ['-p', join(ROOT, 'src/web'), ...FOR_PAGE], { stdio: 'inherit' });
await rename(join(EMITTED, 'web'), join(DIST, 'web'));
await rm(EMITTED, { recursive: true });
for await (const file of glob('web/*.css', { cwd: join(ROOT, 'src') }))
  await copyFile(join(ROOT, 'src', file), join(DIST, file));
for await (const file of glob('**/*.js', { cwd: DIST })) {
  const path = join(DIST, file);
  const text = await readFile(path, 'utf8');
  const started = text.replace(STARTED, '$1.js$2');
  if (started !== text) await writeFile(path, started);
}
for (const file of READ) await copyFile(join(ROOT, 'src', file), join(DIST, file));
await chmod(join(DIST, 'emp.js'), 0o755);
