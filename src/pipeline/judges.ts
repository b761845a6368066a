import { EmpError, type SampleInput } from '../core/errors.ts';
import { partOf, type SampleSet } from '../formats/sample-set.ts';
import { modelInputs, readStoredGraph } from '../graph/interface.ts';
import { comparesOutputs } from '../recipe/needs.ts';
import { targetOf } from '../recipe/target.ts';
import { LOSSES } from '../recipe/terms.ts';
import { fixedBatchSize } from '../runtime/batches.ts';
import { hasPredictions } from '../runtime/drift.ts';
import { Evaluator } from '../runtime/evaluation.ts';
import {
  namingData,
  targetWithoutAccuracy,
  targetWithoutClasses,
  tooFewThatCount,
  unlikeSelection,
} from './data-errors.ts';
import { REPORTED_SHARE, refuseTooFew } from './promise-test.ts';
import type { PruneJob } from './prune-job.ts';
import { sampleWork } from './sample-work.ts';
import { splitSamples } from './split-samples.ts';

/** Of the calibration samples, where repairs are fitted to the others. */
const HELD_OUT_SHARE = 1 / 8;

/** The dense model on the samples that choices are made on, and on those that the report is of. What is chosen on is never what is reported. */
export class Judges implements AsyncDisposable {
  /** Of all samples of each set, in halves or not. */
  readonly sets: readonly { readonly data: 'evaluation' | 'selection'; readonly evaluator: Evaluator }[];
  /** Of those that which beta, and whether a repair helped, is decided on. */
  readonly choosing: Evaluator;
  /** Of those that figures are reported of; no choice sees them. */
  readonly reporting: Evaluator;
  /** Calibration samples that repairs are fitted to; null without any. */
  readonly fitted: SampleSet | null;
  /** Why no repair can be judged; null where each can. */
  readonly problem: string | null;
  /** By which the evaluation samples were halved; null where they were not. */
  readonly seed: number | null;
  readonly #opened: AsyncDisposable;

  private constructor(
    judges: Pick<Judges, 'sets' | 'choosing' | 'reporting' | 'fitted' | 'problem' | 'seed'>,
    opened: AsyncDisposable,
  ) {
    this.sets = judges.sets;
    this.choosing = judges.choosing;
    this.reporting = judges.reporting;
    this.fitted = judges.fitted;
    this.problem = judges.problem;
    this.seed = judges.seed;
    this.#opened = opened;
  }

  /**
   * Measures the dense model on the evaluation data. With a target choices are made on the selection data, or without any on one half of the evaluation data, which are split once, by the recipe's seed;
   * without a target all are reported, and whether a repair helped is decided on calibration samples that it was not fitted to.
   * @returns null without evaluation data
   * @throws EmpError `invalid_request` for a target of an accuracy that the data do not give, or data that cannot be split; selection data that are measured otherwise; a model that cannot be run
   */
  static async open(job: PruneJob): Promise<Judges | null> {
    const { recipe, evaluation, selection, calibration } = job.input;
    if (evaluation === null) return null;
    job.clock.enter('evaluate');
    await using opened = new AsyncDisposableStack();
    const all = opened.use(await openEvaluator(job, evaluation, 'evaluation'));
    const sets: Judges['sets'][number][] = [{ data: 'evaluation', evaluator: all }];
    let [choosing, reporting, fitted] = [all, all, calibration];
    let problem: string | null = null;
    let seed: number | null = null;
    if (recipe.target && targetOf(recipe)) {
      const atATime = await samplesAtATime(job, evaluation);
      refuseTooFew(recipe.target, evaluation.nSamples, atATime, selection === null);
      if (selection) {
        choosing = opened.use(await openEvaluator(job, selection, 'selection'));
        refuseUnlike(choosing, all);
        sets.push({ data: 'selection', evaluator: choosing });
      } else {
        seed = recipe.seed;
        const parts = splitSamples(evaluation.nSamples, atATime, REPORTED_SHARE, seed);
        if (parts) [choosing, reporting] = [all.part(parts.first), all.part(parts.second)];
      }
      if (choosing.nCounted === 0 || reporting.nCounted === 0) throw tooFewThatCount(all.nCounted);
    } else if (recipe.repair.length > 0 && calibration) {
      const atATime = await samplesAtATime(job, calibration);
      const parts = splitSamples(calibration.nSamples, atATime, HELD_OUT_SHARE, recipe.seed);
      fitted = parts ? partOf(calibration, parts.first) : calibration;
      const heldOut = parts ? partOf(calibration, parts.second) : calibration;
      const judge = await openHeldOut(job, heldOut, all);
      if (typeof judge === 'string') problem = judge;
      else choosing = opened.use(judge);
    }
    return new Judges({ sets, choosing, reporting, fitted, problem, seed }, opened.move());
  }

  /** Whether choices are made on one half of the evaluation samples. */
  get isHalved(): boolean {
    return this.seed !== null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened[Symbol.asyncDispose]();
  }
}

async function openEvaluator(job: PruneJob, samples: SampleSet, data: SampleInput): Promise<Evaluator> {
  const { recipe } = job.input;
  const target = targetOf(recipe);
  const wants = {
    wantsDrift: comparesOutputs(recipe),
    wantsDivergence: target?.name === 'max_kl',
    wantsDirections: target?.name === 'max_cosine_distance',
  };
  const context = { ...contextOf(job, samples), ...wants };
  const evaluator = await namingData(data, () => Evaluator.open(context));
  if (target?.name === 'max_accuracy_drop' && evaluator.lossKind === 'mean_squared_error')
    throw targetWithoutAccuracy(data);
  const predictions = evaluator.compared.map(({ look }) => look.prediction);
  if (target?.name === 'max_disagreement' && !predictions.some(hasPredictions))
    throw targetWithoutClasses(target.name, evaluator.output);
  if (target?.name === 'max_kl' && !predictions.some(({ divergence }) => divergence !== null))
    throw targetWithoutClasses(target.name, evaluator.output);
  if (target?.name === 'max_cosine_distance' && !predictions.some(({ vector }) => vector !== null))
    throw targetWithoutClasses(target.name, evaluator.output);
  return evaluator;
}

/** A test is chosen by the one and made on the other: losses, outputs and positions must be the same. */
function refuseUnlike(choosing: Evaluator, reporting: Evaluator): void {
  const [chosen, reported] = [choosing, reporting].map(({ lossKind }) => lossKind && LOSSES[lossKind]);
  if (chosen && reported && chosen !== reported)
    throw unlikeSelection('invalid_labels', `its labels give ${chosen}, and those of evaluation ${reported}`);
  const [chosenOn, reportedOn] = [choosing, reporting].map(({ compared, positionsPerSample }) => {
    const outputs = compared.map(({ output, look }) => `${look.positionsPerSample} of '${output.name}'`);
    return outputs.length > 0 ? outputs.join(', ') : String(positionsPerSample);
  });
  if (chosenOn !== reportedOn)
    throw unlikeSelection(
      'samples_mismatch',
      `positions of a sample are ${chosenOn}, and in evaluation ${reportedOn}`,
    );
}

/**
 * By their labels where the evaluation data have such as well, and these can be used; else by the drift.
 * @returns the reason where the dense model's outputs are not finite on these samples
 */
async function openHeldOut(
  job: PruneJob,
  samples: SampleSet,
  { lossKind }: Pick<Evaluator, 'lossKind'>,
): Promise<Evaluator | string> {
  const open = (labels: SampleSet['labels']) =>
    namingData('calibration', async () => {
      const evaluator = await Evaluator.open(contextOf(job, { ...samples, labels }));
      await using opened = new AsyncDisposableStack();
      opened.use(evaluator);
      // Only with labels has the dense model been run on all of them.
      if (labels === null) await evaluator.measure(job.input.model);
      opened.move();
      return evaluator;
    });
  const isLabelled = lossKind !== null && samples.labels !== null;
  try {
    return await open(isLabelled ? samples.labels : null);
  } catch (error) {
    if (!(error instanceof EmpError)) throw error;
    if (error.code === 'non_finite_activation') return error.message;
    if (!isLabelled || (error.code !== 'invalid_labels' && error.code !== 'samples_mismatch')) throw error;
    return await openHeldOut(job, { ...samples, labels: null }, { lossKind: null });
  }
}

function contextOf({ input, scratchDirectory, progress, signal }: PruneJob, samples: SampleSet) {
  const { model, runtime } = input;
  const onSamples = (count: number) => progress.advance(count * sampleWork(samples));
  return { model, samples, scratchDirectory, runtime, signal, onSamples };
}

async function samplesAtATime({ input: { model } }: PruneJob, samples: SampleSet): Promise<number> {
  return fixedBatchSize(modelInputs(await readStoredGraph(model)), samples) ?? 1;
}
