import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkPruning } from './golden-pruning.ts';

/** The magnitude part of fixtures/fc2-mnist/golden.json of the project's shared material; `npm run check:goldens` has the others. */
test('golden magnitude prunings of independent code: examples/fc2-mnist.onnx', async () => {
  const example = fileURLToPath(new URL('../../examples/fc2-mnist.onnx', import.meta.url));
  const golden = JSON.parse(await readFile(new URL('fc2-mnist.golden.json', import.meta.url), 'utf8'));
  for (const pruning of golden.magnitude) await checkPruning(example, pruning, Object.keys(golden.prunable));
});
