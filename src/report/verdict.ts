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
  const removes = sizes.pruned_bytes === null ? 'would remove' : 'removes';
  const clauses =
    total.n_keep === total.n
      ? [`${rule} ${removes} none of ${count(total.n)} weights`]
      : [
          `${rule} ${removes} ${count(total.n - total.n_keep)} of ${count(total.n)} weights (${percent(total.sparsity)})`,
          `what stays holds ${percent(total.preserved_mass)} of the importance mass (guaranteed: ${percent(floor(total.preserved_mass_bound))})`,
          'what that costs in accuracy was not measured',
        ];
  return { text: `${[...clauses, sizeClause(sizes)].join('; ')}.`, warnings: warningsOf(figures) };
}

function sizeClause({
  pruned_bytes,
  dense_zstd_bytes,
  pruned_zstd_bytes,
  zstd_estimated,
}: Report['sizes']): string {
  if (pruned_bytes === null || pruned_zstd_bytes === null) return 'this was a dry run, no model was written';
  const about = zstd_estimated ? 'about ' : '';
  const ratio = dense_zstd_bytes / pruned_zstd_bytes;
  const change = ratio < 0.995 ? 'larger' : ratio < 1.005 ? 'no smaller' : `${ratio.toFixed(2)} x smaller`;
  return (
    `the model keeps its ${bytes(pruned_bytes)}, compressed by zstd it goes from ${about}${bytes(dense_zstd_bytes)} ` +
    `to ${about}${bytes(pruned_zstd_bytes)} (${change}), and zeros in place do not make onnxruntime faster`
  );
}

function warningsOf({ tensors, zeroRows, raised, total }: Figures): Report['verdict']['warnings'] {
  const sparse = tensors.filter(({ n, n_keep, n_eff }) => n_eff !== null && n_keep / n < LOW_DENSITY);
  const zero = tensors.filter(({ n_eff }) => n_eff === null);
  const warnings = [
    {
      code: 'not_evaluated',
      text: 'Preserved mass is not accuracy: measure the pruned model on your own data before you rely on it.',
    },
    ...zero.map(({ name, n, n_keep }) => ({
      code: 'all_zero_tensor',
      text:
        n_keep === n
          ? `${name} holds only zeros: it has no N_eff and is left as it is.`
          : `${name} holds only zeros, which count for nothing beside the scores of the other tensors.`,
    })),
    ...[...zeroRows].map(([name, rows]) => ({
      code: 'all_zero_rows',
      text:
        rows === 1
          ? `${name} has a row of zeros: it has no N_eff and is left as it is.`
          : `${name} has ${count(rows)} rows of zeros: they have no N_eff and are left as they are.`,
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
/** To a tenth, downwards: a guarantee must not promise more than it holds. */
const floor = (share: number): number => Math.floor(1000 * share) / 1000;

/** A share of almost nothing or almost all is not rounded to nothing or all. */
function percent(share: number): string {
  const rounded = (100 * share).toFixed(1);
  if (rounded === '0.0' && share > 0) return '< 0.1 %';
  if (rounded === '100.0' && share < 1) return '> 99.9 %';
  return `${rounded} %`;
}

function bytes(value: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = value < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return power === 0 ? `${value} bytes` : `${(value / 1000 ** power).toPrecision(3)} ${units[power]}`;
}
