import type { Report } from '../report.ts';
import { nounsOf } from '../reported-recipe.ts';
import { count, formatBytes, formatPercent } from '../wording.ts';
import { html, type Markup, table } from './markup.ts';

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
