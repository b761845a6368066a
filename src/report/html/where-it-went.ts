import * as Plot from '@observablehq/plot';
import type { FamilyReport, Report, TensorReport } from '../report.ts';
import { nounsOf } from '../reported-recipe.ts';
import { capitalized, count, counted, formatNumber, formatPercent, formatTick, ifKnown } from '../wording.ts';
import {
  CHART_WIDTH,
  chartFigure,
  columnsOfText,
  drawChart,
  INK,
  KEPT,
  REMOVED,
  RIMMED,
  shortenName,
  visibleName,
} from './chart.ts';
import { type Content, folded, html, type Markup, nameOf, table } from './markup.ts';

/** A tensor, or a family of structures. */
type Group = TensorReport | FamilyReport;
type Bar = Pick<Group, 'name' | 'sparsity'>;
type FrozenAxis = NonNullable<Report['structures']>['frozen'][number];

/** More bars than this are no picture any more. */
const MAX_BARS = 40;
/** More names in one cell of a table are folded. */
const MAX_LINES = 3;
/** Likewise more rows of what freezes axes. */
const MAX_OBSTACLES = 24;
/** Of most fonts narrower, of none much wider. */
const COLUMN_WIDTH = 7.7;
/** Between a name and its bar. */
const NAME_GAP = 8;

interface Layout {
  readonly className: string;
  readonly width: number;
  /** Longer names are shortened. */
  readonly nameColumns: number;
  /** Of one bar, which takes the lower part of it where its name is above. */
  readonly height: number;
  readonly barHeight: number;
  /** Names stand over the bars or before them. */
  readonly isNameAbove: boolean;
}

/** Names need room, so a wide window is given a drawing of its own. The style sheet shows one of them. */
const LAYOUTS: readonly Layout[] = [
  { className: 'narrow', width: CHART_WIDTH, nameColumns: 38, height: 36, barHeight: 12, isNameAbove: true },
  { className: 'wide', width: 760, nameColumns: 40, height: 20, barHeight: 14, isNameAbove: false },
];

const groupsOf = ({ structures, tensors }: Report): readonly Group[] => structures?.families ?? tensors;

/** How much of each tensor or family goes. Of very many those at both ends are drawn, in the order of their sparsity. */
export function sparsityChart(report: Report): Markup {
  const { total } = report;
  const { group } = nounsOf(report);
  const groups = groupsOf(report);
  const all = groups.length <= MAX_BARS;
  const drawn = all ? groups : extremes(groups);
  const [densest, sparsest] = [drawn.reduce(denser), drawn.reduce(sparser)];
  const description = [
    `Sparsity of ${all ? '' : `${drawn.length} of `}${counted(groups.length, group)}.`,
    `Highest: ${visibleName(sparsest.name)} with ${formatPercent(sparsest.sparsity)}. Lowest: ${visibleName(densest.name)} with ${formatPercent(densest.sparsity)}.`,
    `All together: ${formatPercent(total.sparsity)}.`,
  ].join(' ');
  const drawings = LAYOUTS.map(
    (layout) =>
      html`<div class="${layout.className}">${drawBars(drawn, total.sparsity, description, layout)}</div>`,
  );
  return chartFigure({
    title: `Sparsity of each ${group.one}`,
    chart: drawings,
    legend: [
      ['removed', 'removed'],
      ['kept', 'kept'],
      ['tick', `all together: ${formatPercent(total.sparsity)} removed`],
    ],
    note: all
      ? null
      : `The ${MAX_BARS / 2} sparsest and the ${MAX_BARS / 2} densest of ${count(groups.length)} ${group.many}. The table below lists all.`,
  });
}

function drawBars(
  bars: readonly Bar[],
  total: number,
  description: string,
  { width, nameColumns, height, barHeight, isNameAbove }: Layout,
): Markup {
  const names = bars.map(({ name }) => name);
  const columns = Math.min(nameColumns, Math.max(...names.map(columnsOfText)));
  const inset = isNameAbove ? { insetTop: height - barHeight } : { inset: (height - barHeight) / 2 };
  const bar = { y: 'name', ...inset, insetLeft: 0, insetRight: 0 } as const;
  const text = { y: 'name', fill: INK, dy: isNameAbove ? -4 : 0, ...(isNameAbove ? RIMMED : {}) };
  return drawChart(description, {
    width,
    height: bars.length * height + 30,
    marginTop: 4,
    marginBottom: 26,
    marginLeft: isNameAbove ? 2 : COLUMN_WIDTH * columns + NAME_GAP + 2,
    marginRight: isNameAbove ? 16 : 56,
    x: { domain: [0, 1], ticks: 5, tickFormat: formatTick, label: null },
    y: { type: 'band', domain: names, axis: null, padding: 0 },
    marks: [
      Plot.barX(bars, { ...bar, x1: 0, x2: 'sparsity', fill: REMOVED }),
      Plot.barX(bars, { ...bar, x1: 'sparsity', x2: 1, fill: KEPT }),
      Plot.tickX(bars, { ...bar, x: () => total, stroke: INK, strokeWidth: 1.5 }),
      Plot.text(bars, {
        ...text,
        text: ({ name }: Bar) => shortenName(name, nameColumns),
        title: ({ name }: Bar) => visibleName(name),
        frameAnchor: 'left',
        textAnchor: isNameAbove ? 'start' : 'end',
        dx: isNameAbove ? 0 : -NAME_GAP,
      }),
      Plot.text(bars, {
        ...text,
        text: ({ sparsity }: Bar) => formatPercent(sparsity),
        frameAnchor: 'right',
        textAnchor: 'end',
        dx: isNameAbove ? 0 : 54,
        fontVariant: 'tabular-nums',
      }),
    ],
  });
}

function extremes(bars: readonly Bar[]): Bar[] {
  const ranked = bars.toSorted((a, b) => b.sparsity - a.sparsity);
  return [...ranked.slice(0, MAX_BARS / 2), ...ranked.slice(-MAX_BARS / 2)];
}

const denser = (a: Bar, b: Bar) => (b.sparsity < a.sparsity ? b : a);
const sparser = (a: Bar, b: Bar) => (b.sparsity > a.sparsity ? b : a);

/** Every tensor, or every family of structures, of which all are of one kind: the granularity. */
export function groupTable(report: Report): Markup {
  const { unit, group } = nounsOf(report);
  const groups = groupsOf(report);
  const isOfStructures = report.structures !== null;
  const [captionNoun, along] = isOfStructures
    ? [group, ` of ${unit.many} along the same axes`]
    : [{ one: `pruned ${group.one}`, many: `pruned ${group.many}` }, ''];
  const all = table(
    {
      label: capitalized(group.many),
      caption: `${counted(groups.length, captionNoun)}${along}`,
      columns: [
        ...['Name', ...(isOfStructures ? [] : ['Shape', 'Type']), capitalized(unit.many), 'Kept', 'Sparsity'],
        ...['N_eff', 'Threshold', 'Mass preserved', ...(isOfStructures ? ['Producers'] : [])],
      ],
      rows: groups.map(groupRow),
    },
    group.many,
  );
  return isOfStructures
    ? html`${all}
<p class="note">A threshold is the smallest kept score. Producers are the weights whose rows compute a ${unit.one}.</p>
`
    : all;
}

function groupRow(group: Group): Content[] {
  return [
    nameOf(group.name),
    ...('shape' in group ? [group.shape.join('\u00a0× '), group.dtype] : []),
    ...[count(group.n), count(group.n_keep), formatPercent(group.sparsity)],
    ifKnown(group.n_eff, formatNumber),
    ifKnown(group.threshold, formatNumber),
    ifKnown(group.preserved_mass, formatPercent),
    ...('producers' in group ? [lines(group.producers.map(nameOf))] : []),
  ];
}

/** What could not be removed, by what says so; null where there is nothing of the kind. */
export function frozenTable({ structures }: Report): Markup | null {
  if (structures === null || structures.frozen.length === 0) return null;
  const { frozen, n_frozen } = structures;
  const obstacles = Map.groupBy(frozen, ({ reason, operator, node }) =>
    JSON.stringify([reason, operator, node]),
  );
  const rows = [...obstacles.values()].map(obstacleRow);
  const more = rows.slice(MAX_OBSTACLES);
  const axes = counted(n_frozen, { one: 'axis', many: 'axes' });
  return html`${obstacleTable(
    'Frozen axes',
    `${axes} of weights along which some positions have to stay`,
    rows.slice(0, MAX_OBSTACLES),
  )}
${more.length === 0 ? null : folded(`${count(more.length)} more reasons`, obstacleTable('More frozen axes', 'The other reasons', more))}${
  n_frozen > frozen.length
    ? html`<p class="note">Of all axes the report lists the first ${count(frozen.length)}.</p>`
    : null
}
`;
}

function obstacleTable(label: string, caption: string, rows: readonly Content[][]): Markup {
  return table({ label, caption, columns: ['The axis', 'Axes', 'Where', 'Weights'], rows }, 'frozen');
}

function obstacleRow(axes: readonly FrozenAxis[]): Content[] {
  const [{ reason, operator, node }] = axes;
  const place = node === null ? null : nameOf(node);
  const names = axes.map(({ tensor, axis }) => html`${nameOf(tensor)}, axis ${axis}`);
  const where = operator === null ? place : [nameOf(operator), ' ', place];
  return [reason, count(axes.length), where, lines(names)];
}

/** One below the other, all but the first folded. */
function lines(contents: readonly Content[]): Content {
  const all = contents.map((content) => html`<div>${content}</div>`);
  if (all.length <= MAX_LINES + 1) return all;
  const rest = all.slice(MAX_LINES);
  return [
    all.slice(0, MAX_LINES),
    html`<details><summary>${count(rest.length)} more</summary>${rest}</details>`,
  ];
}
