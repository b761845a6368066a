import type { Measured } from './network.ts';
import type { OnePercent } from './one-percent.ts';
import { formatTable, loss, percent } from './table.ts';
import { titleOf } from './titles.ts';

/** The section on a target of one percent, repaired and not. */
export function formatOnePercent(findings: readonly OnePercent[]): string {
  return [
    [
      '`target: {"max_loss_increase": 0.01}`, criterion `magnitude`, scope `global`: the smallest beta within the target on the evaluation data, without repair and with it.',
      'Beside it, with the same repair: the smaller half of every tensor, and as many weights as the search takes, but drawn at random (criterion `random`), the same share of every tensor. Loss and accuracy %.',
    ].join('\n'),
    formatOnePercentTable(findings),
  ].join('\n\n');
}

/** Also in the README. */
export function formatOnePercentTable(findings: readonly OnePercent[]): string {
  const rows = findings.map(({ network, repair, searched, half, random }) => [
    titleOf(network),
    repair.length > 0 ? repair.map((name) => `\`${name}\``).join(', ') : 'none',
    metrics(searched.evaluation.dense),
    percent(searched.total.sparsity),
    ...[searched, half, random].map(({ evaluation }) => metrics(evaluation.pruned)),
  ]);
  const head = ['network', 'repair', 'dense', 'sparsity %', 'within 1 %', '50 %, evenly', 'as many, random'];
  return formatTable(head, rows, 2);
}

function metrics(measured: Pick<Measured['evaluation']['pruned'], 'loss' | 'accuracy'>): string {
  return `${loss(measured.loss)}, ${percent(measured.accuracy)}`;
}
