import { EmpError } from '../core/errors.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import type { Labels } from '../graph/label-layout.ts';
import { axisToFront } from './along-axis.ts';
import { nameSamples, readBatches, readFirstBatch } from './batches.ts';
import { LabelScores } from './label-scores.ts';
import { findLabelledOutput, type LabelledOutput, openLabelled } from './labelled-output.ts';
import { SMALLEST, toFloats } from './model-metrics.ts';
import { runMeasured, type Setup } from './output-drift.ts';
import type { ModelSession } from './session.ts';

/** How the labels go with the output, by the shape that it has of the first batch. */
export async function holdAgainstLabels(
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
      `output '${output}' of ${batch.count} samples has shape [${shape}]: an axis must count the samples, so export the model with a dynamic one`,
    );
  }
  return findLabelledOutput(model, output, shape, outputAxis, labels);
}

export async function scoreModel(
  model: StoredModel,
  labelled: LabelledOutput,
  setup: Setup,
): Promise<LabelScores> {
  await using session = await openLabelled(model, labelled, setup);
  return await scoreLabels(session, labelled, setup); // awaited before the session goes
}

export async function scoreLabels(
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
      order: batch.order,
      smallestProbability: isProbabilities ? SMALLEST[fetched.dtype] : null,
    });
    onSamples(batch.count);
  }
  return scores;
}
