import type { Findings, Protocol } from './experiments.ts';
import { findGolden, goldenOf } from './golden.ts';
import type { Measured } from './network.ts';
import { PAPER_FC5_SPARSITY, PAPER_LLAMA, type ProtocolRow } from './paper.ts';
import { change, formatTable, loss, NONE, percent, perplexity, signed } from './table.ts';
import { titleOf } from './titles.ts';

/** Costs that are marked: of loss, relative; of accuracy, absolute. */
const HARMFUL_LOSS_INCREASE = 0.05;
const HARMFUL_ACCURACY_DROP = 0.01;

const BATCH_NORM =
  'The CNN suffers most where every tensor or row is pruned: its BatchNormalization layers keep the statistics of the dense network.';

const isFullyConnected = ({ network }: Findings) => network.name.startsWith('fc');

/** The document's sections that follow from what was measured. */
export function formatResults(findings: readonly Findings[], protocol: Protocol | null): string {
  const sections = [
    ['FC2 and FC5 at beta 1', formatFullyConnected(findings.filter(isFullyConnected))],
    ['The sweep over beta', formatSweeps(findings.filter(isFullyConnected))],
    ...(protocol ? [['The LLaMA protocol', formatProtocol(protocol)]] : []),
    ['Every network at beta 1', formatScopes(findings)],
    ['How much may go when the loss may rise by 1 %', formatSearches(findings)],
    ['Agreement with the oracle', formatAgreement(findings)],
  ];
  return sections.map(([title, text]) => `## ${title}\n\n${text}\n`).join('\n');
}

function formatFullyConnected(findings: readonly Findings[]): string {
  const rows = findings.flatMap((finding) => {
    const { network, global } = finding;
    const { dense, pruned } = global.evaluation;
    const golden = goldenOf(network.golden, global);
    const cells = (
      source: string,
      sparsity: number | undefined,
      losses: readonly (number | null | undefined)[],
      accuracies: readonly (number | null | undefined)[],
    ) => [
      titleOf(finding.network),
      source,
      percent(sparsity),
      ...losses.map(loss),
      ...accuracies.map(percent),
    ];
    const paper = network.name.startsWith('fc5') ? PAPER_FC5_SPARSITY : undefined;
    return [
      cells('ours', global.total.sparsity, [dense.loss, pruned.loss], [dense.accuracy, pruned.accuracy]),
      cells(
        'oracle',
        golden?.total.sparsity,
        [network.golden?.dense.loss, golden?.pruned_loss],
        [network.golden?.dense.accuracy, golden?.pruned_accuracy],
      ),
      cells('paper', paper, [null, null], [null, null]),
    ];
  });
  const head = [
    'network',
    'source',
    'sparsity %',
    'dense loss',
    'pruned loss',
    'dense accuracy %',
    'pruned accuracy %',
  ];
  return formatTable(head, rows, 2);
}

function formatSweeps(findings: readonly Findings[]): string {
  const rows = findings.flatMap((finding) => {
    const { network, global } = finding;
    return global.evaluation.sweep.map((point) => {
      const golden = findGolden(network.golden, 'magnitude', 'global', point.beta);
      return [
        titleOf(finding.network),
        String(point.beta),
        ...[point.sparsity, golden?.total.sparsity].map(percent),
        ...[point.loss, golden?.pruned_loss].map(loss),
        ...[point.accuracy, golden?.pruned_accuracy].map(percent),
      ];
    });
  });
  const head = ['network', 'beta', ...['sparsity %', 'oracle', 'loss', 'oracle', 'accuracy %', 'oracle']];
  const remarks = findings.map((finding) => {
    const { sweep, dense } = finding.global.evaluation;
    const costs = sweep
      .filter(({ beta }) => beta <= 1)
      .map((point) => `${increase(point.loss, dense.loss)} % at beta ${point.beta}`);
    return `${titleOf(finding.network)}: the loss changes by ${costs.join(', ')}.`;
  });
  return [
    formatTable(head, rows),
    `The paper calls beta 1 the transition from kept to lost performance. What these networks do below it:\n${remarks.join(' ')}`,
  ].join('\n\n');
}

const increase = (pruned: number | null, dense: number | null) =>
  pruned === null || dense === null ? NONE : change(pruned / dense - 1);

function protocolRow({ wanda50, magnitude50, empWanda, empMagnitude }: Protocol): ProtocolRow {
  const perplexityOf = ({ evaluation }: Measured) => evaluation.pruned.perplexity ?? Number.NaN;
  return {
    model: 'llama-tiny (ours)',
    dense: wanda50.evaluation.dense.perplexity ?? Number.NaN,
    wanda50: perplexityOf(wanda50),
    magnitude50: perplexityOf(magnitude50),
    empWanda: perplexityOf(empWanda),
    empMagnitude: perplexityOf(empMagnitude),
    empWandaSparsity: empWanda.total.sparsity,
    empMagnitudeSparsity: empMagnitude.total.sparsity,
  };
}

function formatProtocol(protocol: Protocol): string {
  const ours = protocolRow(protocol);
  const cells = (row: ProtocolRow) => {
    const cell = (pruned: number) => `${perplexity(pruned)} (${signed(100 * (pruned / row.dense - 1), 1)} %)`;
    return [
      row.model,
      perplexity(row.dense),
      ...[row.wanda50, row.magnitude50, row.empWanda].map(cell),
      percent(row.empWandaSparsity),
      cell(row.empMagnitude),
      percent(row.empMagnitudeSparsity),
    ];
  };
  const head = [
    'model',
    'dense',
    ...['Wanda, 50 %', 'magnitude, 50 %'],
    ...['Wanda, EMP', 'its sparsity %', 'magnitude, EMP', 'its sparsity %'],
  ];
  const even = (measured: Measured, name: string) => {
    const { pruned, uniform } = measured.evaluation;
    return `${name} ${perplexity(pruned.perplexity)} by EMP, ${perplexity(uniform?.perplexity)} evenly`;
  };
  const dearer = PAPER_LLAMA.filter(({ empWanda, wanda50 }) => empWanda > wanda50).map(({ model }) => model);
  return [
    "Perplexity, in brackets its change. The paper's rows are WikiText-2.",
    formatTable(head, [ours, ...PAPER_LLAMA].map(cells)),
    [
      'EMP removes less than the half it is compared with, so these columns do not show whether EMP spreads the zeros well.',
      `At equal total sparsity, llama-tiny: ${even(protocol.empWanda, 'Wanda')}; ${even(protocol.empMagnitude, 'magnitude')} over all rows.`,
      "EMP keeps 2 / pi of Gaussian weights, which is a sparsity of 36.34 %: LLaMA's rows are nearly Gaussian, llama-tiny's less so.",
      `In the paper's own runs Wanda with EMP costs more than Wanda at 50 %, although it removes less, on ${dearer.join(' and ')}.`,
    ].join('\n'),
  ].join('\n\n');
}

const nameOf = ({ recipe }: Measured) => `${recipe.criterion}, ${recipe.scope}`;

function formatScopes(findings: readonly Findings[]): string {
  const rows = findings.flatMap((finding) =>
    [finding.global, ...finding.others].map((report) => {
      const { dense, pruned, uniform } = report.evaluation;
      const mark = isHarmful(report) ? '**' : '';
      return [
        titleOf(finding.network),
        nameOf(report),
        percent(report.total.sparsity),
        loss(pruned.loss),
        `${mark}${increase(pruned.loss, dense.loss)}${mark}`,
        percent(dense.accuracy),
        percent(pruned.accuracy),
        loss(uniform?.loss),
      ];
    }),
  );
  const head = [
    ...['network', 'scores, scope'],
    ...['sparsity %', 'loss', 'loss change %', 'dense accuracy %', 'accuracy %', 'loss, spread evenly'],
  ];
  const reports = findings.flatMap(({ global, others }) => [global, ...others]);
  const harmful = reports.filter(isHarmful);
  const evenIsBetter = reports.filter(
    ({ evaluation: { pruned, uniform } }) => (uniform?.loss ?? Infinity) < (pruned.loss ?? 0),
  );
  return [
    formatTable(head, rows, 2),
    `Spread evenly: the same scores and the same total sparsity, but the same share of every tensor, or with scope row of every row. It has the lower loss in ${evenIsBetter.length} of ${rows.length} rows.`,
    [
      `**Beta 1 is not always safe.** Bold: it costs more than ${100 * HARMFUL_LOSS_INCREASE} % of loss or more than ${100 * HARMFUL_ACCURACY_DROP} point of accuracy, in ${harmful.length} of ${rows.length} rows.`,
      ...(findings.some(({ network }) => network.name === 'cnn-fashion') ? [BATCH_NORM] : []),
      'Wanda removes more than magnitude, since its scores have heavier tails; what it removes is not always free.',
    ].join('\n'),
  ].join('\n\n');
}

function isHarmful({ evaluation: { dense, pruned } }: Measured): boolean {
  const lost = (dense.accuracy ?? 0) - (pruned.accuracy ?? 0);
  return (pruned.loss ?? 0) > (1 + HARMFUL_LOSS_INCREASE) * (dense.loss ?? 0) || lost > HARMFUL_ACCURACY_DROP;
}

function formatSearches(findings: readonly Findings[]): string {
  const rows = findings.flatMap((finding) =>
    finding.searches.map((report) => {
      const { dense, pruned, search, beta_1 } = report.evaluation;
      return [
        titleOf(finding.network),
        nameOf(report),
        search?.met ? 'yes' : 'no',
        search ? search.beta.toFixed(3) : NONE,
        percent(report.total.sparsity),
        loss(pruned.loss),
        increase(pruned.loss, dense.loss),
        String(search?.evaluations.length ?? NONE),
        percent(beta_1?.sparsity),
        increase(beta_1?.loss ?? null, dense.loss),
      ];
    }),
  );
  const head = [
    ...['network', 'scores, scope', 'met'],
    ...[
      'beta',
      'sparsity %',
      'loss',
      'loss change %',
      'evaluations',
      'sparsity % at beta 1',
      'loss change % at beta 1',
    ],
  ];
  return [
    'Not in the paper: `target: {"max_loss_increase": 0.01}` searches the smallest beta that stays a standard error within the target, on one half of the evaluation data. Figures are of the other half, on which a target may turn out not to be met.',
    formatTable(head, rows, 3),
  ].join('\n\n');
}

function formatAgreement(findings: readonly Findings[]): string {
  const differences = findings.flatMap(({ network, global, others }) => {
    const points = global.evaluation.sweep.map((point) => ({
      ...point,
      golden: findGolden(network.golden, 'magnitude', 'global', point.beta),
    }));
    const reports = others.map((report) => ({
      ...report.evaluation.pruned,
      sparsity: report.total.sparsity,
      golden: goldenOf(network.golden, report),
    }));
    return [...points, ...reports].flatMap(({ golden, sparsity, loss, accuracy }) =>
      golden === null
        ? []
        : {
            kept: Math.abs(sparsity - golden.total.sparsity) * golden.total.n,
            loss: Math.abs((loss ?? Number.NaN) / golden.pruned_loss - 1),
            accuracy: Math.abs((accuracy ?? Number.NaN) - golden.pruned_accuracy),
          },
    );
  });
  if (differences.length === 0) return "The oracle's answers come with the fixtures, which were not there.";
  const largest = (key: 'kept' | 'loss' | 'accuracy') =>
    Math.max(...differences.map((difference) => difference[key]));
  return [
    `${differences.length} prunings of the tables above have an answer of the oracle. Largest differences: ${Math.round(largest('kept'))} weights kept,`,
    `loss below ${ceilPower(largest('loss'))} relative, accuracy ${percent(largest('accuracy'))} points.`,
  ].join(' ');
}

/** The next power of ten, so that the document does not change with the last bits of a sum. */
function ceilPower(x: number): string {
  return `1e${Math.max(-9, Math.floor(Math.log10(x)) + 1)}`;
}
