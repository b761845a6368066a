import { EmpError } from '../core/errors.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import { mainPath, type StoredModel } from '../formats/stored-model.ts';
import { findLabelAxis, type Labels, type LossKind, shapeBySample } from '../graph/label-layout.ts';
import { chooseOutput } from '../graph/measured-output.ts';
import { axisToFront } from './along-axis.ts';
import { nameSamples, readBatches, readFirstBatch } from './batches.ts';
import type { Drift } from './drift.ts';
import { LabelScores, type StandardErrors } from './label-scores.ts';
import { findLabelledOutput, type LabelledOutput, openLabelled } from './labelled-output.ts';
import { type Latency, measureLatency } from './latency.ts';
import { type Metrics, NOT_MEASURED, SMALLEST, toFloats } from './model-metrics.ts';
import type { ModelRun } from './model-run.ts';
import { lookAtOutput, measureDrift, notFinite, runMeasured, type Setup } from './output-drift.ts';
import { planRuns } from './plan-runs.ts';
import { type ModelSession, openSession, type SessionOptions } from './session.ts';

/** With labels the loss, an accuracy unless the loss is of squared errors, and their standard errors; without labels, or where it is asked for, the drift. */
export interface Measurement extends Metrics, StandardErrors {}

/** Of onnxruntime's optimizations, those that models are served with. */
type LatencyLevel = Exclude<SessionOptions['graphOptimizationLevel'], 'disabled' | undefined>;

/** The dense model, and what every model is measured on. */
interface EvaluatorContext extends ModelRun {
  readonly samples: SampleSet;
  /** Whether the drift is wanted beside what labels tell; without labels it always is. */
  readonly wantsDrift?: boolean;
}

/** What pruned models are compared with: the scores of every sample, the model itself, or both. */
interface Reference {
  readonly scored: { readonly scores: LabelScores; readonly labelled: LabelledOutput } | null;
  readonly session: ModelSession | null;
}

/**
 * The dense model on the evaluation data, and pruned ones compared with it. At most two models are in memory; three while latency is
 * measured at another level than `all` beside the drift, for which the dense model stays open.
 */
export class Evaluator implements AsyncDisposable {
  /** All null without labels. */
  readonly dense: Metrics;
  /** Null without labels. */
  readonly lossKind: LossKind | null;
  /** Name of the output measured. */
  readonly output: string;
  readonly nSamples: number;
  /** Labels that count: of samples, or of their positions, without those of label -100. */
  readonly nPositions: number;
  /** Entries of the output's last axis, of which one is the largest; null where the drift is not measured. */
  readonly classes: number | null;
  readonly #setup: Setup;
  readonly #reference: Reference;

  private constructor(setup: Setup, reference: Reference, nPositions: number, classes: number | null) {
    this.dense = reference.scored?.scores.metrics ?? NOT_MEASURED;
    this.lossKind = reference.scored?.labelled.layout.loss ?? null;
    this.output = setup.output;
    this.nSamples = setup.samples.nSamples;
    this.nPositions = nPositions;
    this.classes = classes;
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
    const output = chooseOutput(session.outputs);
    const run = await planRuns(session, samples, output, context.signal);
    const setup = { ...context, output, ...run };
    const isCompared = samples.labels === null || context.wantsDrift === true;
    const { nPositions, classes } = isCompared
      ? await lookAtOutput(session, setup)
      : { nPositions: 0, classes: null };
    const kept = isCompared ? session : null;
    if (samples.labels === null) {
      const evaluator = new Evaluator(setup, { scored: null, session: kept }, nPositions, classes);
      opened.move(); // the evaluator keeps the session
      return evaluator;
    }
    const axis = findLabelAxis(samples.labels, samples.nSamples, run.outputAxis);
    const labels = { ...samples.labels, axis };
    const labelledSetup = { ...setup, samples: { ...samples, labels } };
    const shape = shapeBySample(labels.shape, axis);
    const labelled = await holdAgainstLabels(session, { dtype: labels.dtype, shape }, labelledSetup);
    const scores =
      labelled.appendix === null
        ? await scoreLabels(session, labelled, labelledSetup)
        : await scoreModel(dense, labelled, labelledSetup);
    if (scores.nPositions === 0) throw new EmpError('invalid_labels', 'every label is -100: none counts');
    if (scores.firstNonFinite !== null) throw notFinite(labelled.title, scores.firstNonFinite);
    if (scores.metrics.loss === null)
      throw new EmpError('non_finite_activation', 'the loss of the dense model is too large for a float64');
    const reference = { scored: { scores, labelled }, session: kept };
    const evaluator = new Evaluator(labelledSetup, reference, scores.nPositions, classes);
    if (kept) opened.move();
    return evaluator;
  }

  /** Whether the drift is measured. */
  get measuresDrift(): boolean {
    return this.#reference.session !== null;
  }

  /** Measures a model that has the dense one's inputs and outputs; outputs that are not finite give null. */
  async measure(pruned: StoredModel): Promise<Measurement> {
    const { scored, session: dense } = this.#reference;
    const labelled = scored && (await scoreModel(pruned, scored.labelled, this.#setup));
    const drift = dense && (await this.#driftOf(pruned, dense));
    const { loss, accuracy, perplexity } = labelled?.metrics ?? NOT_MEASURED;
    return {
      ...(drift?.metrics ?? NOT_MEASURED),
      ...{ loss, accuracy, perplexity },
      loss_increase_standard_error: null,
      accuracy_drop_standard_error: null,
      ...(scored && labelled?.standardErrors(scored.scores)),
    };
  }

  async #driftOf(pruned: StoredModel, dense: ModelSession): Promise<Drift> {
    await using session = await openSession(mainPath(pruned), this.#setup.runtime);
    return await measureDrift(dense, session, this.#setup); // awaited before the session goes
  }

  /** Of the first batch, both models at the same level of onnxruntime's optimizations. */
  async latency(model: StoredModel, graphOptimizationLevel: LatencyLevel = 'all'): Promise<Latency> {
    const { samples, runtime, output, batchSize, signal } = this.#setup;
    await using opened = new AsyncDisposableStack();
    const open = async (stored: StoredModel) =>
      opened.use(await openSession(mainPath(stored), runtime, { graphOptimizationLevel }));
    const kept = graphOptimizationLevel === 'all' ? this.#reference.session : null;
    const dense = kept ?? (await open(this.#setup.model));
    const pruned = await open(model);
    const batch = await readFirstBatch(samples, batchSize, signal);
    return await measureLatency(dense, pruned, batch, output, signal); // awaited before the sessions go
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reference.session?.[Symbol.asyncDispose]();
  }
}

/** How the labels go with the output, by the shape that it has of the first batch. */
async function holdAgainstLabels(
  session: ModelSession,
  labels: Labels,
  setup: Setup,
): Promise<LabelledOutput> {
  const { samples, output, outputAxis, model } = setup;
  const batch = await readFirstBatch(samples, setup.batchSize, setup.signal);
  const { shape } = await runMeasured(session, batch, output);
  if (outputAxis === null ? batch.count !== 1 : shape[outputAxis] !== batch.count) {
    throw new EmpError(
      'samples_mismatch',
      `output '${output}' of ${batch.count} samples has shape [${shape}]: an axis must count the samples`,
    );
  }
  return findLabelledOutput(model, output, shape, outputAxis, labels);
}

async function scoreModel(model: StoredModel, labelled: LabelledOutput, setup: Setup): Promise<LabelScores> {
  await using session = await openLabelled(model, labelled, setup);
  return await scoreLabels(session, labelled, setup); // awaited before the session goes
}

async function scoreLabels(
  session: ModelSession,
  { layout, fetched: name, isProbabilities, title, shape }: LabelledOutput,
  { samples, batchSize, outputAxis, signal, onSamples }: Setup,
): Promise<LabelScores> {
  const scores = new LabelScores(samples.nSamples, layout);
  for await (const batch of readBatches(samples, batchSize, signal)) {
    const fetched = await runMeasured(session, batch, name);
    const labels = batch.labels ?? new Float64Array();
    if (fetched.data.length !== labels.length * layout.classes) {
      throw new EmpError(
        'samples_mismatch',
        `${title} has shape [${fetched.shape}] for ${nameSamples(batch)}, other than for the first samples`,
      );
    }
    // What is fetched may be the output in another shape.
    const ordered = outputAxis
      ? axisToFront({ ...fetched, shape: shape.with(outputAxis, batch.count) }, outputAxis)
      : fetched;
    scores.add({
      numbers: toFloats(ordered),
      labels,
      start: batch.start,
      smallestProbability: isProbabilities ? SMALLEST[fetched.dtype] : null,
    });
    onSamples(batch.count);
  }
  return scores;
}
