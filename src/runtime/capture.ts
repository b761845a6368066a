import { EmpError } from '../core/errors.ts';
import type { Fetched } from '../formats/numbers.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import { makeScratchFolder } from '../formats/scratch-folder.ts';
import { GraphAppendix, writeAppended } from '../graph/appendix.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import { appendSums, type Channels, type Reduction } from '../graph/passes/append-sums.ts';
import type { Activations } from '../graph/weights/weight-sites.ts';
import { type Batch, nameSamples, planBatches, readBatches, runBatch } from './batches.ts';
import type { ModelRun } from './model-run.ts';
import { openSession } from './session.ts';
import { splitPasses } from './split-passes.ts';

export interface CaptureRequest {
  readonly activations: Activations | Channels;
  readonly reduction: Reduction;
  /** The weight whose layer's activations they are, and which, for errors. */
  readonly tensor: string;
  readonly side: 'input' | 'output';
}

/** Over all samples and positions, per feature. */
export interface FeatureSums {
  readonly sums: Float64Array;
  /** Of how many numbers each sum is. */
  readonly counts: Float64Array;
}

/** How much one pass over the samples captures. */
export interface CaptureLimits {
  readonly values: number;
  readonly features: number;
}

/** The sums of 256 values are fetched in well under a millisecond, and a million features take 8 MB. */
const LIMITS: CaptureLimits = { values: 256, features: 2 ** 20 };

export interface CaptureContext extends ModelRun {
  readonly samples: SampleSet;
  readonly limits?: CaptureLimits;
}

/** Requests for the same sums, and these. */
interface Capture extends FeatureSums {
  readonly request: CaptureRequest;
}

/**
 * Sums over the activations of inner values, in the order of `requests`. The model runs with reductions appended to its graph, in float64, so
 * that activations never leave onnxruntime; what does not fit one pass over the samples is captured in several.
 * @throws EmpError non_finite_activation naming the value and the samples, and what `openSession` and `planBatches` throw
 */
export async function captureSums(
  model: OnnxModel,
  requests: readonly CaptureRequest[],
  context: CaptureContext,
): Promise<FeatureSums[]> {
  const captures = new Map<string, Capture>();
  const wanted = requests.map((request) => {
    const { size } = request.activations;
    const key = JSON.stringify([request.activations, request.reduction]);
    const capture = captures.get(key) ?? {
      request,
      sums: new Float64Array(size),
      counts: new Float64Array(size),
    };
    captures.set(key, capture);
    return capture;
  });
  const order = new Map(model.graph.nodes.map((node, index) => [node, index]));
  const depthOf = ({ request }: Capture) => {
    const producer = model.graph.find(request.activations.value)?.producer;
    return (producer && order.get(producer)) ?? -1;
  };
  const sorted = [...captures.values()].sort((a, b) => depthOf(a) - depthOf(b));
  const { features, values } = context.limits ?? LIMITS;
  const passes = splitPasses(sorted, ({ sums }) => sums.length, features, values);
  for (const pass of passes) await runPass(model, pass, context);
  return wanted;
}

async function runPass(model: OnnxModel, pass: readonly Capture[], context: CaptureContext): Promise<void> {
  const { scratchDirectory, samples, runtime, signal } = context;
  const appendix = new GraphAppendix(model);
  // onnxruntime runs what is listed last first, with all that it needs: so every activation is reduced as soon as it is there, and freed.
  const fetched = pass.toReversed().map((capture) => {
    const { activations, reduction } = capture.request;
    return { capture, ...appendSums(appendix, activations, reduction) };
  });
  const names = fetched.flatMap(({ sums, counts, size }) => [sums, counts ?? [], size].flat());
  await using scratch = await makeScratchFolder(scratchDirectory, 'capture-');
  const path = await writeAppended(context.model, appendix.toBytes(), scratch.path);
  await using session = await openSession(path, runtime);
  const bytesOf = (results: ReadonlyMap<string, Fetched>) =>
    Math.max(...fetched.map(({ size }) => countOf(results.get(size)) * Float64Array.BYTES_PER_ELEMENT));
  const outputs = model.graph.outputs.map(({ name }) => name);
  const plan = await planBatches(session, samples, names, signal, bytesOf, outputs);
  const { size: batchSize, ofOne, ofTwo } = plan;
  // A value that is the same however many samples there are, such as embeddings of positions, counts once for each of them.
  const isShared = (size: string) =>
    ofOne !== null &&
    ofTwo !== null &&
    countOf(ofOne.get(size)) > 0 &&
    countOf(ofTwo.get(size)) === countOf(ofOne.get(size));
  const shared = new Set(fetched.flatMap(({ size }) => (isShared(size) ? [size] : [])));
  for await (const batch of readBatches(samples, batchSize, signal)) {
    const results = await runBatch(session, batch, names);
    for (const { capture, sums, counts, size } of fetched) {
      const numbers = {
        sums: results.get(sums),
        counts: counts === null ? countOf(results.get(size)) / capture.sums.length : results.get(counts),
      };
      accumulate(capture, numbers, shared.has(size) ? batch.count : 1, batch);
    }
    context.onSamples(batch.count);
  }
}

/** What a batch adds; counts are the same for all features, or fetched. */
interface BatchNumbers {
  readonly sums: Fetched | undefined;
  readonly counts: Fetched | number | undefined;
}

function accumulate(
  capture: Capture,
  { sums: batchSums, counts: batchCounts }: BatchNumbers,
  times: number,
  batch: Batch,
): void {
  const { sums, counts, request } = capture;
  const values = batchSums?.data;
  if (!(values instanceof Float64Array) || values.length !== sums.length) {
    throw new TypeError(`unexpected sums of ${request.activations.value}`);
  }
  let total = 0;
  for (let feature = 0; feature < sums.length; feature++) {
    sums[feature] += times * values[feature];
    total += values[feature];
  }
  if (!Number.isFinite(total)) {
    const { activations, tensor, side } = request;
    const message = `the ${side} of its layer (value ${activations.value}) has NaN, infinite or too large numbers for ${nameSamples(batch)}`;
    throw new EmpError('non_finite_activation', `${tensor}: ${message}`, [{ path: tensor, message }]);
  }
  for (let feature = 0; feature < counts.length; feature++)
    counts[feature] +=
      times * (typeof batchCounts === 'number' ? batchCounts : Number(batchCounts?.data[feature]));
}

/** The number that a fetched `Size` is. */
function countOf(size: Fetched | undefined): number {
  if (size === undefined) throw new TypeError('the sizes of activations are fetched with their sums');
  return Number(size.data[0]);
}
