import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encode, modelFunction, node } from '../models/build-model.ts';
import { build } from '../models/traced-model.ts';
import { random } from './cases/rule-case.ts';
import { checkRemovalOf, structuresOf } from './removal-check.ts';

const WIDTH = 64;
const CALLS = 5;
const TOLERANCE = 1e-5;
/** Of names, nodes and shapes, which calls take more of than one function. */
const MAX_OTHER_BYTES = 4000;

test('a weight inside a function that is called several times stays one', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'emp-functions-'));
  t.after(() => rm(directory, { recursive: true }));
  const block = modelFunction(
    'block',
    ['a'],
    ['b'],
    [
      node('Constant', [], ['w'], { value: random('w', [WIDTH, WIDTH]) }),
      node('MatMul', ['a', 'w'], ['m']),
      node('Tanh', ['m'], ['b']),
    ],
  );
  const calls = Array.from({ length: CALLS }, (_, i) => node('block', [`v${i}`], [`v${i + 1}`], {}, 'local'));
  const proto = build({
    nodes: [node('MatMul', ['x', 'up'], ['v0']), ...calls, node('MatMul', [`v${CALLS}`, 'down'], ['y'])],
    initializers: [random('up', [4, WIDTH]), random('down', [WIDTH, 3])],
  });
  proto.functions = [block];
  proto.opsetImport.push({ ...proto.opsetImport[0], domain: 'local', version: 1n });
  const path = join(directory, 'model.onnx');
  await writeFile(path, encode(proto));
  const { families } = await structuresOf(path);
  assert.deepEqual(
    families.map(({ kind, structures }) => `${kind} ${structures.length}`),
    [`channel ${WIDTH}`],
  );
  await using checked = await checkRemovalOf(path);
  assert.ok(checked.masked <= TOLERANCE && checked.zeroed <= TOLERANCE);
  const left = WIDTH - checked.removed.size;
  const { size } = await stat(checked.path);
  assert.ok(size <= 4 * (4 * left + left ** 2 + 3 * left) + MAX_OTHER_BYTES, `${size} bytes`);
});
