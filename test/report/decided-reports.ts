import type { Report } from '../../src/report/report.ts';
import { composeReport, createTensor, judged } from './composed-report.ts';
import { speedupOf } from './speedups.ts';
import { labeled, search, timed, unlabeled } from './verdict-facts.ts';

type Evaluation = NonNullable<Report['evaluation']>;

interface Given {
  readonly kept?: number;
  readonly compressed?: number;
  readonly evaluation?: Evaluation | null;
  readonly recipe?: Report['recipe'];
  readonly known?: Parameters<typeof judged>[1];
}

const base = composeReport({
  model: 'net.onnx',
  tensors: [createTensor('fc.weight', [100, 100], 5)],
  scope: 'global',
});

/** 10,000 weights, of which so many stay, compressed from 40,000 bytes. */
export function decided({
  kept = 5_000,
  compressed = 20_000,
  evaluation = null,
  recipe,
  known,
}: Given): Report {
  const sparsity = 1 - kept / 10_000;
  return judged(
    {
      ...base,
      recipe: { ...base.recipe, ...recipe },
      total: { ...base.total, n: 10_000, n_keep: kept, sparsity },
      tensors: base.tensors.map((tensor) => ({ ...tensor, n_keep: kept, sparsity })),
      sizes: { ...base.sizes, dense_zstd_bytes: 40_000, pruned_zstd_bytes: compressed },
      evaluation,
    },
    known,
  );
}

const promised = (met: boolean, confidence?: number): NonNullable<Evaluation['search']> =>
  search({ max_loss_increase: 0.05, ...(confidence === undefined ? {} : { confidence }) }, met);

/** Dense 10 ms a batch, and pruned not to be told from it. */
const same = { ...speedupOf(10, 9.9), low: 0.98, high: 1.04, noise: 0.03 };
const untold = (evaluation: Evaluation): Evaluation => ({ ...timed(evaluation, 10, 9.9), speedups: [same] });

/** One report of each kind of decision, and more. */
export const DECIDED = {
  within: decided({ evaluation: untold(labeled({}, { search: promised(true) })) }),
  shown: decided({ evaluation: timed(labeled({}, { search: promised(true, 0.95) }), 10, 5) }),
  /** No drop was seen, but 1.6 points may be hidden, and one is allowed. */
  estimated: decided({
    evaluation: labeled(
      { accuracy: 0.9, accuracy_drop_standard_error: 0.008 },
      { search: search({ max_accuracy_drop: 0.01 }, true), n_samples: 250 },
    ),
  }),
  /** Beyond the limit, inside the noise. */
  barely: decided({
    evaluation: labeled(
      { loss: 0.513, loss_increase_standard_error: 0.0085 },
      { search: search({ max_loss_increase: 0.02 }, false) },
    ),
  }),
  missed: decided({ evaluation: labeled({ loss: 0.6 }, { search: promised(false) }) }),
  unshown: decided({ evaluation: labeled({}, { search: promised(false, 0.95) }) }),
  dead: decided({
    kept: 20,
    compressed: 400,
    evaluation: untold(
      labeled(
        {
          loss: 2.35,
          accuracy: 0.12,
          loss_increase_standard_error: 0.01,
          accuracy_drop_standard_error: 0.01,
        },
        { one_answer: true },
      ),
    ),
  }),
  guessing: decided({ kept: 20, compressed: 400, evaluation: labeled({ loss: 2.4, accuracy: 0.11 }) }),
  denseGuesses: decided({
    evaluation: labeled(
      { loss: 2.4, accuracy: 0.11 },
      { dense: { ...labeled().dense, loss: 8, accuracy: 0.085 }, search: promised(true) },
    ),
  }),
  notFinite: decided({ evaluation: labeled({ loss: null, loss_increase_standard_error: null }) }),
  doubtful: decided({
    evaluation: labeled(),
    known: { doubts: ['Evaluation data: all samples are the same.'] },
  }),
  emptied: decided({ kept: 0, compressed: 100 }),
  nothing: decided({
    kept: 10_000,
    compressed: 40_000,
    evaluation: untold(labeled({ loss: 0.5, accuracy: 0.9 })),
  }),
  harmed: decided({ evaluation: labeled({ loss: 0.9, accuracy: 0.7 }) }),
  measured: decided({ evaluation: labeled() }),
  unlabelled: decided({
    evaluation: {
      ...unlabeled({ relative_l2: 0.125, cosine: 0.99, top1_agreement: 0.96 }),
      pruned: {
        ...unlabeled({ relative_l2: 0.125, cosine: 0.99, top1_agreement: 0.96 }).pruned,
        relative_l2_standard_error: 0.005,
        disagreement_standard_error: 0.01,
      },
    },
  }),
  farOff: decided({ evaluation: unlabeled({ relative_l2: 1.2, cosine: 0.1, top1_agreement: 0.1 }) }),
  unmeasured: decided({}),
  dryRun: decided({ recipe: { dry_run: true } }),
} as const satisfies Readonly<Record<string, Report>>;
