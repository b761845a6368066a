import type { DecisionFigure } from '../decision-schema.ts';
import type { Report } from '../report.ts';
import { nounsOf } from '../reported-recipe.ts';
import { titleOfWarning, warningsOfFigure } from '../warning-places.ts';
import { capitalized } from '../wording.ts';
import { firstScreen } from './first-screen.ts';
import { allocationTable } from './how-it-was-shared.ts';
import { scoreCharts } from './how-scores-spread.ts';
import { type Content, html, section } from './markup.ts';
import { renderPage } from './page-shell.ts';
import { sizesTable } from './sizes-table.ts';
import { warningsHere } from './warnings-here.ts';
import { sensitivityChart } from './what-each-costs.ts';
import { comparisonTable, lossBoundTable, outputsTable, repairTable } from './what-it-cost.ts';
import { costCurves, mainCurve } from './what-sparsity-costs.ts';
import { askedList } from './what-was-asked.ts';
import { provenance, recipeCode, repeatCode } from './where-it-comes-from.ts';
import { frozenTable, groupTable, sparsityChart } from './where-it-went.ts';

/** The report as one HTML page that needs nothing else: the decision first, then what it rests on. The same report gives the same bytes. */
export function renderReport(report: Report): string {
  const { model, verdict, environment, decision } = report;
  const { unit, group } = nounsOf(report);
  return renderPage({
    title: `Pruning report: ${model.name}`,
    kind: 'Effective Model Pruning report',
    heading: html`<bdi>${model.name}</bdi>`,
    first: firstScreen({
      decision,
      picture: mainCurve(report),
      warned: (figure) => warnedOf(report, figure),
    }),
    meta: html`<meta name="generator" content="effective-model-pruning ${environment.version}">
`,
    main: html`${section(
      'cost',
      'What it costs',
      html`<p class="verdict">${verdict.text}</p>
${warningsHere(report, 'cost')}`,
    )}
${section('evaluation', 'Dense against pruned', comparisonTable(report))}${section('outputs', 'Drift by output', outputsTable(report))}
${section('curve', 'What sparsity costs', costCurves(report))}
${section('sizes', 'Sizes', [warningsHere(report, 'sizes'), sizesTable(report)])}
${section('layers', `Where the ${unit.many} go`, [warningsHere(report, 'layers'), sparsityChart(report)])}
${section(group.many, capitalized(group.many), groupTable(report))}${section('frozen', 'What is frozen', frozenTable(report))}
${section('repair', 'Repair', repaired(report))}
${section('allocation', 'How the total was shared', allocationTable(report))}
${section('sensitivity', 'What each tensor costs alone', sensitivityChart(report))}
${section('method', 'What was asked', [warningsHere(report, 'method'), askedList(report)])}
${section('scores', 'The scores', scoreCharts(report))}
${section('curvature', 'What curvature says', lossBoundTable(report))}
${section('reading', 'How to read this', howToRead(report))}`,
    footer: html`<footer>
${section('recipe', 'Recipe', recipeCode(report))}${section('provenance', 'Provenance', provenance(report))}${section('again', 'The calls to repeat it', repeatCode(report))}</footer>
`,
  });
}

function repaired(report: Report): Content {
  const repairs = repairTable(report);
  return repairs && [warningsHere(report, 'repair'), repairs];
}

function warnedOf(report: Report, figure: DecisionFigure) {
  const warned = warningsOfFigure(report, figure);
  if (warned === null) return null;
  const [first, ...others] = warned.codes;
  const more = others.length > 0 ? ` and ${others.length} more` : '';
  return { title: `${titleOfWarning(first)}${more}`, place: warned.place };
}

function howToRead(report: Report): Content {
  const { one, many } = nounsOf(report).unit;
  const isOfStructures = report.structures !== null;
  return html`<p><strong>N_eff</strong>, the effective number of scores, is (sum of scores)² / (sum of squared scores): all N where the scores are equal, 1 where one of them is everything. EMP keeps floor(<strong>beta</strong> × N_eff) of the highest scores; beta 1 is its own answer, a smaller beta keeps fewer.${
    isOfStructures
      ? ' A family then keeps as many more of its own as rounding asks for, and one at least.'
      : null
  }</p>
<p><strong>Mass</strong> is a ${one}’s share of the sum of all scores. The <strong>bound</strong> is the least mass that so many kept ${many} can hold, given N and N_eff, whatever the scores. Mass is not accuracy: what the model loses is only known where it was measured.</p>${
    isOfStructures
      ? html`
<p>A <strong>family</strong> is all ${many} that lie along the same axes of the same weights. A ${one} goes with all that hangs on it, in every weight. An axis is <strong>frozen</strong> where the model could not run, or would not compute the same, without some of its positions.</p>`
      : null
  }`;
}
