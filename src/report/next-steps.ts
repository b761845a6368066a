import { targetOf } from '../recipe/target.ts';
import { TARGETS } from '../recipe/terms.ts';
import { isLabeled } from './cost.ts';
import type { NextStep } from './decision-schema.ts';
import type { Status, UnsafeReason } from './decision-statuses.ts';
import { harmsBeyondPromise } from './harm.ts';
import type { Evaluation, Undecided } from './report.ts';
import { chosenBeta, type ReportedRecipe, recipeOf } from './reported-recipe.ts';
import { samplesGiven, samplesNeeded } from './samples-needed.ts';
import { excessOver } from './target-excess.ts';
import { count, number } from './wording.ts';

/** What a promise is proposed with. */
const CONFIDENCE = 0.95;
/** Of a layer, at least. */
const FLOOR = 0.05;
/** Of the variance of the dense outputs, at most. */
const UNEXPLAINED = 0.1;
/** So much above what was measured a limit is proposed. */
const ROOM = 1.1;

const NEW_JOB = 'POST /v1/jobs';
const NEW_SEARCH = 'POST /v1/searches';

const LARGER_BUDGET = 0.5;

/** What to do with the model, or in its place: the first thing first. */
export function nextSteps(report: Undecided, status: Status, reasons: readonly UnsafeReason[]): NextStep[] {
  const recipe = recipeOf(report);
  const { evaluation } = report;
  switch (status) {
    case 'unsafe':
      return unsafeSteps(reasons, recipe, evaluation);
    case 'not_met':
      return missedSteps(report, recipe);
    case 'nothing_gained':
      return [sparser(report)];
    case 'estimated':
      return [ship('Ship it if an estimate will do:', report), ...sure(evaluation)];
    case 'within':
      return [ship('Download it and ship it:', report), ...sure(evaluation)];
    case 'harmed':
      return [
        step('Bound what it may cost; the amount is then searched:', {
          target: evaluation?.search ? boundOfHarm(evaluation) : boundOf(evaluation),
        }),
        ...repaired(recipe, report),
      ];
    case 'not_measured':
      return recipe.dry_run
        ? [step('Run it without dry_run to get the model:', { dry_run: false }), measure(report)]
        : [measure(report)];
    default:
      return [
        ship('Ship it only if you can afford what it loses:', report),
        step('To be held to a limit, set one:', { target: boundOf(evaluation) }),
      ];
  }
}

function step(text: string, recipe: NextStep['recipe'] = null, request: string | null = null): NextStep {
  return { text, recipe, request: request ?? (recipe === null ? null : NEW_JOB) };
}

function ship(text: string, { origin, model, recipe }: Undecided): NextStep {
  if (recipe.dry_run === true) return step('Run it without dry_run to get the model:', { dry_run: false });
  const path = `/v1/jobs/${origin?.job_id ?? '{id}'}/artifacts/${encodeURIComponent(model.name)}`;
  return step(text, null, `GET ${path}`);
}

/** An estimate is made a promise, of samples that are enough for it. */
function sure(evaluation: Evaluation | null): NextStep[] {
  const search = evaluation?.search;
  if (!search) return [];
  if (search.target.confidence !== undefined)
    return [step('Measure it once on the device that it will run on.')];
  const recipe = { target: { ...search.target, confidence: CONFIDENCE } };
  const { atLeast, likely } = samplesNeeded(evaluation) ?? { atLeast: null, likely: null };
  if (atLeast === null)
    return [step('This is an estimate, and no number of samples can show this limit: a larger one can be.')];
  if (search.promise.p_value <= 1 - CONFIDENCE)
    return [step('This is an estimate. To have it shown, ask for confidence:', recipe)];
  const wanted = Math.max(atLeast, likely ?? 0);
  const given = samplesGiven(evaluation);
  if (given >= wanted)
    return [
      step(
        'This is an estimate. Ask for confidence to get the sparsest model that these samples show:',
        recipe,
      ),
    ];
  const about = wanted === atLeast ? count(atLeast) : `about ${count(wanted)}`;
  const otherwise =
    given < atLeast
      ? `fewer than ${count(atLeast)} are refused`
      : `with these ${count(given)} less may be removed`;
  return [
    step(
      `This is an estimate. To have it shown, give ${about} evaluation samples (${otherwise}) and ask for confidence:`,
      recipe,
      `${NEW_JOB} with more evaluation samples`,
    ),
  ];
}

function measure({ model }: Undecided): NextStep {
  return model.format === 'onnx'
    ? step(
        'Give evaluation data, with labels if you have them: the cost is measured.',
        null,
        `${NEW_JOB} with evaluation_dataset_id`,
      )
    : step(
        'Measure it with your own code before you rely on it, or send an ONNX export with evaluation data.',
      );
}

function sparser(report: Undecided): NextStep {
  const beta = chosenBeta(report);
  const { target } = recipeOf(report);
  if (target !== undefined)
    return step(
      'The target leaves nothing to gain: allow more quality to go, or ask for a smaller or faster model.',
    );
  if (beta === null) return step('Remove more, by a larger budget:', { budget: { sparsity: LARGER_BUDGET } });
  return step('Remove more, by a smaller beta:', { beta: Number(number(beta / 2)) });
}

/** A limit that suits what was measured. */
function boundOf(evaluation: Evaluation | null): Readonly<Record<string, number>> {
  if (evaluation === null || isLabeled(evaluation)) return { max_loss_increase: 0.01 };
  return evaluation.pruned.top1_agreement === null ? { max_relative_l2: 0.05 } : { max_disagreement: 0.01 };
}

/** Of what is lost beyond a promise that is kept. */
function boundOfHarm(evaluation: Evaluation): Readonly<Record<string, number>> {
  const { pruned, variance } = evaluation;
  switch (harmsBeyondPromise(evaluation)[0]?.name) {
    case 'accuracy':
      return { max_accuracy_drop: 0.01 };
    case 'variance': {
      // The drift at which the unexplained share would be that.
      const share = Math.sqrt(UNEXPLAINED / (1 - (variance?.explained ?? 0)));
      return { max_relative_l2: Number(((pruned.relative_l2 ?? 0) * share).toPrecision(2)) };
    }
    default:
      return boundOf(evaluation);
  }
}

function repaired({ repair }: ReportedRecipe, { model }: Undecided): NextStep[] {
  if (repair.length > 0 || model.format !== 'onnx') return [];
  return [step('Repair it with calibration data:', { repair: ['least_squares'] })];
}

function missedSteps(report: Undecided, recipe: ReportedRecipe): NextStep[] {
  const { evaluation, size_target } = report;
  const steps: NextStep[] = [];
  const search = evaluation?.search ?? null;
  if (search && !search.met) steps.push(...missedQuality(report.evaluation as Evaluation, search));
  if (size_target?.met === false)
    steps.push(
      step('Allow the size that was reached:', {
        target: { ...recipe.target, [size_target.name]: size_target.reached },
      }),
    );
  if (evaluation?.speed_target?.met === false)
    steps.push(
      step('Ask for less speed, or run it while nothing else computes:', {
        target: {
          ...recipe.target,
          [evaluation.speed_target.name]: Number(
            number(
              evaluation.speed_target.name === 'min_speedup'
                ? evaluation.speed_target.low
                : evaluation.speed_target.high,
            ),
          ),
        },
      }),
    );
  return [
    ...steps,
    ...repaired(recipe, report),
    step('Or have a recipe found for the same promise:', null, NEW_SEARCH),
  ].slice(0, 4);
}

function missedQuality(evaluation: Evaluation, { target }: NonNullable<Evaluation['search']>): NextStep[] {
  const { dense, pruned } = evaluation;
  const asked = targetOf({ target });
  if (asked === null) return [];
  const excess = excessOver(target, dense, pruned);
  if (target.confidence !== undefined && excess <= 0) {
    const { likely } = samplesNeeded(evaluation) ?? { likely: null };
    const isMore = likely !== null && likely > samplesGiven(evaluation);
    return [step(`Give more evaluation samples${isMore ? `, about ${count(likely)} in all` : ''}.`)];
  }
  const unit = asked.name === 'max_loss_increase' ? (dense.loss ?? 1) : 1;
  const wanted = Number((ROOM * (asked.limit + excess / unit)).toPrecision(2));
  const { max, isMaxAllowed } = TARGETS[asked.name];
  const isPossible = Number.isFinite(wanted) && (isMaxAllowed ? wanted <= max : wanted < max);
  return isPossible ? [step('Allow what it takes:', { target: { ...target, [asked.name]: wanted } })] : [];
}

function unsafeSteps(
  reasons: readonly UnsafeReason[],
  { target }: ReportedRecipe,
  evaluation: Evaluation | null,
): NextStep[] {
  const steps: NextStep[] = [];
  const isAboutData = reasons.includes('doubtful_data') || reasons.includes('dense_guesses');
  if (isAboutData)
    steps.push(
      step(
        'Check that labels and samples are in the same order and inputs are scaled as in training; then run it again:',
        null,
        NEW_JOB,
      ),
    );
  if (reasons.includes('layer_emptied'))
    steps.push(step('Keep a part of every layer:', { min_density: FLOOR }));
  else if (!isAboutData)
    steps.push(
      step('Remove less: bound what it may cost, and keep a part of every layer:', {
        target: target ?? boundOf(evaluation),
        min_density: FLOOR,
      }),
    );
  return steps;
}
