import { curvesOf } from './cost-curves.ts';
import { decisionMarkdown } from './decision-markdown.ts';
import { escapeMarkdown, markdownCode, markdownFolded, markdownSection, markdownTable } from './markdown.ts';
import { formatFigure } from './metric-figures.ts';
import { ORIGIN_DATA } from './origin.ts';
import { repeatCalls } from './repeat-calls.ts';
import type { Report } from './report.ts';
import { nounsOf } from './reported-recipe.ts';
import { type Place, titleOfWarning, warningsAbout } from './warning-places.ts';
import { capitalized, count, counted, formatNumber, ifKnown, number, percent } from './wording.ts';

/** Of the same kind; the others are counted. */
const MAX_WARNINGS = 3;
/** Of a table. */
const MAX_ROWS = 50;

/** The report as Markdown, as a pull request shows it. What names hold stays text. The same report gives the same bytes. */
export function renderReportMarkdown(report: Report): string {
  const { model, decision, verdict, repair } = report;
  const parts = [
    `# ${escapeMarkdown(model.name)}`,
    decisionMarkdown(decision, pointsTable(report)),
    markdownSection(
      'In full',
      escapeMarkdown(verdict.text),
      ...warnings(report, 'cost'),
      ...warnings(report, 'sizes'),
    ),
    markdownSection(
      capitalized(nounsOf(report).group.many),
      ...warnings(report, 'layers'),
      groupsFolded(report),
    ),
    ...(repair.length > 0
      ? [markdownSection('Repairs', ...warnings(report, 'repair'), repairs(report))]
      : []),
    markdownSection(
      'Method',
      ...warnings(report, 'method'),
      markdownFolded('Recipe', markdownCode(JSON.stringify(report.recipe, null, 2), 'json')),
    ),
    markdownSection(
      'Where it comes from',
      origins(report),
      markdownFolded('The calls to repeat it', markdownCode(repeatCalls(report), 'sh')),
    ),
  ];
  return `${parts.join('\n\n')}\n`;
}

function warnings(report: Report, place: Place): string[] {
  const byCode = Map.groupBy(warningsAbout(report, place), ({ code }) => code);
  return [...byCode].map(([code, group]) => {
    const texts = group.slice(0, MAX_WARNINGS).map(({ text }) => escapeMarkdown(text));
    const more = group.length - MAX_WARNINGS;
    return `> **${titleOfWarning(code)}.** ${texts.join(' ')}${more > 0 ? ` And ${count(more)} more.` : ''}`;
  });
}

/** The sweep, or what a search met, by sparsity; null where one model was measured. */
function pointsTable(report: Report): string | null {
  const [curve, ...others] = report.evaluation ? curvesOf(report, report.evaluation) : [];
  if (curve === undefined) return null;
  const metrics = [curve, ...others].map(({ metric }) => metric);
  return markdownTable(
    ['Beta', 'Sparsity', ...metrics.map(({ title }) => title)],
    curve.points
      .slice(0, MAX_ROWS)
      .map((point) => [
        `${ifKnown(point.beta, number) ?? 'budget'}${point === curve.chosen ? ' (chosen)' : ''}`,
        percent(point.sparsity),
        ...metrics.map((metric) => formatFigure(metric, point)),
      ]),
  );
}

function groupsFolded(report: Report): string {
  const { unit, group } = nounsOf(report);
  const groups = report.structures?.families ?? report.tensors;
  const more = groups.length - MAX_ROWS;
  return markdownFolded(
    counted(groups.length, group),
    markdownTable(
      ['Name', capitalized(unit.many), 'Kept', 'Sparsity', 'N_eff'],
      groups
        .slice(0, MAX_ROWS)
        .map(({ name, n, n_keep, sparsity, n_eff }) => [
          ...[name, count(n), count(n_keep), percent(sparsity)],
          ifKnown(n_eff, formatNumber) ?? '–',
        ]),
    ),
    ...(more > 0 ? [`And ${count(more)} more, in report.json.`] : []),
  );
}

function repairs({ repair }: Report): string {
  return markdownTable(
    ['Repair', 'Repaired', 'Left out', 'Kept'],
    repair.map(({ name, n_repaired, left_out, kept }) => [
      ...[name, count(n_repaired), count(left_out.length)],
      kept ? 'yes' : 'no',
    ]),
  );
}

function origins({ model, artifacts, origin, environment }: Report): string {
  const { version, onnxruntime, execution_provider } = environment;
  const data = ORIGIN_DATA.flatMap((name) => {
    const given = origin?.[name] ?? null;
    return given === null ? [] : [[`${capitalized(name)} data ${given.dataset_id}`, given.sha256]];
  });
  const rows = [
    [`Model ${model.name}${origin ? ` ${origin.model_id}` : ''}`, model.sha256],
    ...data,
    ...artifacts.map(({ name, sha256 }) => [`Written: ${name}`, sha256]),
  ];
  const software = [
    `effective-model-pruning ${version}`,
    onnxruntime && `onnxruntime ${onnxruntime} (${execution_provider})`,
  ];
  return [
    ...(origin ? [escapeMarkdown(`Job ${origin.job_id}, asked for at ${origin.created_at}.`)] : []),
    escapeMarkdown(`${software.filter((part) => part).join(', ')}.`),
    markdownTable(['What', 'SHA-256'], rows),
  ].join('\n\n');
}
