import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pruneFiles } from '../pipeline/prune-files.ts';
import { sharedFixtures } from '../shared.ts';

const MODELS = ['fc2-mnist', 'fc5-fashion', 'cnn-fashion', 'kan-mnist', 'llama-tiny'];
const fixtures = sharedFixtures();

interface GoldenPruning {
  scope: 'global' | 'layer' | 'row';
  beta: number;
  total: Record<string, number | null>;
  tensors?: Record<string, Record<string, unknown> & { n: number; n_keep: number; mask_sha256: string }>;
}

/** The relative error that two float64 computations of the same sum may show. */
function assertClose(actual: unknown, expected: unknown, what: string): void {
  assert.ok(typeof actual === 'number' && typeof expected === 'number', `${what}: ${actual}`);
  assert.ok(
    Math.abs(actual - expected) <= 1e-9 * Math.abs(expected),
    `${what}: ${actual}, expected ${expected}`,
  );
}

async function check(path: string, golden: GoldenPruning, include: string[]): Promise<void> {
  const { scope, beta } = golden;
  await using pruned = await pruneFiles(path, { scope, beta, include });
  const { total, tensors } = pruned.report;
  assert.equal(total.n, golden.total.n);
  assert.equal(total.n_keep, golden.total.n_keep);
  for (const figure of ['n_eff', 'threshold', 'preserved_mass', 'preserved_mass_bound'] as const) {
    if (typeof golden.total[figure] === 'number') assertClose(total[figure], golden.total[figure], figure);
  }
  for (const [name, expected] of Object.entries(golden.tensors ?? {})) {
    const tensor = tensors.find((candidate) => candidate.name === name);
    assert.ok(tensor, `${name} is missing`);
    assert.equal(tensor.n_keep, expected.n_keep, name);
    assert.equal(tensor.mask_sha256, expected.mask_sha256, `keep mask of ${name}`);
  }
}

describe('golden magnitude prunings of independent code', () => {
  // The magnitude part of fixtures/fc2-mnist/golden.json of the project's shared material, computed in Python in float64.
  test('examples/fc2-mnist.onnx', async () => {
    const example = fileURLToPath(new URL('../../examples/fc2-mnist.onnx', import.meta.url));
    const golden = JSON.parse(await readFile(new URL('fc2-mnist.golden.json', import.meta.url), 'utf8'));
    for (const pruning of golden.magnitude) await check(example, pruning, Object.keys(golden.prunable));
  });

  for (const model of MODELS) {
    const folder = fixtures && join(fixtures, model);
    for (const file of ['model.safetensors', 'model.onnx', 'sharded', 'model.bf16.safetensors']) {
      if (folder && !existsSync(join(folder, file))) continue;
      test(`${model}/${file}`, async (t) => {
        if (!folder) return t.skip('golden check did not run: ../shared/fixtures is not here');
        const golden = JSON.parse(await readFile(join(folder, 'golden.json'), 'utf8'));
        const prunings: GoldenPruning[] = [
          golden[file.includes('bf16') ? 'magnitude_bf16' : 'magnitude'],
        ].flat();
        for (const pruning of prunings) {
          if (!pruning.scope) throw new Error(`unexpected golden file: ${Object.keys(pruning)}`);
          await check(join(folder, file), pruning, Object.keys(golden.prunable));
        }
      });
    }
  }
});
