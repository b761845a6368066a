/**
 * Exports models of many kinds from PyTorch with random weights, prunes each over HTTP in every way that it offers, and holds what comes back against the dense model: zeros where masks say so and every other
 * bit as it was, and without structures what the dense model gives with masks, at two batch sizes. Writes `docs/exports.md`. Exits 1 where a job fails or an artifact is wrong.
 * The first time it makes a virtual environment of Python 3.11 or newer; that, the models and what was found of each stay in the cache, by default a folder of the system's temporary one.
 * Where some are named only these are checked anew, and the page is written if all others have been checked before.
 *
 *   npm run check:exports [-- --only NAME ... --cache path]
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type CheckedExport, checkExport } from './check-exports/check-export.ts';
import { formatDocument } from './check-exports/document.ts';
import { ensurePython, exportModels, VERSIONS } from './check-exports/python.ts';
import { Service } from './check-exports/service.ts';
import { SERVICE, startServer } from './start-server.ts';

const DOCUMENT = new URL('../docs/exports.md', import.meta.url);

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    cache: { type: 'string', default: join(tmpdir(), 'emp-exports') },
  },
});
const python = await ensurePython(values.cache);
const data = await mkdtemp(join(tmpdir(), 'emp-exports-data-'));
await using cleanup = new AsyncDisposableStack();
cleanup.defer(() => rm(data, { recursive: true }));
const server = cleanup.use(
  await startServer(SERVICE, { DATA_DIR: data, LOG_LEVEL: 'error', WORKER_THREADS: '1' }),
);
const service = new Service(server.baseUrl);

const results = join(values.cache, 'results');
await mkdir(results, { recursive: true });
const known: (CheckedExport | null)[] = [];
const checked: CheckedExport[] = [];
for await (const exported of exportModels(python, values.cache, values.only)) {
  const file = join(results, `${exported.name}.json`);
  if (exported.skipped) {
    known.push(existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : null);
    continue;
  }
  const start = performance.now();
  const result = await checkExport(exported, service);
  await writeFile(file, JSON.stringify(result));
  known.push(result);
  checked.push(result);
  report(result, (performance.now() - start) / 1000);
}
const unknown = values.only.filter((name) => !checked.some(({ exported }) => exported.name === name));
if (unknown.length > 0) throw new Error(`there is no export named ${unknown.join(', ')}`);
const all = known.filter((result) => result !== null);
if (all.length === known.length) await writeFile(DOCUMENT, formatDocument(all, VERSIONS));
const isBad = ({ verdict }: CheckedExport['outcomes'][number]) => verdict === 'failed' || verdict === 'wrong';
process.exitCode = checked.some(({ outcomes }) => outcomes.some(isBad)) ? 1 : 0;

function report({ exported, outcomes, attentions }: CheckedExport, seconds: number): void {
  const counts = Map.groupBy(outcomes, ({ verdict }) => verdict);
  const texts = Array.from(counts, ([verdict, { length }]) => `${verdict} ${length}`);
  const heads = attentions.map(({ heads, reason }) => reason ?? heads).join('; ');
  console.log(`${exported.name}: ${texts.join(', ')}${heads && `, heads ${heads}`}, ${seconds.toFixed(1)} s`);
  for (const { trial, verdict, reason } of outcomes)
    if (verdict !== 'ok') console.log(`    ${verdict} ${trial}: ${reason}`);
}
