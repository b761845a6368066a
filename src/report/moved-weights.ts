import type { Report } from './report.ts';

/** Tensors of whose weights a repair that was kept keeps others than their scores say. */
export function movedTensors(repair: Report['repair']): Set<string> {
  const moved = repair.filter(({ kept }) => kept).flatMap((step) => step.moved ?? []);
  return new Set(moved.filter(({ n_moved }) => n_moved > 0).map(({ name }) => name));
}
