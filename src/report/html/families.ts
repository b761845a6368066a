import type { FamilyReport, Report } from '../report.ts';
import { formatCount, formatNumber, formatPercent } from './format.ts';
import { type Content, html, type Markup } from './markup.ts';
import { capitalized, nounsOf } from './nouns.ts';
import { nameOf, table } from './table.ts';

type Structures = NonNullable<Report['structures']>;
type FrozenAxis = Structures['frozen'][number];

/** More names in one cell are folded. */
const MAX_LINES = 3;
/** Likewise more rows of what freezes axes. */
const MAX_OBSTACLES = 24;

/** All are of one kind: the granularity. */
export function familyTable(report: Report, { families }: Structures): Markup {
  const { unit, group } = nounsOf(report);
  const summary = {
    label: 'Families',
    caption: `${formatCount(families.length)} ${families.length === 1 ? group.one : group.many} of ${unit.many} along the same axes`,
    columns: [
      ...['Name', capitalized(unit.many), 'Kept', 'Sparsity', 'N_eff', 'Threshold'],
      ...['Mass preserved', 'Producers'],
    ],
    rows: families.map(familyRow),
  };
  return html`${table(summary, 'families')}
<p class="note">A threshold is the smallest kept score. Producers are the weights whose rows compute a ${unit.one}.</p>
`;
}

function familyRow(family: FamilyReport): Content[] {
  const { name, n, n_keep, sparsity, n_eff, threshold, preserved_mass, producers } = family;
  return [
    nameOf(name),
    formatCount(n),
    formatCount(n_keep),
    formatPercent(sparsity),
    n_eff === null ? '–' : formatNumber(n_eff),
    formatNumber(threshold),
    preserved_mass === null ? '–' : formatPercent(preserved_mass),
    lines(producers.map(nameOf)),
  ];
}

/** What could not be removed, by what says so; null where there is nothing of the kind. */
export function frozenTable({ frozen, n_frozen }: Structures): Markup | null {
  if (frozen.length === 0) return null;
  const obstacles = Map.groupBy(frozen, ({ reason, operator, node }) =>
    JSON.stringify([reason, operator, node]),
  );
  const rows = [...obstacles.values()].map(obstacleRow);
  const [shown, folded] = [rows.slice(0, MAX_OBSTACLES), rows.slice(MAX_OBSTACLES)];
  const cut =
    n_frozen > frozen.length
      ? html`<p class="note">Of all axes the report lists the first ${formatCount(frozen.length)}.</p>`
      : null;
  return html`${obstacleTable('Frozen axes', `${countAxes(n_frozen)} of weights along which some positions have to stay`, shown)}
${folded.length === 0 ? null : foldedTable(folded)}${cut}
`;
}

function foldedTable(rows: readonly Content[][]): Markup {
  return html`<details>
<summary>${formatCount(rows.length)} more reasons</summary>
${obstacleTable('More frozen axes', 'The other reasons', rows)}</details>
`;
}

function obstacleTable(label: string, caption: string, rows: readonly Content[][]): Markup {
  return table({ label, caption, columns: ['The axis', 'Axes', 'Where', 'Weights'], rows }, 'frozen');
}

function obstacleRow(axes: readonly FrozenAxis[]): Content[] {
  const [{ reason, operator, node }] = axes;
  const place = node === null ? null : nameOf(node);
  const names = axes.map(({ tensor, axis }) => html`${nameOf(tensor)}, axis ${axis}`);
  return [
    reason,
    formatCount(axes.length),
    operator === null ? (place ?? '–') : [nameOf(operator), ' ', place],
    lines(names),
  ];
}

const countAxes = (count: number) => `${formatCount(count)} ${count === 1 ? 'axis' : 'axes'}`;

/** One below the other, all but the first folded. */
function lines(contents: readonly Content[]): Content {
  const all = contents.map((content) => html`<div>${content}</div>`);
  if (all.length <= MAX_LINES + 1) return all;
  const folded = all.slice(MAX_LINES);
  return html`${all.slice(0, MAX_LINES)}<details><summary>${formatCount(folded.length)} more</summary>${folded}</details>`;
}
