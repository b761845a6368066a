import { lossName } from './cost.ts';
import type { Figures } from './figures.ts';
import type { Evaluation, Report } from './report.ts';
import { number, percent } from './wording.ts';

type Repair = Report['repair'][number];

/** What the verdict says of repairs. */
export function repairClauses({ repair, evaluation }: Figures): string[] {
  const named = (repairs: readonly Repair[]) =>
    repairs.map((step) => `${step.name}${inBrackets(describeChange(step, evaluation))}`).join(', ');
  const kept = repair.filter((step) => step.kept);
  const undone = repair.filter((step) => !step.kept);
  return [
    ...(kept.length > 0 ? [`repaired by ${named(kept)}`] : []),
    ...(undone.length > 0 ? [`not repaired by ${undone.map(({ name }) => name).join(', ')}`] : []),
  ];
}

export function repairNotKept({ repair, evaluation }: Figures): string[] {
  return repair
    .filter(({ kept }) => !kept)
    .map((step) => {
      const change = inBrackets(describeChange(step, evaluation));
      return `The model is without the repair ${step.name}: ${step.problem}${change}.`;
    });
}

/** From what to what the loss goes, or the drift; null where that was not measured. */
function describeChange(step: Repair, evaluation: Evaluation | null): string | null {
  const { loss_before, loss_after, relative_l2_before, relative_l2_after, n_repaired } = step;
  if (evaluation === null || n_repaired === 0) return null;
  if (evaluation.dense.loss === null)
    return `drift from ${orNotFinite(relative_l2_before, percent)} to ${orNotFinite(relative_l2_after, percent)}`;
  return `${lossName(evaluation)} from ${orNotFinite(loss_before, number)} to ${orNotFinite(loss_after, number)}`;
}

function orNotFinite(value: number | null, show: (value: number) => string): string {
  return value === null ? 'not finite' : show(value);
}

function inBrackets(text: string | null): string {
  return text === null ? '' : ` (${text})`;
}
