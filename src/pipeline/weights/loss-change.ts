import { estimateTrace } from '../../autodiff/curvature.ts';
import { asymptoticLossChange, lossChangePerTrace } from '../../core/loss-bound.ts';
import { rescale, type ScoreStatistics, sumOf } from '../../core/statistics.ts';
import type { ModelTensor } from '../../formats/model.ts';
import type { Report } from '../../report/report.ts';
import type { ModelRun } from '../../runtime/model-run.ts';
import { namingData } from '../data-errors.ts';
import type { UsedInput } from '../prune-job.ts';
import type { WrittenTensor } from './write.ts';

/** Trace of the Hessian of the mean loss with respect to the selected weights, before pruning. */
export interface HessianTrace {
  readonly trace: number;
  /** Null where the client gave the trace, and of a single probe. */
  readonly standardError: number | null;
}

/**
 * The trace as the recipe gives it, or estimated on the calibration data; null where the recipe asks for neither.
 * @throws EmpError what `estimateTrace` throws
 */
export async function hessianTrace(
  { recipe, calibration }: UsedInput,
  tensors: readonly ModelTensor[],
  context: ModelRun,
): Promise<HessianTrace | null> {
  const { hessian_probes, hessian_trace } = recipe;
  if (hessian_trace !== null) return { trace: hessian_trace, standardError: null };
  if (hessian_probes === 0) return null;
  const labels = calibration?.labels;
  if (!labels) throw new TypeError('an estimate of curvature without labels');
  const gradients = { ...context, samples: { ...calibration, labels } };
  const names = tensors.map(({ name }) => name);
  return await namingData('calibration', () => estimateTrace(names, hessian_probes, gradients));
}

/**
 * The second-order estimate of the loss change, for scores that are the weights' magnitudes; null where the weights are too large for a float64 of their squares.
 * @param statistics of the scores, per tensor
 */
export function lossBound(
  statistics: readonly ScoreStatistics[],
  written: readonly WrittenTensor[],
  hessian: HessianTrace | null,
): Report['loss_bound'] {
  const n = statistics.reduce((sum, tensor) => sum + tensor.n, 0);
  const nKeep = written.reduce((sum, tensor) => sum + tensor.nKeep, 0);
  const distances = written.map(({ droppedSquares }, i) =>
    rescale(droppedSquares ?? 0, -2 * statistics[i].scaleExponent),
  );
  const norms = statistics.map(({ sum, scaleExponent }) => rescale(sum, -scaleExponent));
  const per_trace = lossChangePerTrace(n, nKeep, sumOf(Float64Array.from(distances)));
  if (!Number.isFinite(per_trace)) return null;
  // What a Hessian with a negative trace implies is no bound.
  const trace = hessian !== null && hessian.trace >= 0 ? hessian.trace : null;
  return {
    per_trace,
    hessian_trace: hessian?.trace ?? null,
    standard_error: hessian?.standardError ?? null,
    bound: trace && per_trace * trace,
    asymptotic: trace && asymptoticLossChange(n, nKeep, sumOf(Float64Array.from(norms)), trace),
  };
}
