import type { Evaluation } from './report.ts';
import { times } from './wording.ts';

/** Below this ratio of latencies nobody would call a model faster. */
const FASTER = 1.005;

/** Median milliseconds of one batch, at one of onnxruntime's graph optimization levels. */
export interface Speed {
  readonly level: 'all' | 'extended';
  readonly dense: number;
  readonly pruned: number;
}

/** What was measured, onnxruntime's default level first. */
export function speedsOf(evaluation: Evaluation | null): Speed[] {
  if (evaluation === null) return [];
  const { dense, pruned } = evaluation;
  const at = (level: Speed['level'], denseMs: number | null, prunedMs: number | null): Speed[] =>
    denseMs === null || prunedMs === null ? [] : [{ level, dense: denseMs, pruned: prunedMs }];
  return [
    ...at('all', dense.latency_ms, pruned.latency_ms),
    ...at('extended', dense.latency_extended_ms, pruned.latency_extended_ms),
  ];
}

export const isFaster = ({ dense, pruned }: Speed): boolean => dense / pruned >= FASTER;

/** `1.31 x as fast`. */
export const describeRatio = ({ dense, pruned }: Speed): string => `${times(dense, pruned)} x as fast`;
