import { targetOf } from '../recipe/target.ts';
import type { Status } from './decision-statuses.ts';
import type { Report } from './report.ts';
import { differsInSpeed, speedsOf } from './speed.ts';
import { excessOver } from './target-excess.ts';

/** What a job came to, without its report. Null: not measured, or not finite. */
export interface Summary
  extends Pick<
      Report['total'],
      'n' | 'n_keep' | 'sparsity' | 'n_eff' | 'preserved_mass' | 'preserved_mass_bound'
    >,
    Pick<Report['sizes'], 'dense_bytes' | 'pruned_bytes' | 'dense_zstd_bytes' | 'pruned_zstd_bytes'> {
  /** That it was measured on; null where it was not. */
  readonly n_samples: number | null;
  /** Multiply-accumulates for one sample. */
  readonly dense_macs: number | null;
  readonly pruned_macs: number | null;
  /** What a kernel that skips zeros would need; null where structures were removed. */
  readonly nonzero_macs: number | null;
  readonly dense_loss: number | null;
  readonly loss: number | null;
  readonly dense_accuracy: number | null;
  readonly accuracy: number | null;
  readonly relative_l2: number | null;
  readonly top1_agreement: number | null;
  /** Latency of the dense model by that of the pruned one, at onnxruntime's default level. */
  readonly speedup: number | null;
  /** Of its 95 % interval. */
  readonly speedup_low: number | null;
  readonly speedup_high: number | null;
  /** Whether it is beyond what the dense model differs from itself by. */
  readonly speedup_is_difference: boolean | null;
  /** Of the paired differences to the dense model. */
  readonly loss_increase_standard_error: number | null;
  readonly accuracy_drop_standard_error: number | null;
  /** What the report comes to, and in a sentence. */
  readonly decision: Status;
  readonly sentence: string;
  /** Whether the target is, of quality and of size or speed; null without one. */
  readonly met: boolean | null;
  /** How far what the target bounds is beyond its limit, on the samples of the report; less than 0 within it, null without a target of quality. */
  readonly beyond_limit: number | null;
  /** The smallest limit of the target that was shown with its confidence. */
  readonly certified: number | null;
}

export function summaryOf({ total, sizes, macs, evaluation, size_target, decision }: Report): Summary {
  const { n, n_keep, sparsity, n_eff, preserved_mass, preserved_mass_bound } = total;
  const { dense_bytes, pruned_bytes, dense_zstd_bytes, pruned_zstd_bytes } = sizes;
  const [speed] = speedsOf(evaluation);
  return {
    ...{ n, n_keep, sparsity, n_eff, preserved_mass, preserved_mass_bound },
    ...{ dense_bytes, pruned_bytes, dense_zstd_bytes, pruned_zstd_bytes },
    n_samples: evaluation?.n_samples ?? null,
    ...{ dense_macs: macs.dense, pruned_macs: macs.pruned, nonzero_macs: macs.nonzero },
    dense_loss: evaluation?.dense.loss ?? null,
    loss: evaluation?.pruned.loss ?? null,
    dense_accuracy: evaluation?.dense.accuracy ?? null,
    accuracy: evaluation?.pruned.accuracy ?? null,
    relative_l2: evaluation?.pruned.relative_l2 ?? null,
    top1_agreement: evaluation?.pruned.top1_agreement ?? null,
    speedup: speed?.speedup ?? null,
    speedup_low: speed?.low ?? null,
    speedup_high: speed?.high ?? null,
    speedup_is_difference: speed ? differsInSpeed(speed) : null,
    loss_increase_standard_error: evaluation?.pruned.loss_increase_standard_error ?? null,
    accuracy_drop_standard_error: evaluation?.pruned.accuracy_drop_standard_error ?? null,
    decision: decision.status,
    sentence: decision.sentence,
    met: metOf(evaluation, size_target),
    beyond_limit: beyondLimit(evaluation),
    certified: evaluation?.search?.promise.certified ?? null,
  };
}

function beyondLimit(evaluation: Report['evaluation']): number | null {
  const target = evaluation?.search?.target;
  if (!evaluation || !target || !targetOf({ target })) return null;
  const excess = excessOver(target, evaluation.dense, evaluation.pruned);
  return Number.isFinite(excess) ? excess : null;
}

function metOf(evaluation: Report['evaluation'], size_target: Report['size_target']): boolean | null {
  const asked = [evaluation?.search?.met, size_target?.met, evaluation?.speed_target?.met].filter(
    (met) => met !== undefined,
  );
  return asked.length === 0 ? null : asked.every(Boolean);
}
