import type { BestSummary, SearchFacts } from '../../src/report/search-report.ts';

const line = { criterion: 'wanda', granularity: 'weight', scope: 'row', repair: ['least_squares'] };
const recipeAt = (beta: number) => ({ ...line, beta });

const dense = { parameters: 10_000, compressed_bytes: 40_000, macs: 10_000, loss: 0.5, accuracy: 0.9 };
const tried = (beta: number, compressed_bytes: number, loss: number, within: boolean) => ({
  ...{ ...dense, recipe: recipeAt(beta), parameters: compressed_bytes / 4, compressed_bytes, loss, within },
  ...{ accuracy: 0.9, speedup: null, speedup_is_difference: null },
});

const summary: BestSummary = {
  ...{ n: 10_000, n_keep: 4_000, sparsity: 0.6, dense_zstd_bytes: 40_000, pruned_zstd_bytes: 16_000 },
  ...{ dense_loss: 0.5, loss: 0.51, dense_accuracy: 0.9, accuracy: 0.89 },
  ...{ loss_increase_standard_error: 0.002, accuracy_drop_standard_error: 0.01 },
  ...{ speedup: 1.01, speedup_low: 0.98, speedup_high: 1.03, speedup_is_difference: false },
  decision: 'within',
  sentence: 'Ship it: 2.50 × smaller compressed; loss 2.0 % higher, 5 % allowed, estimated on 500 samples.',
};

const found: SearchFacts = {
  ...{
    id: 'sea_1',
    status: 'succeeded',
    target: { max_loss_increase: 0.05 },
    aim: 'size',
    error: null,
    dense,
  },
  front: [tried(0.2, 8_000, 0.7, false), tried(0.5, 16_000, 0.512, true), tried(0.9, 30_000, 0.5, true)],
  nCandidates: 7,
  external: null,
  untried: null,
  best: { recipe: recipeAt(0.5), job: 'job_1', met: true, nMissed: 0, summary },
  lines: [{ recipe: line, status: 'succeeded', error: null }],
  leftOut: [{ recipe: { ...line, criterion: 'taylor' }, reason: 'needs labels <b>and</b> calibration data' }],
  doubts: ['Evaluation data: 3 of 500 samples are copies of others.'],
};

/** A search of each kind. */
export const SEARCHES = {
  found,
  /** For speed, where nothing is faster. */
  slow: { ...found, aim: 'speed' },
  /** Stopped before all was tried. */
  stopped: {
    ...found,
    untried: { n: 3, limit: 'max_candidates', allowed: 7 },
    lines: [...found.lines, { recipe: { ...line, criterion: 'obs' }, status: 'not_tried', error: null }],
  },
  missed: { ...found, best: found.best && { ...found.best, met: false, nMissed: 2 } },
  nothing: { ...found, best: null },
  running: { ...found, status: 'running', best: null },
  failed: { ...found, status: 'failed', best: null, front: [], dense: null, error: 'every line failed' },
  external: {
    ...found,
    target: null,
    external: { direction: 'higher', max_drop: 0.01 },
    dense: null,
    front: [],
    best: found.best && { ...found.best, summary: { ...summary, decision: 'not_measured' } },
  },
} as const satisfies Readonly<Record<string, SearchFacts>>;
