import { SHARING_RULES } from '../../recipe/allocations.ts';
import { METRICS } from '../../recipe/terms.ts';
import type { AllocationFigures } from '../allocation-figures.ts';
import type { Report } from '../report.ts';
import { formatNumber, formatPercent, ifKnown } from '../wording.ts';
import { html, type Markup, table } from './markup.ts';

/** The rules that could share the total among the tensors, and what each came to; null where none was looked for. */
export function allocationTable({ allocation }: Report): Markup | null {
  if (allocation === null) return null;
  const { rule: chosen, by, candidates, moves } = allocation;
  return html`${table({
    label: 'Allocation',
    caption: 'The same total, shared among the tensors by each rule, measured on the calibration samples',
    columns: [
      'Rule',
      ...(by === 'kl' ? [METRICS.kl.title] : []),
      METRICS.relative_l2.title,
      'Chosen',
      'What it is',
    ],
    rows: candidates.map(({ rule, kl, relative_l2 }) => [
      rule,
      ...(by === 'kl' ? [ifKnown(kl, formatNumber) ?? 'not finite'] : []),
      ifKnown(relative_l2, formatPercent) ?? 'not finite',
      rule === chosen ? 'yes' : 'no',
      SHARING_RULES[rule].meaning,
    ]),
  })}<p class="note">The least ${METRICS[by].title} was chosen. Both compare with the dense model’s outputs; labels take no part.${moves === null ? null : movesNote(moves, by)}</p>
`;
}

function movesNote(moves: NonNullable<AllocationFigures['moves']>, by: AllocationFigures['by']): string {
  const { n_tried, n_kept } = moves;
  const reached =
    moves[by] === null
      ? ''
      : `, to ${METRICS[by].title} ${(by === 'kl' ? formatNumber : formatPercent)(moves[by])}`;
  return ` Of ${n_tried} times that weights were moved from one tensor to another, ${n_kept} brought it down further${reached}.`;
}
