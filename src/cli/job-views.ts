import type { Target } from '../recipe/target.ts';
import type { Evaluation, Report } from '../report/report.ts';
import type { Limits } from '../report/search-outcomes.ts';
import type { Summary } from '../report/summary.ts';

/** What is read of a job, as the API tells it. */
export interface JobView {
  readonly id: string;
  readonly status: string;
  readonly error: null;
  readonly recipe: Readonly<Record<string, unknown>> & { readonly granularity: string };
  readonly scores_dataset_id: string | null;
  readonly calibration_dataset_id: string | null;
  readonly selection_dataset_id: string | null;
  readonly evaluation_dataset_id: string | null;
  readonly summary:
    | (Partial<Pick<Summary, 'speedup' | 'speedup_is_difference'>> & {
        readonly met?: boolean | null;
        readonly decision?: string;
        /** These are known of evaluation data with labels. */
        readonly dense_loss?: number | null;
        readonly dense_accuracy?: number | null;
      })
    | null;
  readonly artifacts: readonly ArtifactView[];
}

export interface ArtifactView {
  readonly name: string;
  readonly sha256: string;
  readonly url: string;
}

export interface CandidateView {
  readonly recipe: Readonly<Record<string, unknown>>;
  readonly sparsity: number;
  readonly compressed_bytes: number;
  readonly loss: number | null;
  readonly accuracy: number | null;
  readonly speedup: number | null;
  readonly top1_agreement: number | null;
  readonly kl: number | null;
  readonly cosine_distance: number | null;
  readonly relative_l2: number | null;
  /** Of what the promise bounds. */
  readonly standard_error: number | null;
  readonly within: boolean;
}

/** What is read of a search. */
export interface SearchView {
  readonly id: string;
  readonly status: string;
  readonly error: null;
  readonly aim: string;
  readonly limits: Limits;
  readonly progress: { readonly stage: string };
  readonly promise: Target;
  readonly lines: readonly {
    readonly recipe: CandidateView['recipe'];
    readonly status: string;
    readonly job_id: string | null;
    /** Why it was left. */
    readonly error: string | null;
  }[];
  readonly best: { readonly met: boolean | null; readonly job: JobView } | null;
  readonly dense: Pick<CandidateView, 'compressed_bytes' | 'loss' | 'accuracy'> | null;
  readonly candidates: readonly CandidateView[];
  /** Places of those that no other beats in both size and cost, the smallest first. */
  readonly front: readonly number[];
  readonly calibration_dataset_id: string | null;
}

/** A job's `report.json`, as far as it is told here. */
export type ReportView = Pick<Report, 'sizes' | 'total' | 'verdict' | 'decision'> & {
  readonly evaluation: Evaluation | null;
};

type Dense = Evaluation['dense'];
type Pruned = Evaluation['pruned'];

/** What is told of the cost of pruning. */
export interface MeasuredCost {
  readonly dense: Pick<Dense, 'loss' | 'accuracy'>;
  readonly pruned: Pick<
    Pruned,
    | 'loss'
    | 'accuracy'
    | 'top1_agreement'
    | 'kl'
    | 'relative_l2'
    | 'loss_increase_standard_error'
    | 'accuracy_drop_standard_error'
    | 'disagreement_standard_error'
    | 'relative_l2_standard_error'
  > &
    Partial<Pick<Pruned, 'kl_standard_error' | 'cosine_distance' | 'cosine_distance_standard_error'>>;
  readonly n_samples: number;
}

/** What is read of a comparison of two models. */
export interface ComparisonView {
  /** Sentences. */
  readonly verdict: readonly string[];
  readonly tensors: readonly {
    readonly name: string;
    readonly change: string;
    readonly n: number;
    readonly n_keep: number | null;
    readonly sparsity: number | null;
    readonly masks: { readonly layer: { readonly shared: number | null } } | null;
  }[];
  readonly evaluation: (Omit<MeasuredCost, 'dense'> & { readonly original: MeasuredCost['dense'] }) | null;
}
