import { formatFigure, mainMetrics } from '../metric-figures.ts';
import { movedTensors } from '../moved-weights.ts';
import type { Report } from '../report.ts';
import { nounsOf } from '../reported-recipe.ts';
import { type Speed, speedsOf } from '../speed.ts';
import {
  capitalized,
  count,
  formatBytes,
  formatGuarantee,
  formatNumber,
  formatPercent,
  times,
} from '../wording.ts';
import { type Content, entry, html, type Markup, table } from './markup.ts';

type Parameters = NonNullable<Report['structures']>['parameters'];

/** Of the same kind; the others are folded. */
const MAX_OPEN = 3;

/** Warnings by kind: a model of many layers may give one for each. */
export function warningList({ verdict }: Report): Markup | null {
  if (verdict.warnings.length === 0) return null;
  const byCode = Map.groupBy(verdict.warnings, ({ code }) => code);
  const kinds = [...byCode].map(([code, group]) => {
    const texts = group.map(({ text }) => html`<p>${text}</p>`);
    const folded = texts.slice(MAX_OPEN);
    return html`<li>
<h3>${capitalized(code.replaceAll('_', ' '))}</h3>
${texts.slice(0, MAX_OPEN)}
${folded.length === 0 ? null : html`<details><summary>${folded.length} more</summary>${folded}</details>`}
</li>
`;
  });
  return html`<ul class="warnings">
${kinds}</ul>`;
}

/** The job in a handful of figures. */
export function headline(report: Report): Markup {
  const { total, sizes, structures } = report;
  const { unit } = nounsOf(report);
  return html`<dl class="headline">
${item('Sparsity', formatPercent(total.sparsity), `${count(total.n - total.n_keep)} removed`)}
${item(`${capitalized(unit.many)} kept`, count(total.n_keep), `of ${count(total.n)}`)}
${item('Mass preserved', formatPercent(total.preserved_mass), movedTensors(report.repair).size > 0 ? 'a repair chose what is kept' : `guaranteed: ${formatGuarantee(total.preserved_mass_bound)}`)}
${measured(report)}
${structures === null ? compressed(sizes) : smaller(report, structures.parameters)}
</dl>
`;
}

function item(term: string, figure: string, detail: string): Content {
  return entry(term, html`<strong>${figure}</strong> <span>${detail}</span>`);
}

function measured({ evaluation }: Report): Content {
  if (evaluation === null) return null;
  const { dense, pruned } = evaluation;
  return mainMetrics(evaluation).map((metric) => {
    const { name, title, format, compare } = metric;
    const [value, reference] = [pruned[name], dense[name]];
    const figure = formatFigure(metric, pruned);
    if (compare === null || reference === null) return item(title, figure, 'against the dense model');
    if (value === null) return item(title, figure, `dense: ${format(reference)}`);
    const change = compare(value, reference, null).at(-1) ?? '';
    return item(title, change, `${format(reference)} → ${figure}`);
  });
}

function compressed({ dense_zstd_bytes, pruned_zstd_bytes, zstd_estimated }: Report['sizes']): Content {
  const dense = `dense: ${formatBytes(dense_zstd_bytes)}`;
  if (pruned_zstd_bytes === null) return item('Compressed', 'not written', `dry run; ${dense}`);
  return item('Compressed', `${zstd_estimated ? 'about ' : ''}${formatBytes(pruned_zstd_bytes)}`, dense);
}

/** What a model without some of its structures saves. */
function smaller({ sizes, evaluation }: Report, parameters: Parameters): Content {
  const [dense, denseBytes] = [count(parameters.dense), formatBytes(sizes.dense_bytes)];
  if (parameters.pruned === null || sizes.pruned_bytes === null)
    return item('Parameters', 'not written', `dry run; dense: ${dense}, ${denseBytes}`);
  const [byDefault, extended] = speedsOf(evaluation);
  return [
    item('Parameters', count(parameters.pruned), `dense: ${dense}`),
    item('Size', formatBytes(sizes.pruned_bytes), `dense: ${denseBytes}`),
    byDefault ? speed(byDefault, extended) : null,
  ];
}

function speed(byDefault: Speed, extended: Speed | undefined): Content {
  const ratio = ({ dense, pruned }: Speed) => `${times(dense, pruned)}\u00a0×`;
  const batch = `${formatNumber(byDefault.dense)} → ${formatNumber(byDefault.pruned)} ms a batch`;
  const other = extended ? `; ${ratio(extended)} at level extended` : '';
  return item('Speed', ratio(byDefault), `${batch}${other}`);
}

export function sizesTable(report: Report): Markup {
  const { sizes, structures, macs } = report;
  const multiplied = structures === null ? macs.nonzero : macs.pruned;
  const showZstd = (value: number) => `${sizes.zstd_estimated ? 'about ' : ''}${formatBytes(value)}`;
  const row = (title: string, dense: number, pruned: number | null, show: (value: number) => string) => [
    title,
    show(dense),
    pruned === null ? 'not written' : show(pruned),
    pruned === null ? null : formatPercent(pruned / dense),
  ];
  return html`${table({
    label: 'Sizes',
    caption: 'The model’s files',
    columns: ['Size', 'Dense', 'Pruned', 'Pruned / dense'],
    rows: [
      ...(structures === null
        ? []
        : [row('Parameters', structures.parameters.dense, structures.parameters.pruned, count)]),
      row('As they are', sizes.dense_bytes, sizes.pruned_bytes, formatBytes),
      row('Compressed by zstd', sizes.dense_zstd_bytes, sizes.pruned_zstd_bytes, showZstd),
      ...(macs.dense !== null && macs.dense > 0
        ? [
            row(
              structures === null ? 'Multiply-accumulates but by zeros' : 'Multiply-accumulates',
              macs.dense,
              multiplied,
              count,
            ),
          ]
        : []),
    ],
  })}
<p class="note">${whatWasRemoved(report)} The keep masks take ${formatBytes(sizes.mask_bytes)}.${
    sizes.zstd_estimated ? ' Compressed sizes of large files are estimated from a sample.' : null
  }${macsNote(report)}</p>
`;
}

function macsNote({ macs, structures }: Report): string | null {
  if (macs.dense === null || macs.dense === 0) return null;
  return structures === null
    ? ' Multiply-accumulates are of one sample; onnxruntime multiplies by zeros too.'
    : ' Multiply-accumulates are of one sample.';
}

function whatWasRemoved(report: Report): string {
  return report.structures === null
    ? 'Removed weights are zeros in place: the file stays as large until it is compressed.'
    : `Removed ${nounsOf(report).unit.many} are not zeros but gone from the file: tensors lose rows and columns.`;
}
