import type { Measured, Metrics } from '../../src/report/cost.ts';
import type { Evaluation, FamilyReport, TensorReport } from '../../src/report/report.ts';
import type { VerdictFacts } from '../../src/report/verdict-facts.ts';
import { NOT_MEASURED } from '../../src/runtime/model-metrics.ts';
import { NO_ERRORS } from '../../src/runtime/output-drift.ts';
import { speedupOf } from './speedups.ts';

const total: VerdictFacts['total'] = {
  n: 12_000,
  n_keep: 9_000,
  sparsity: 0.25,
  n_eff: 9_000.5,
  threshold: 0.1,
  preserved_mass: 0.9377,
  preserved_mass_bound: 0.75999,
};

const sizes: VerdictFacts['sizes'] = {
  dense_bytes: 48_000,
  pruned_bytes: 48_000,
  dense_zstd_bytes: 44_000,
  pruned_zstd_bytes: 33_000,
  zstd_estimated: false,
  mask_bytes: 1_600,
};

export const tensor: TensorReport = {
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

/** A job without evaluation, at beta 1. */
export const facts: VerdictFacts = {
  total,
  untouched: { n: 0, share: 0, n_tensors: 0, tensors: [] },
  sizes,
  size_target: null,
  groups: [tensor],
  granularity: 'weight',
  structures: null,
  allocation: null,
  evaluation: null,
  repair: [],
  beta: 1,
  zeroRows: new Map(),
  raised: [],
  pooled: [],
  uneven: [],
  unused: [],
  unreached: new Map(),
  doubts: [],
};

export const family: FamilyReport = {
  name: 'conv.weight',
  kind: 'channel',
  n: 64,
  n_keep: 48,
  sparsity: 0.25,
  n_eff: 48.2,
  threshold: 0.1,
  preserved_mass: 0.9377,
  producers: ['conv.weight'],
  mask_sha256: '',
};

/** A job on channels without evaluation, at beta 1. */
export const channelFacts: VerdictFacts = {
  ...facts,
  total: { ...total, n: 64, n_keep: 48, n_eff: 48.2 },
  sizes: { ...sizes, pruned_bytes: 30_000 },
  groups: [family],
  granularity: 'channel',
  structures: {
    families: [family],
    n_frozen: 0,
    frozen: [],
    parameters: { dense: 12_000, pruned: 7_500 },
  },
};

/** Milliseconds of a batch: dense and pruned at level `all`, then at level `extended`. */
export function timed(evaluation: Evaluation, ...[a, b, c = null, d = null]: (number | null)[]): Evaluation {
  return {
    ...evaluation,
    speedups: [
      ...(a !== null && b !== null ? [speedupOf(a, b)] : []),
      ...(c !== null && d !== null ? [speedupOf(c, d, 'extended')] : []),
    ],
    dense: { ...evaluation.dense, latency_ms: a, latency_extended_ms: c },
    pruned: { ...evaluation.pruned, latency_ms: b, latency_extended_ms: d },
  };
}

/** With labels: a dense loss of 0.5 and an accuracy of 90 %, hardly changed. */
export function labeled(
  pruned: Partial<Evaluation['pruned']> = {},
  changed: Partial<Evaluation> = {},
): Evaluation {
  return {
    loss_kind: 'cross_entropy',
    metric_names: ['loss', 'accuracy'],
    output: 'logits',
    n_samples: 1_000,
    n_positions: 1_000,
    batch_size: null,
    dense: { ...NOT_MEASURED, loss: 0.5, accuracy: 0.9, latency_ms: null, latency_extended_ms: null },
    pruned: {
      ...NOT_MEASURED,
      loss: 0.51,
      accuracy: 0.897,
      latency_ms: null,
      latency_extended_ms: null,
      loss_increase_standard_error: 0.002,
      accuracy_drop_standard_error: 0.001,
      disagreement_standard_error: null,
      relative_l2_standard_error: null,
      kl_standard_error: null,
      cosine_distance_standard_error: null,
      ...pruned,
    },
    speedups: [],
    guess: { loss: 2.31, accuracy: 0.12 },
    one_answer: false,
    beta_1: null,
    uniform: null,
    sweep: [],
    search: null,
    speed_target: null,
    ...changed,
  };
}

/** With float labels of the output's shape: a dense loss of 0.5 and no accuracy. */
export function regressed(pruned: Partial<Measured> = {}, changed: Partial<Evaluation> = {}): Evaluation {
  const evaluation = labeled({ accuracy: null, accuracy_drop_standard_error: null, ...pruned });
  return {
    ...evaluation,
    loss_kind: 'mean_squared_error',
    metric_names: ['loss'],
    guess: { loss: 2.31, accuracy: null },
    n_positions: 3_000,
    dense: { ...evaluation.dense, accuracy: null },
    ...changed,
  };
}

/** Without labels. */
export function unlabeled(pruned: Partial<Metrics>, changed: Partial<Evaluation> = {}): Evaluation {
  const missing = { loss_increase_standard_error: null, accuracy_drop_standard_error: null };
  return {
    ...labeled({ ...NOT_MEASURED, ...missing, ...pruned }),
    loss_kind: null,
    metric_names: ['relative_l2', 'cosine', 'top1_agreement'],
    guess: null,
    dense: { ...NOT_MEASURED, latency_ms: null, latency_extended_ms: null },
    ...changed,
  };
}

/** Three evaluations of two betas. */
export function search(
  target: NonNullable<Evaluation['search']>['target'],
  met: boolean,
): NonNullable<Evaluation['search']> {
  const point = { ...NOT_MEASURED, ...NO_ERRORS, sparsity: 0.25, loss: 0.51, accuracy: 0.897 };
  const evaluations = [1, 0.5, 1].map((beta) => ({ beta, ...point }));
  return {
    ...{ target, met, found: met, beta: 0.5, evaluations },
    ...{ dense: { ...NOT_MEASURED, loss: 0.5, accuracy: 0.9 }, n_samples: 1_000, seed: 0 },
    promise: {
      test: 'mixture_of_bets',
      p_value: 0.25,
      certified: null,
      n_needed: 900,
      counted_up_to: 1,
      ladder: [],
      uses: null,
    },
  };
}
