/**
 * Holds the removal of structures against what it has to leave. First over ONNX's node tests in Debian's libonnx-testdata, their inputs turned into constants and their outputs free to shrink:
 * whatever is removed, `op(delete(x))` equals `delete(op(mask(x)))`. Then over whole models, of which three in ten structures of every family are removed: what is left equals the
 * dense model with masks and with zeros at two batch sizes, and a table says how much smaller and faster it is. Exits 1 on any failure.
 *
 *   apt-get install libonnx-testdata && npm run check:structures [-- path/to/model.onnx ...]
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sharedFixtures } from '../test/shared.ts';
import { checkNodeTests } from './check-structures/check-node-tests.ts';
import { checkModel, tableHead, tableRow } from './check-structures/model-table.ts';
import { installedModels } from './model-files.ts';

const SMALL_MODELS = fileURLToPath(new URL('../test/structure/models', import.meta.url));
const FIXTURES = ['fc2-mnist', 'fc5-fashion', 'cnn-fashion', 'kan-mnist', 'llama-tiny'];

const failures = await checkNodeTests();
const remarks = new Map<string, number>();
console.log(`\n${tableHead()}`);
for (const path of await listModels()) {
  const { name, row, remark, failure } = await checkModel(path);
  if (row) console.log(tableRow(row));
  if (remark) remarks.set(remark, (remarks.get(remark) ?? 0) + 1);
  if (failure) failures.push(`${name}: ${failure}`);
}
for (const [remark, count] of remarks) console.log(`\nNot in the table, since ${remark}: ${count} models`);
for (const failure of failures) console.log(`FAILED ${failure}`);
process.exitCode = failures.length > 0 ? 1 : 0;

async function listModels(): Promise<string[]> {
  const fixtures = sharedFixtures();
  const small = (await readdir(SMALL_MODELS)).filter((file) => file.endsWith('.onnx'));
  return [
    ...(fixtures === null ? [] : FIXTURES.map((fixture) => join(fixtures, fixture, 'model.onnx'))),
    ...small.sort().map((file) => join(SMALL_MODELS, file)),
    ...process.argv.slice(2),
    ...installedModels().filter((path) => /\/pytorch-(converted|operator)\/.*\/model\.onnx$/.test(path)),
  ];
}
