import type { Report } from './report.ts';

type Figures = Pick<Report, 'total' | 'tensors' | 'sizes'> & {
  readonly beta: number | null;
  /** All-zero rows of each tensor, which are left as they are; tensors without any are not listed. */
  readonly zeroRows: ReadonlyMap<string, number>;
  /** Tensors that `min_density` kept denser than the global threshold would. */
  readonly raised: readonly string[];
};

/** Below this density a layer may have lost what it is there for. */
const LOW_DENSITY = 0.05;

/** One sentence that sells nothing: how much goes, what is known of the cost, and what gets smaller. */
export function createVerdict(figures: Figures): Report['verdict'] {
  const { total, sizes, beta } = figures;
  const rule = beta === null ? 'The fixed budget' : beta === 1 ? 'EMP' : `EMP at beta ${beta}`;
  const goes =
    total.n_keep === total.n
      ? `${rule} removes none of ${count(total.n)} weights`
      : `${rule} removes ${count(total.n - total.n_keep)} of ${count(total.n)} weights (${percent(total.sparsity)})`;
  const mass = `what stays holds ${percent(total.preserved_mass)} of the importance mass (guaranteed: ${percent(total.preserved_mass_bound)})`;
  return {
    text: `${goes}; ${mass}; what that costs in accuracy was not measured; ${sizeClause(sizes)}.`,
    warnings: warningsOf(figures),
  };
}

function sizeClause(sizes: Report['sizes']): string {
  if (sizes.pruned_bytes === null || sizes.pruned_zstd_bytes === null)
    return 'this was a dry run, no model was written';
  const about = sizes.zstd_estimated ? 'about ' : '';
  const ratio = sizes.dense_zstd_bytes / sizes.pruned_zstd_bytes;
  return (
    `the file keeps its ${bytes(sizes.pruned_bytes)}, compressed by zstd it goes from ${about}${bytes(sizes.dense_zstd_bytes)} ` +
    `to ${about}${bytes(sizes.pruned_zstd_bytes)} (${ratio.toFixed(2)} x smaller), and zeros in place do not make onnxruntime faster`
  );
}

function warningsOf({ tensors, zeroRows, raised, total }: Figures): Report['verdict']['warnings'] {
  const sparse = tensors.filter(({ n, n_keep }) => n_keep / n < LOW_DENSITY);
  const zero = tensors.filter(({ n_eff }) => n_eff === null);
  const warnings = [
    {
      code: 'not_evaluated',
      text: 'Preserved mass is not accuracy: measure the pruned model on your own data before you rely on it.',
    },
    ...zero.map(({ name }) => ({
      code: 'all_zero_tensor',
      text: `${name} holds only zeros: it has no N_eff and is left as it is.`,
    })),
    ...[...zeroRows].map(([name, rows]) => ({
      code: 'all_zero_rows',
      text: `${name} has ${count(rows)} rows of zeros: they have no N_eff and are left as they are.`,
    })),
    ...sparse.map(({ name, n, n_keep }) => ({
      code: 'low_density',
      text: `${name} keeps only ${count(n_keep)} of ${count(n)} weights; min_density sets a floor.`,
    })),
  ];
  if (raised.length > 0) {
    warnings.push({
      code: 'min_density_applied',
      text: `min_density keeps more than the threshold would in ${raised.join(', ')}.`,
    });
  }
  if (total.n_keep === total.n)
    warnings.push({
      code: 'nothing_removed',
      text: 'Every weight is kept: the scores are flat or beta is large.',
    });
  return warnings;
}

const count = (value: number): string => value.toLocaleString('en-US');
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function bytes(value: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = value < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return power === 0 ? `${value} bytes` : `${(value / 1000 ** power).toPrecision(3)} ${units[power]}`;
}
