import type { Report } from '../report.ts';
import { askedList } from './asked.ts';
import { comparisonTable } from './comparison.ts';
import { curveCharts } from './curve-charts.ts';
import { familyTable, frozenTable } from './families.ts';
import { footer } from './footer.ts';
import { headline } from './headline.ts';
import { histogramChart } from './histogram-chart.ts';
import { lorenzChart } from './lorenz-chart.ts';
import { lossBoundTable } from './loss-bound.ts';
import { type Content, html, type Markup } from './markup.ts';
import { nounsOf } from './nouns.ts';
import { repairTable } from './repairs.ts';
import { sparsityChart } from './sparsity-chart.ts';
import { STYLE } from './style.ts';
import { sizesTable, tensorTable } from './tables.ts';
import { warningList } from './warnings.ts';

/** Nothing is loaded and no script runs, whatever got into the page. */
const CONTENT_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/** The report as one HTML page that needs nothing else. The same report gives the same bytes. */
export function renderReport(report: Report): string {
  const { model, verdict, evaluation } = report;
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${CONTENT_POLICY}">
<meta name="generator" content="effective-model-pruning ${report.environment.version}">
<link rel="icon" href="data:,">
<title>Pruning report: ${model.name}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<p class="kind">Effective Model Pruning report</p>
<h1><bdi>${model.name}</bdi></h1>
<p class="verdict">${verdict.text}</p>
</header>
<main>
${warningList(verdict.warnings)}
${section('figures', 'At a glance', headline(report))}
${section('asked', 'What was asked', askedList(report))}
${section(
  'evaluation',
  'Dense against pruned',
  evaluation === null
    ? html`<p>Not measured: give the job an evaluation dataset, and the pruned model is measured beside the dense one.</p>`
    : comparisonTable(report, evaluation),
)}
${repairs(report)}
${curvature(report)}
${section('curve', 'What sparsity costs', curve(report, evaluation))}
${section('sparsity', `Where the ${nounsOf(report).unit.many} go`, sparsityChart(report))}
${section('scores', 'The scores', scoreCharts(report))}
${section('sizes', 'Sizes', sizesTable(report))}
${pruned(report)}
</main>
${footer(report)}
</body>
</html>
`.source;
}

function section(id: string, title: string, content: Content): Markup {
  return html`<section aria-labelledby="${id}">
<h2 id="${id}">${title}</h2>
${content}
</section>
`;
}

function curve(report: Report, evaluation: Report['evaluation']): Markup {
  if (evaluation === null) {
    return html`<p>Not measured: with an evaluation dataset, <code>sweep_betas</code> or a <code>target</code> in the recipe draws the curve.</p>`;
  }
  return (
    curveCharts(report, evaluation) ??
    html`<p>One point makes no curve: <code>sweep_betas</code> or a <code>target</code> in the recipe measures more.</p>`
  );
}

function repairs(report: Report): Markup | null {
  return report.repair.length === 0 ? null : section('repair', 'Repair', repairTable(report));
}

function curvature(report: Report): Markup | null {
  const bound = lossBoundTable(report);
  return bound && section('curvature', 'What curvature says', bound);
}

function pruned(report: Report): Content {
  const { structures } = report;
  if (structures === null) return section('tensors', 'Tensors', tensorTable(report));
  const frozen = frozenTable(structures);
  return [
    section('families', 'Families', familyTable(report, structures)),
    frozen && section('frozen', 'What is frozen', frozen),
  ];
}

function scoreCharts(report: Report): Markup {
  const charts = [histogramChart(report), lorenzChart(report)].filter((chart) => chart !== null);
  return charts.length === 0
    ? html`<p>All scores are zero: there is nothing to draw.</p>`
    : html`<div class="pair">${charts}</div>`;
}
