import type { Report } from '../../src/report/report.ts';

type RepairStep = Report['repair'][number];

/** A repair that was kept, with some of it changed. */
export function repairStep(changed: Partial<RepairStep> = {}): RepairStep {
  return {
    name: 'bias',
    kept: true,
    problem: null,
    n_repaired: 3,
    left_out: [],
    loss_before: 0.6,
    loss_after: 0.55,
    relative_l2_before: null,
    relative_l2_after: null,
    ...changed,
  };
}

/** One that was tried and undone. */
export function undoneStep(changed: Partial<RepairStep> = {}): RepairStep {
  return repairStep({ kept: false, problem: 'the model is no better with it', loss_after: 0.7, ...changed });
}
