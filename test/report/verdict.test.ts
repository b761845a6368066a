import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Report } from '../../src/report/report.ts';
import { createVerdict } from '../../src/report/verdict.ts';

const total: Report['total'] = {
  n: 12_000,
  n_keep: 9_000,
  sparsity: 0.25,
  n_eff: 9_000.5,
  threshold: 0.1,
  preserved_mass: 0.9377,
  preserved_mass_bound: 0.75999,
};
const sizes: Report['sizes'] = {
  dense_bytes: 48_000,
  pruned_bytes: 48_000,
  dense_zstd_bytes: 44_000,
  pruned_zstd_bytes: 33_000,
  zstd_estimated: false,
  mask_bytes: 1_600,
};
const tensor = {
  name: 'a.weight',
  shape: [12_000],
  dtype: 'float32',
  n: 12_000,
  n_keep: 9_000,
  sparsity: 0.25,
  n_eff: 9_000.5,
  threshold: 0.1,
  preserved_mass: 0.9377,
  score_histogram: { log2_min: 0, counts: [], zero: 0 },
  mask_sha256: '',
};
const figures = { total, sizes, tensors: [tensor], beta: 1, zeroRows: new Map<string, number>(), raised: [] };
const textOf = (changed: Partial<Parameters<typeof createVerdict>[0]>) =>
  createVerdict({ ...figures, ...changed }).text;

describe('the sentence', () => {
  test('says what goes, what it holds and what gets smaller', () => {
    assert.equal(
      textOf({}),
      'EMP removes 3,000 of 12,000 weights (25.0 %); what stays holds 93.8 % of the importance mass (guaranteed: 75.9 %); ' +
        'what that costs in accuracy was not measured; the model keeps its 48.0 kB, compressed by zstd it goes from 44.0 kB ' +
        'to 33.0 kB (1.33 x smaller), and zeros in place do not make onnxruntime faster.',
    );
  });

  test('names the rule', () => {
    assert.match(textOf({ beta: 0.5 }), /^EMP at beta 0\.5 removes 3,000 /);
    assert.match(textOf({ beta: null }), /^The fixed budget removes 3,000 /);
  });

  test('of a dry run speaks of what would be', () => {
    const dry = { ...sizes, pruned_bytes: null, pruned_zstd_bytes: null };
    assert.match(
      textOf({ sizes: dry }),
      /^EMP would remove 3,000 .*; this was a dry run, no model was written\.$/,
    );
  });

  test('does not call larger smaller', () => {
    assert.match(textOf({ sizes: { ...sizes, pruned_zstd_bytes: 45_000 } }), /to 45\.0 kB \(larger\), and/);
    assert.match(
      textOf({ sizes: { ...sizes, pruned_zstd_bytes: 44_000 } }),
      /to 44\.0 kB \(no smaller\), and/,
    );
    assert.match(
      textOf({ sizes: { ...sizes, zstd_estimated: true } }),
      /from about 44\.0 kB to about 33\.0 kB/,
    );
  });

  test('does not round almost all to all, or almost nothing to nothing', () => {
    const few = {
      ...total,
      n_keep: 11_999,
      sparsity: 1 / 12_000,
      preserved_mass: 0.99999,
      preserved_mass_bound: 0.99998,
    };
    assert.match(
      textOf({ total: few }),
      /1 of 12,000 weights \(< 0\.1 %\); what stays holds > 99\.9 % .*guaranteed: 99\.9 %/,
    );
  });

  test('claims no cost where nothing is removed', () => {
    const none = createVerdict({ ...figures, total: { ...total, n_keep: 12_000, sparsity: 0 } });
    assert.match(none.text, /^EMP removes none of 12,000 weights; the model keeps its/);
    assert.ok(none.warnings.some(({ code }) => code === 'nothing_removed'));
  });
});

describe('warnings', () => {
  const warningOf = (changed: Partial<Parameters<typeof createVerdict>[0]>, wanted: string) =>
    createVerdict({ ...figures, ...changed }).warnings.find(({ code }) => code === wanted)?.text;

  test('a tensor of zeros is left as it is only where it is a group of its own', () => {
    const zero = { ...tensor, n_eff: null };
    assert.match(
      warningOf({ tensors: [{ ...zero, n_keep: 12_000 }] }, 'all_zero_tensor') ?? '',
      /is left as it is/,
    );
    const dropped = { tensors: [{ ...zero, n_keep: 0 }] };
    assert.match(warningOf(dropped, 'all_zero_tensor') ?? '', /count for nothing/);
    assert.equal(warningOf(dropped, 'low_density'), undefined);
  });

  test('rows of zeros, one or more', () => {
    const rows = (n: number) => warningOf({ zeroRows: new Map([['a', n]]) }, 'all_zero_rows');
    assert.equal(rows(1), 'a has a row of zeros: it has no N_eff and is left as it is.');
    assert.equal(rows(1200), 'a has 1,200 rows of zeros: they have no N_eff and are left as they are.');
  });

  test('a tensor nearly emptied', () => {
    assert.match(
      warningOf({ tensors: [{ ...tensor, n_keep: 12 }] }, 'low_density') ?? '',
      /keeps only 12 of 12,000/,
    );
  });
});
