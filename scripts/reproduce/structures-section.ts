import { GRANULARITIES, GROUPS } from '../../src/recipe/terms.ts';
import { counted } from '../../src/report/wording.ts';
import type { Measured, Network } from './network.ts';
import type { Removal } from './structures.ts';
import { count, formatTable, loss, percent, ratio } from './table.ts';
import { titleOf } from './titles.ts';

const INTRODUCTION = `Channels (neurons of fully connected layers, in transformers those of the MLPs), attention heads and KAN nodes removed at beta 1, scope \`layer\`, with the default \`round_to\`: channels are kept by eights.
Each row: loss and accuracy as removed, then repaired. *Evenly*, repaired: the same scores, of every family the same share, as near to the row's total as rounded counts come. *Random*, repaired: as many as in the row or a little less, for of every family goes the same share (small families, which are decided on together, are one), not rounded to eights but down to whole structures; of three draws the one with the median loss.
*Faster*: latency of one batch, dense over repaired, the two run in turn, at onnxruntime's optimization levels \`all\` (the default) and \`extended\`; \`all\` computes convolutions in blocks of channels, 16 with AVX-512 and 8 with AVX2, to which other counts are padded. \`-\`: nothing went.`;

const MAKING = `The VGG-like network (3x3 convolutions of 32, 128, 128, 128 and 128 channels, each with a BatchNormalization that the export keeps apart), the residual one (a stem of 16 channels, a block each of 16, 32 and 64) and the GPT-2-like one (2 blocks of width 64 with 8 heads, learned positions, ASCII characters for tokens)
were trained by [\`scripts/reproduce/train-networks.py\`](../scripts/reproduce/train-networks.py) with PyTorch 1.13, in minutes on a CPU: two epochs of Fashion-MNIST (Debian's \`dataset-fashion-mnist\`) the first two, 2,000 steps of 8 sequences of the King James Bible (Debian's \`bible-kjv\`), less what is measured on, the third.
They lie in \`scripts/reproduce/networks\` and run on the data of the fixtures \`cnn-fashion\` and \`llama-tiny\`.`;

type Level = 'latency_ms' | 'latency_extended_ms';

/** Ratios nearer to 1 may be noise. */
const FASTER = 1.05;

/** The section on structures removed. */
export function formatStructures(removals: readonly Removal[]): string {
  const tables = Map.groupBy(removals, ({ network, plan }) => headingOf(network, plan));
  return [
    INTRODUCTION,
    ...[...tables].flatMap(([heading, rows]) => [heading, ...formatTables(rows)]),
    '### What the tables say',
    formatRemarks(removals),
    '### The networks that are not among the fixtures',
    MAKING,
  ].join('\n\n');
}

function headingOf(network: Network, { granularity, repair }: Removal['plan']): string {
  const repairs = repair.map((name) => `\`${name}\``).join(', ');
  return `### ${titleOf(network)}: ${GRANULARITIES[granularity].unit.many}, repaired by ${repairs}`;
}

/** By one plan for one network. */
function formatTables(removals: readonly Removal[]): string[] {
  const [{ plan, plain }] = removals;
  const { families, parameters } = structuresOf(plain);
  const { dense } = plain.evaluation;
  const dimensions = `${count(plain.total.n)} ${GRANULARITIES[plan.granularity].unit.many} in ${counted(families.length, GROUPS.structures)}, ${count(parameters.dense)} parameters`;
  return [
    `${dimensions}, loss ${loss(dense.loss)}, accuracy ${percent(dense.accuracy)} %.`,
    formatTable(HEAD, removals.map(formatRow)),
  ];
}

const HEAD = [
  ...['criterion', 'gone %', 'parameters', 'loss', 'accuracy %'],
  ...['repaired: loss', 'accuracy %'],
  ...['evenly: gone %', 'loss'],
  ...['random: loss', 'accuracy %'],
  ...['faster, all', 'faster, extended'],
];

function formatRow({ criterion, plain, repaired, random }: Removal): string[] {
  const { pruned } = plain.evaluation;
  const final = repaired?.evaluation;
  const chance = random?.evaluation.pruned;
  const parameters = repaired
    ? structuresOf(repaired).parameters.pruned
    : structuresOf(plain).parameters.dense;
  return [
    criterion,
    percent(plain.total.sparsity),
    count(parameters),
    ...[loss(pruned.loss), percent(pruned.accuracy)],
    ...[loss(final?.pruned.loss), percent(final?.pruned.accuracy)],
    ...[percent(final?.uniform?.sparsity), loss(final?.uniform?.loss)],
    ...[loss(chance?.loss), percent(chance?.accuracy)],
    ratio(final?.dense.latency_ms, final?.pruned.latency_ms),
    ratio(final?.dense.latency_extended_ms, final?.pruned.latency_extended_ms),
  ];
}

function formatRemarks(removals: readonly Removal[]): string {
  const removed = removals.flatMap(({ repaired, ...removal }) => (repaired ? { ...removal, repaired } : []));
  const whole = removals.filter(({ repaired }) => repaired === null);
  const flat = [...new Set(whole.map(({ criterion }) => `\`${criterion}\``))];
  const beside = removed.filter(({ random }) => random !== null);
  const better = beside.filter(({ repaired, random }) => lossOf(repaired) < lossOf(random));
  const helped = removed.filter(({ plain, repaired }) => lossOf(repaired) < lossOf(plain));
  const faster = (level: Level) =>
    removed.filter(({ repaired: { evaluation } }) => speedUp(evaluation, level) >= FASTER).length;
  return [
    `- In ${whole.length} of ${removals.length} rows nothing goes (${flat.join(', ')}): their scores are flat, and what the floor of \`N_eff\` would take, rounding gives back.`,
    `- Repaired, the loss is lower in ${helped.length} of ${removed.length} rows in which something went.`,
    `- The criterion has a lower loss than random removal of as many in ${better.length} of ${beside.length} rows. Where the two are close, what is gained comes from the repair and from the network's own redundancy, not from the scores.`,
    `- At least ${FASTER} times as fast are ${faster('latency_ms')} of these ${removed.length} at level \`all\`, and ${faster('latency_extended_ms')} at level \`extended\`, where convolutions have no blocked layout.`,
    '- Beta 1 is an answer about the mass of the scores. Read the losses before you deploy it, or have a `target` searched.',
  ].join('\n');
}

function structuresOf({ structures }: Measured) {
  if (structures === null) throw new Error('a job that removes structures reports none');
  return structures;
}

/** As the tables show it. */
function speedUp({ dense, pruned }: Measured['evaluation'], level: Level): number {
  return Number(ratio(dense[level], pruned[level]));
}

function lossOf(report: Measured | null): number {
  return report?.evaluation.pruned.loss ?? Number.POSITIVE_INFINITY;
}
