import { EmpError } from '../core/errors.ts';
import { partOf, type SampleSet } from '../formats/sample-set.ts';
import { mainPath, type StoredModel } from '../formats/stored-model.ts';
import { readStoredGraph } from '../graph/interface.ts';
import { findLabelAxis, type LabelLayout, type LossKind, shapeBySample } from '../graph/label-layout.ts';
import { chooseOutput, comparableOutputs, finalNode, withoutFunctions } from '../graph/measured-output.ts';
import { readFirstBatch } from './batches.ts';
import type { DriftErrors } from './drift.ts';
import { farthestOf, type OutputFigures, type OutputRisk } from './farthest-outputs.ts';
import { holdAgainstLabels, scoreLabels, scoreModel } from './label-runs.ts';
import type { LabelErrors, LabelScores } from './label-scores.ts';
import type { LabelledOutput } from './labelled-output.ts';
import { isOpenedTwice, type Latency, type LatencyOptions, measureLatency } from './latency.ts';
import { type Metrics, NOT_MEASURED } from './model-metrics.ts';
import type { ModelRun } from './model-run.ts';
import {
  type ComparedOutput,
  type Look,
  lookAtOutputs,
  lossTooLarge,
  measureDrift,
  NO_ERRORS,
  notFinite,
  type Setup,
} from './output-drift.ts';
import { type Constancy, VARIES } from './output-spread.ts';
import { planRuns, type RunOutput } from './plan-runs.ts';
import { type ModelSession, openSession } from './session.ts';

/** With labels the loss, an accuracy unless the loss is of squared errors, and their standard errors; without labels, or where it is asked for, the drift. */
export interface Measurement extends Metrics, LabelErrors, DriftErrors {}

/** What was measured of a model, and sample by sample what a target bounds; of what was measured alone. */
export interface Comparison extends Constancy {
  readonly measurement: Measurement;
  /** Of drift by output, of labels of the one that they go with. */
  readonly risks: { readonly [metric in keyof Metrics]?: readonly OutputRisk[] };
  /** The drift by output; null where it is of one, or not measured. */
  readonly byOutput: readonly OutputFigures[] | null;
  /** Whether the dense model predicts the same everywhere; false where predictions are not compared. */
  readonly isOneAnswer: boolean;
}

/** The dense model, and what every model is measured on. */
interface EvaluatorContext extends ModelRun {
  readonly samples: SampleSet;
  /** Whether the drift is wanted beside what labels tell; without labels it always is. */
  readonly wantsDrift?: boolean;
  /** Whether the drift is to have the divergence of the output's entries as classes. */
  readonly wantsDivergence?: boolean;
  /** Whether it is to have the cosine distance of the output's vectors. */
  readonly wantsDirections?: boolean;
}

/** An output on which models are compared, and what it is like. */
interface LookedAt {
  readonly output: ComparedOutput;
  readonly look: Look;
}

/** What pruned models are compared with: the scores of every sample, the model itself, or both. */
interface Reference {
  readonly scored: { readonly scores: LabelScores; readonly labelled: LabelledOutput } | null;
  readonly session: ModelSession | null;
}

/**
 * The dense model on the evaluation data, and pruned ones compared with it. At most two models are in memory; three while latency is
 * measured at another level than `all` beside the drift, for which the dense model stays open, and one more where that is small.
 */
export class Evaluator implements AsyncDisposable {
  /** All null without labels. */
  readonly dense: Metrics;
  /** Null without labels. */
  readonly lossKind: LossKind | null;
  /** How labels and output go together; null without labels. */
  readonly labelLayout: LabelLayout | null;
  /** Name of the output that labels go with, or else of the first that is compared. */
  readonly output: string;
  readonly nSamples: number;
  /** Labels that count, of samples or of their positions: not those of -100. */
  readonly nPositions: number;
  /** Positions of a sample, at most: labels, or without any those of the output. */
  readonly positionsPerSample: number;
  /** Samples of which something counts. */
  readonly nCounted: number;
  /** The outputs on which models are compared with the dense one; none where the drift is not measured. */
  readonly compared: readonly LookedAt[];
  readonly #setup: Setup;
  readonly #reference: Reference;

  private constructor(setup: Setup, reference: Reference, compared: readonly LookedAt[]) {
    const [{ nSamples }, scores] = [setup.samples, reference.scored?.scores];
    const positionsPerSample = compared[0]?.look.positionsPerSample ?? 0;
    this.dense = scores?.metrics ?? NOT_MEASURED;
    this.labelLayout = reference.scored?.labelled.layout ?? null;
    this.lossKind = this.labelLayout?.loss ?? null;
    this.output = setup.output;
    this.nSamples = nSamples;
    this.nPositions = scores?.nPositions ?? Math.round(positionsPerSample * nSamples);
    this.positionsPerSample = scores?.mostPerSample ?? positionsPerSample;
    this.nCounted = scores?.nCounted ?? nSamples;
    this.compared = compared;
    this.#setup = setup;
    this.#reference = reference;
  }

  /**
   * Opens the dense model and, where there are labels, measures it.
   * @throws EmpError unsupported_model, execution_provider_unavailable, samples_mismatch, invalid_labels, model_run_failed,
   * non_finite_activation for a dense model whose output is not finite; the signal's reason when aborted
   */
  static async open(context: EvaluatorContext): Promise<Evaluator> {
    const { model: dense, samples } = context;
    await using opened = new AsyncDisposableStack();
    const session = opened.use(await openSession(mainPath(dense), context.runtime));
    const isCompared = samples.labels === null || context.wantsDrift === true;
    const names = isCompared ? comparableOutputs(session.outputs) : [chooseOutput(session.outputs)];
    const { batchSize, outputs } = await planRuns(session, samples, names, context.signal);
    const [{ name: output, axis: outputAxis }] = outputs;
    const setup: Setup = { ...context, output, batchSize, outputAxis };
    const compared = isCompared ? await lookAt(session, outputs, setup, context) : [];
    const kept = isCompared ? session : null;
    if (samples.labels === null) {
      const evaluator = new Evaluator(setup, { scored: null, session: kept }, compared);
      opened.move(); // the evaluator keeps the session
      return evaluator;
    }
    const axis = findLabelAxis(samples.labels, samples.nStored ?? samples.nSamples, outputAxis);
    const labels = { ...samples.labels, axis };
    const labelledSetup = { ...setup, samples: { ...samples, labels } };
    const shape = shapeBySample(labels.shape, axis);
    const labelled = await holdAgainstLabels(session, { dtype: labels.dtype, shape }, labelledSetup);
    const scores =
      labelled.appendix === null
        ? await scoreLabels(session, labelled, labelledSetup)
        : await scoreModel(dense, labelled, labelledSetup);
    if (scores.nPositions === 0)
      throw new EmpError(
        'invalid_labels',
        'every label is -100, so none counts: give labels of which some are class ids',
      );
    if (scores.firstNonFinite !== null) throw notFinite(labelled.title, scores.firstNonFinite);
    if (scores.metrics.loss === null) throw lossTooLarge();
    const reference = { scored: { scores, labelled }, session: kept };
    const [first, ...others] = compared;
    const labelLoss = labelled.layout.loss;
    const marked = first ? [{ ...first, output: { ...first.output, labelLoss } }, ...others] : [];
    const evaluator = new Evaluator(labelledSetup, reference, marked);
    if (kept) opened.move();
    return evaluator;
  }

  /** Whether the drift is measured. */
  get measuresDrift(): boolean {
    return this.#reference.session !== null;
  }

  /** Of every sample, how many labels of it count; null without labels. */
  get countedLabels(): Float64Array | null {
    return this.#reference.scored?.scores.counted ?? null;
  }

  /** The same of some of the samples alone, by their places among these. The dense model is not run again; it is open as long as this is. */
  part(places: Uint32Array): Evaluator {
    const { scored, session } = this.#reference;
    const part = scored && { ...scored, scores: scored.scores.part(places) };
    const setup = { ...this.#setup, samples: partOf(this.#setup.samples, places) };
    return new Evaluator(setup, { scored: part, session }, this.compared);
  }

  /** With the axis that counts their labels. */
  get samples(): SampleSet {
    return this.#setup.samples;
  }

  /** Measures a model that has the dense one's inputs and outputs; outputs that are not finite give null. */
  async measure(pruned: StoredModel): Promise<Measurement> {
    return (await this.compare(pruned)).measurement;
  }

  /** As `measure`, with what it was measured from. */
  async compare(pruned: StoredModel): Promise<Comparison> {
    const { scored, session: dense } = this.#reference;
    const labelled = scored && (await scoreModel(pruned, scored.labelled, this.#setup));
    const drift = dense && (await this.#driftOf(pruned, dense));
    const { loss, accuracy, perplexity } = labelled?.metrics ?? NOT_MEASURED;
    const measurement = {
      ...(drift?.metrics ?? NOT_MEASURED),
      ...{ loss, accuracy, perplexity },
      ...NO_ERRORS,
      ...(scored && labelled?.standardErrors(scored.scores)),
      ...drift?.standardErrors,
    };
    const { positionsPerSample } = this;
    const ofLabels = Object.entries((scored && labelled?.risksAgainst(scored.scores)) ?? {});
    const risks = {
      ...Object.fromEntries(ofLabels.map(([metric, risk]) => [metric, [{ ...risk, positionsPerSample }]])),
      ...drift?.risks,
    };
    const { isOneAnswer = false, byOutput = null } = drift ?? {};
    const constancy = (scored && labelled?.constancyBeside(scored.scores, drift)) ?? drift ?? VARIES;
    const { isConstant, variance } = constancy;
    return { measurement, risks, isOneAnswer, isConstant, variance, byOutput };
  }

  async #driftOf(pruned: StoredModel, dense: ModelSession): Promise<ReturnType<typeof farthestOf>> {
    await using session = await openSession(mainPath(pruned), this.#setup.runtime);
    const outputs = this.compared.map(({ output }) => output);
    const drifts = await measureDrift(dense, session, outputs, this.#setup); // awaited before the session goes
    return farthestOf(this.compared.map((compared, place) => ({ ...compared, drift: drifts[place] })));
  }

  /** Of the first samples, both models at the same level of onnxruntime's optimizations. */
  async latency(model: StoredModel, options: LatencyOptions = {}): Promise<Latency> {
    const { samples, runtime, output, signal } = this.#setup;
    const { level: graphOptimizationLevel = 'all', batchSize = this.#setup.batchSize, patience } = options;
    await using opened = new AsyncDisposableStack();
    const open = async (stored: StoredModel) =>
      opened.use(await openSession(mainPath(stored), runtime, { graphOptimizationLevel }));
    const kept = graphOptimizationLevel === 'all' ? this.#reference.session : null;
    const dense = kept ?? (await open(this.#setup.model));
    const pruned = await open(model);
    const again = isOpenedTwice(this.#setup.model) ? await open(this.#setup.model) : dense;
    const batch = await readFirstBatch(samples, batchSize, signal);
    return await measureLatency({ dense, pruned, again }, batch, output, signal, patience); // awaited before the sessions go
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reference.session?.[Symbol.asyncDispose]();
  }
}

/** Whether a Softmax or a Sigmoid makes each of the outputs, and what they are like. */
async function lookAt(
  session: ModelSession,
  outputs: readonly RunOutput[],
  setup: Setup,
  { wantsDivergence, wantsDirections = false }: EvaluatorContext,
): Promise<LookedAt[]> {
  const { graph } = withoutFunctions(await readStoredGraph(setup.model));
  const compared = outputs.map((output): ComparedOutput => {
    const finalOp = finalNode(graph.resolve(output.name))?.op;
    const classesAs = !wantsDivergence ? null : finalOp === 'Softmax' ? 'probabilities' : 'logits';
    return { ...output, isBySide: finalOp === 'Sigmoid', classesAs, wantsDirections, labelLoss: null };
  });
  const looks = await lookAtOutputs(session, compared, setup);
  return compared.map((output, place) => ({ output, look: looks[place] }));
}
