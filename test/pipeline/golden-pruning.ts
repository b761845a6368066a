import assert from 'node:assert/strict';
import { pruneFiles } from './prune-files.ts';

/** What independent code finds for a recipe of magnitude, computed in Python in float64. */
export interface GoldenPruning {
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

/** Prunes as independent code did, and holds figures and masks against its own. */
export async function checkPruning(path: string, golden: GoldenPruning, include: string[]): Promise<void> {
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
