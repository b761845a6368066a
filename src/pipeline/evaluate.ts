import { targetOf } from '../recipe/target.ts';
import { METRIC_NAMES, METRICS } from '../recipe/terms.ts';
import type { Evaluation } from '../report/report.ts';
import { compareRounds } from '../report/speed.ts';
import { excessOver } from '../report/target-excess.ts';
import type { Evaluator } from '../runtime/evaluation.ts';
import { type Latency, PATIENT } from '../runtime/latency.ts';
import { lookAtLabels } from '../runtime/look-at-samples.ts';
import { finiteOrNull } from '../runtime/model-metrics.ts';
import type { Amount } from './amount.ts';
import { type BetaPoint, type Candidates, createPoint, type Measured } from './candidates.ts';
import type { Chosen } from './choose-amount.ts';
import { type ChosenSpeed, speedTargetFigures, timingOf } from './choose-speed.ts';
import type { Judges } from './judges.ts';
import type { PruneJob } from './prune-job.ts';
import type { Decided, PrunedModel } from './scored.ts';

interface EvaluateInput {
  readonly job: PruneJob;
  readonly judges: Judges;
  /** Measured on the samples that the report is of. */
  readonly candidates: Candidates;
  /** By which the job's own model was pruned. */
  readonly amount: Amount;
  readonly decided: Decided;
  readonly pruned: PrunedModel;
  readonly chosen: Chosen | null;
  /** Null without a target of speed. */
  readonly timed: ChosenSpeed | null;
  /** A text that is the same for the same evaluation samples. */
  readonly samples: string;
}

/** All that the report says of the evaluation data: the pruned model beside the dense one, the uniform baseline, the sweep. */
export async function evaluate(input: EvaluateInput): Promise<Evaluation> {
  const { job, judges, candidates, amount, decided, pruned, chosen, timed } = input;
  const { recipe } = job.input;
  const { reporting } = judges;
  const measured = await measureOwn(input);
  const uses = chosen?.climbed ? ((await job.input.countPromise?.(input.samples)) ?? 1) : null;
  candidates.remember(decided, amount, measured);
  const sweep: BetaPoint[] = [];
  for (const beta of recipe.sweep_betas ?? []) sweep.push(await candidates.at(beta));
  const own = candidates.known(1) ?? (chosen && (await candidates.comparedAt(1)));
  const uniform = await measureUniform(input);
  const timing = timed ? timingOf(job.input, PATIENT) : {};
  const isTimed = !recipe.dry_run && (timed !== null || (job.input.isTimed ?? true));
  const latency = isTimed ? await reporting.latency(pruned.model, timing) : null;
  const extended =
    isTimed && recipe.granularity !== 'weight'
      ? await reporting.latency(pruned.model, { ...timing, level: 'extended' })
      : null;
  return {
    loss_kind: reporting.lossKind,
    metric_names: metricNames(reporting),
    output: reporting.output,
    ...(measured.byOutput && { outputs: measured.byOutput.map((output) => ({ ...output })) }),
    n_samples: reporting.nSamples,
    n_positions: reporting.nPositions,
    batch_size: latency?.batch_size ?? null,
    dense: {
      ...reporting.dense,
      latency_ms: latency?.dense_ms ?? null,
      latency_extended_ms: extended?.dense_ms ?? null,
    },
    pruned: {
      ...measured.measurement,
      latency_ms: latency?.pruned_ms ?? null,
      latency_extended_ms: extended?.pruned_ms ?? null,
    },
    speedups: [
      ...(latency ? [compareRounds('all', latency.rounds)] : []),
      ...(extended ? [compareRounds('extended', extended.rounds)] : []),
    ],
    guess: await guessOf(reporting, job.signal),
    one_answer: measured.isConstant,
    variance: measured.variance,
    beta_1: own && createPoint(own),
    uniform,
    sweep,
    search: chosen && searchFigures(chosen, judges, measured, uses, recipe.beta !== undefined),
    speed_target: timed && (await speedFigures(timed, input, latency)),
  };
}

/** A rung of a ladder has been measured; a dry run has written no model. */
async function measureOwn(input: EvaluateInput): Promise<Measured> {
  const { job, judges, candidates, amount, decided, pruned } = input;
  const known = amount.beta === null ? null : candidates.known(amount.beta);
  if (known) return known;
  if (job.input.recipe.dry_run) return await candidates.measure(decided);
  return { ...(await judges.reporting.compare(pruned.model)), sparsity: pruned.sparsity, weight: null };
}

/** Of the samples that are reported. */
async function guessOf(
  { labelLayout, samples }: Evaluator,
  signal: AbortSignal,
): Promise<Evaluation['guess']> {
  if (labelLayout === null) return null;
  const { guess } = await lookAtLabels(samples, labelLayout, signal);
  return guess && { loss: finiteOrNull(guess.loss), accuracy: guess.accuracy };
}

/** Of a dry run, which has written no model, what it would be is timed. */
async function speedFigures(
  timed: ChosenSpeed,
  { job, amount: { beta } }: EvaluateInput,
  own: Latency | null,
) {
  if (beta === null) return null;
  return speedTargetFigures(timed, beta, own ?? (await timed.timeAt(beta)), job.input.runtime);
}

function searchFigures(
  { found, test, climbed }: Chosen,
  judges: Judges,
  measured: Measured,
  uses: number | null,
  isGiven: boolean,
) {
  const { choosing, reporting, seed } = judges;
  const { target } = test;
  const { p_value, isShown, test: by } = test.judge(measured);
  const isEstimated = excessOver(target, reporting.dense, measured.measurement) <= 0;
  return {
    target,
    met: climbed ? isShown : isEstimated,
    found: found.isWithin,
    given: isGiven,
    beta: climbed?.beta ?? found.beta,
    evaluations: [...found.evaluations],
    dense: choosing.dense,
    n_samples: choosing.nSamples,
    seed,
    promise: {
      test: by.name,
      p_value,
      certified: climbed && isShown ? (targetOf({ target })?.limit ?? null) : null,
      n_needed: Number.isFinite(test.nNeeded) ? test.nNeeded : null,
      counted_up_to: by.name === 'mixture_of_bets' ? by.ceiling : null,
      ladder: [...(climbed?.ladder ?? [])],
      uses,
    },
  };
}

/**
 * The same criterion and total sparsity spread evenly, over rows with scope `row` and over tensors otherwise: what EMP's own spread has to
 * be better than. Null for a budget that is spread that way itself.
 */
async function measureUniform({
  job,
  candidates,
  pruned,
  amount,
}: EvaluateInput): Promise<Evaluation['uniform']> {
  const { budget, scope } = job.input.recipe;
  if (budget && scope !== 'global') return null;
  const evenly = scope === 'row' ? 'row' : 'layer';
  return createPoint(await candidates.evenly(pruned.sparsity, amount, evenly));
}

function metricNames({ dense, measuresDrift, compared }: Evaluator): string[] {
  return METRIC_NAMES.filter((name) => {
    if (name === 'cosine_distance') return compared.some(({ look }) => look.prediction.vector !== null);
    if (name === 'kl') return compared.some(({ look }) => look.prediction.divergence !== null);
    return METRICS[name].isLabelled ? dense[name] !== null : measuresDrift;
  });
}
