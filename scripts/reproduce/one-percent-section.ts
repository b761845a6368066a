import type { Measured } from './network.ts';
import type { OnePercent } from './one-percent.ts';
import { change, formatTable, percent, signed } from './table.ts';
import { titleOf } from './titles.ts';

/** The section on a target of one percent, repaired and not. */
export function formatOnePercent(findings: readonly OnePercent[]): string {
  return [
    [
      '`target: {"max_loss_increase": 0.01}`, criterion `magnitude`, scope `global`: the smallest beta that stays a standard error within the target on one half of the evaluation data, reported on the other, without repair and with it.',
      'Beside it, with the same repair and on all evaluation data: the smaller half of every tensor, and as many weights as the search takes, but drawn at random (criterion `random`), the same share of every tensor. Each cell is the change of the loss in percent and of the accuracy in points.',
    ].join('\n'),
    formatOnePercentTable(findings),
  ].join('\n\n');
}

/** Also in the guide. */
export function formatOnePercentTable(findings: readonly OnePercent[]): string {
  const rows = findings.map(({ network, repair, searched, half, random }) => [
    titleOf(network),
    repair.length > 0 ? repair.map((name) => `\`${name}\``).join(', ') : 'none',
    percent(searched.total.sparsity),
    searched.evaluation.search?.met ? 'yes' : 'no',
    ...[searched, half, random].map(changes),
  ]);
  const head = [
    ...['network', 'repair', 'sparsity %', 'within 1 % on the other half', 'there'],
    ...['50 %, evenly', 'as many, random'],
  ];
  return formatTable(head, rows, 2);
}

/** Of loss and accuracy, on the samples of the report. */
function changes({ evaluation: { dense, pruned } }: Measured): string {
  const lost = pruned.loss === null || dense.loss === null ? null : pruned.loss / dense.loss - 1;
  const gained = 100 * (Number(pruned.accuracy) - Number(dense.accuracy));
  return `${change(lost)}, ${signed(gained, 2)}`;
}
