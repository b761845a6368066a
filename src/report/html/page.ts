import type { Report } from '../report.ts';
import { nounsOf } from '../reported-recipe.ts';
import { capitalized, formatBytes } from '../wording.ts';
import { allocationTable } from './how-it-was-shared.ts';
import { scoreCharts } from './how-scores-spread.ts';
import { type Content, entry, html, type Markup, section } from './markup.ts';
import { renderPage } from './page-shell.ts';
import { headline, sizesTable, warningList } from './what-came-out.ts';
import { sensitivityChart } from './what-each-costs.ts';
import { comparisonTable, lossBoundTable, outputsTable, repairTable } from './what-it-cost.ts';
import { costCurves } from './what-sparsity-costs.ts';
import { askedList } from './what-was-asked.ts';
import { frozenTable, groupTable, sparsityChart } from './where-it-went.ts';

/** The report as one HTML page that needs nothing else. The same report gives the same bytes. */
export function renderReport(report: Report): string {
  const { model, verdict, environment } = report;
  const { unit, group } = nounsOf(report);
  return renderPage({
    title: `Pruning report: ${model.name}`,
    kind: 'Effective Model Pruning report',
    heading: html`<bdi>${model.name}</bdi>`,
    verdict: verdict.text,
    meta: html`<meta name="generator" content="effective-model-pruning ${environment.version}">
`,
    main: html`${section('warnings', 'Warnings', warningList(report))}
${section('figures', 'At a glance', headline(report))}
${section('asked', 'What was asked', askedList(report))}
${section('evaluation', 'Dense against pruned', comparisonTable(report))}${section('outputs', 'Drift by output', outputsTable(report))}
${section('allocation', 'How the total was shared', allocationTable(report))}
${section('sensitivity', 'What each tensor costs alone', sensitivityChart(report))}
${section('repair', 'Repair', repairTable(report))}
${section('curvature', 'What curvature says', lossBoundTable(report))}
${section('curve', 'What sparsity costs', costCurves(report))}
${section('sparsity', `Where the ${unit.many} go`, sparsityChart(report))}
${section('scores', 'The scores', scoreCharts(report))}
${section('sizes', 'Sizes', sizesTable(report))}
${section(group.many, capitalized(group.many), groupTable(report))}${section('frozen', 'What is frozen', frozenTable(report))}`,
    footer: html`<footer>
${section('reading', 'How to read this', howToRead(report))}${section('provenance', 'Provenance', provenance(report))}</footer>
`,
  });
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

/** What exactly the figures are of. */
function provenance({ model, artifacts, environment }: Report): Markup {
  const { version, onnxruntime, execution_provider } = environment;
  const runtime = onnxruntime === null ? '' : `, onnxruntime ${onnxruntime}`;
  const provider = execution_provider === null ? '' : ` (${execution_provider})`;
  const hash = (sha256: string) => html`<br><code>sha256 ${sha256}</code>`;
  return html`<dl class="provenance">
${entry('Model', html`<bdi>${model.name}</bdi>, ${model.format}, ${formatBytes(model.size_bytes)}${hash(model.sha256)}`)}
${artifacts.map(({ name, sha256 }) => entry('Written', html`<bdi>${name}</bdi>${hash(sha256)}`))}
${entry('Software', `effective-model-pruning ${version}${runtime}${provider}`)}
</dl>`;
}
