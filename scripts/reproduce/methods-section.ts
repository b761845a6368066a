import type { Checked } from './methods.ts';
import { formatTable, loss, NONE, percent } from './table.ts';
import { titleOf } from './titles.ts';

const INTRODUCTION = `What the paper does not have was first tried by Python code on PyTorch, on our networks and data. *Wanted* is what the product has to reach with the recipe on all evaluation data: a loss at most, or an accuracy in percent at least; a row without it is there to be compared with.
Scores are magnitudes, unless the recipe names others. Folded: BatchNormalization went into the convolutions, as most exporters write it, and criterion \`scores\` has the magnitudes from before. FC12 is of our own training, twelve layers of 128 units, and *wanted* of it is what was found on another.`;

/** The section on methods beside the paper's. */
export function formatMethods(checked: readonly Checked[]): string {
  const rows = checked.map(({ network, recipe, of, wanted, measured }) => {
    const { dense, pruned } = measured.evaluation;
    const show = of === 'loss' ? loss : percent;
    const reached = wanted === null ? NONE : isReached(wanted, of, pruned[of]) ? 'yes' : '**no**';
    return [
      titleOf({ name: network }),
      `\`${JSON.stringify(recipe)}\``,
      of,
      percent(measured.total.sparsity),
      ...[show(dense[of]), show(pruned[of]), show(wanted)],
      reached,
    ];
  });
  const head = ['network', 'recipe', 'measured is', 'gone %', 'dense', 'measured', 'wanted', 'reached'];
  return [INTRODUCTION, formatTable(head, rows, 3)].join('\n\n');
}

function isReached(wanted: number, of: Checked['of'], value: number | null): boolean {
  if (value === null) return false;
  return of === 'loss' ? value <= wanted : value >= wanted;
}
