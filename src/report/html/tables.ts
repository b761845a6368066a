import type { Report, TensorReport } from '../report.ts';
import { formatBytes, formatCount, formatNumber, formatPercent } from './format.ts';
import { html, type Markup } from './markup.ts';
import { nounsOf } from './nouns.ts';
import { nameOf, table } from './table.ts';

export function sizesTable(report: Report): Markup {
  const { sizes, structures } = report;
  const about = sizes.zstd_estimated ? 'about ' : '';
  const row = (title: string, dense: number, pruned: number | null, prefix: string) => [
    title,
    `${prefix}${formatBytes(dense)}`,
    pruned === null ? 'not written' : `${prefix}${formatBytes(pruned)}`,
    pruned === null ? '–' : formatPercent(pruned / dense),
  ];
  return html`${table({
    label: 'Sizes',
    caption: 'The model’s files',
    columns: ['Size', 'Dense', 'Pruned', 'Pruned / dense'],
    rows: [
      ...(structures === null ? [] : [parametersRow(structures.parameters)]),
      row('As they are', sizes.dense_bytes, sizes.pruned_bytes, ''),
      row('Compressed by zstd', sizes.dense_zstd_bytes, sizes.pruned_zstd_bytes, about),
    ],
  })}
<p class="note">${whatWasRemoved(report)} The keep masks take ${formatBytes(sizes.mask_bytes)}.${
    sizes.zstd_estimated ? ' Compressed sizes of large files are estimated from a sample.' : null
  }</p>
`;
}

function parametersRow({ dense, pruned }: NonNullable<Report['structures']>['parameters']): string[] {
  return [
    'Parameters',
    formatCount(dense),
    pruned === null ? 'not written' : formatCount(pruned),
    pruned === null ? '–' : formatPercent(pruned / dense),
  ];
}

function whatWasRemoved(report: Report): string {
  if (report.structures === null)
    return 'Removed weights are zeros in place: the file stays as large until it is compressed.';
  const { unit } = nounsOf(report);
  return `Removed ${unit.many} are not zeros but gone from the file: tensors lose rows and columns.`;
}

export function tensorTable({ tensors }: Report): Markup {
  const summary = {
    label: 'Tensors',
    caption: `${formatCount(tensors.length)} pruned ${tensors.length === 1 ? 'tensor' : 'tensors'}`,
    columns: ['Name', 'Shape', 'Type', 'Weights', 'Kept', 'Sparsity', 'N_eff', 'Threshold', 'Mass preserved'],
    rows: tensors.map(tensorRow),
  };
  return table(summary, 'tensors');
}

function tensorRow({
  name,
  shape,
  dtype,
  n,
  n_keep,
  sparsity,
  n_eff,
  threshold,
  preserved_mass,
}: TensorReport) {
  return [
    nameOf(name),
    shape.join('\u00a0× '),
    dtype,
    formatCount(n),
    formatCount(n_keep),
    formatPercent(sparsity),
    n_eff === null ? '–' : formatNumber(n_eff),
    threshold === null ? '–' : formatNumber(threshold),
    preserved_mass === null ? '–' : formatPercent(preserved_mass),
  ];
}
