import { EmpError } from '../core/errors.ts';
import { RandomWords } from '../core/random-words.ts';
import { elementCount } from '../formats/model.ts';
import type { Fetched } from '../formats/numbers.ts';
import { makeScratchFolder } from '../formats/scratch-folder.ts';
import { readBatches, readFirstBatch, repeatSample, runBatch } from '../runtime/batches.ts';
import { openSession } from '../runtime/session.ts';
import { createCurvatureGraph } from './gradient-graph.ts';
import {
  GRADIENT_SESSION,
  type GradientContext,
  type GradientSetup,
  gradientBatchSize,
  gradientGraphOf,
  lossFeeds,
  noneCounts,
  probeSizes,
  setUpGradients,
  weightShape,
} from './gradient-setup.ts';
import { writePrepared } from './prepare.ts';
import { probeValues } from './probe.ts';
import { rademacher } from './rademacher.ts';

/** What the random vectors of every estimate are drawn from, so that it comes out the same again. */
const SEED = 20250925;

/** onnxruntime 1.30 takes a Pad before a Conv into the Conv's own pads even where what is padded is the kernel. */
const CURVATURE_SESSION = { ...GRADIENT_SESSION, disabledOptimizers: ['Pad_Fusion'] } as const;

/** Hutchinson's estimate of the trace of the Hessian of the mean loss. */
export interface TraceEstimate {
  /** Mean of `products`. */
  readonly trace: number;
  /** Of the mean: `s / sqrt(n)`; null of a single product. */
  readonly standardError: number | null;
  /** `v' H v` of each vector v. */
  readonly products: readonly number[];
}

/**
 * Estimates the trace of the Hessian of the mean loss (over all positions that count) with respect to `weights`, names of the model's inventory, from `probes` vectors of
 * independent signs: the mean of `v' H v` is the trace (Hutchinson 1990). The signs are `rademacher` of one `RandomWords`, vector after vector and in each of them weight after weight.
 * `v' H v` comes out of the graph, for all weights at once: a pass over the samples takes about three times what gradients take, and onnxruntime holds a few
 * numbers for every weight. Rectifiers have no curvature at their kinks, here as in every framework.
 * @throws EmpError as `accumulateGradients`
 */
export async function estimateTrace(
  weights: readonly string[],
  probes: number,
  context: GradientContext,
  seed = SEED,
): Promise<TraceEstimate> {
  await using scratch = await makeScratchFolder(context.scratchDirectory, 'curvature-');
  const setup = await setUpGradients(context, scratch.path);
  const { prepared } = setup;
  const { samples, signal, runtime } = setup.context;
  const gradients = gradientGraphOf(weights, setup);
  const { loss } = gradients;
  const sample = await readFirstBatch(samples, 1, signal);
  const runs = probeSizes(setup.fixedBatch).map((count) =>
    lossFeeds(repeatSample(sample, count, samples), setup, loss),
  );
  const facts = await probeValues(prepared, gradients.proto, runs, runtime);
  const { proto, vectors, curvature } = createCurvatureGraph(prepared, gradients, facts);
  if (curvature === null) return summarize(Array(probes).fill(0));

  const path = await writePrepared(prepared, proto, 'curvature');
  await using session = await openSession(path, runtime, CURVATURE_SESSION);
  const words = new RandomWords(seed);
  const products: number[] = [];
  for (let probe = 0; probe < probes; probe++) {
    const signs = drawSigns(vectors, setup, words);
    let [product, total] = [0, 0];
    for await (const batch of readBatches(samples, gradientBatchSize(setup, facts.elements), signal)) {
      const feeds = new Map([...lossFeeds(batch, setup, loss), ...signs]);
      const results = await runBatch(session, { ...batch, feeds }, [loss.count, curvature]);
      product += Number(results.get(curvature)?.data[0]);
      total += Number(results.get(loss.count)?.data[0]);
      context.onSamples(batch.count);
    }
    if (total === 0) throw noneCounts();
    if (!Number.isFinite(product)) {
      throw new EmpError('non_finite_activation', "the loss's second derivatives are NaN or infinite");
    }
    products.push(product / total);
  }
  return summarize(products);
}

/** One vector, in parts by graph input. */
function drawSigns(
  vectors: ReadonlyMap<string, string>,
  setup: GradientSetup,
  words: RandomWords,
): Map<string, Fetched> {
  return new Map(
    [...vectors].map(([weight, input]): [string, Fetched] => {
      const shape = weightShape(weight, setup);
      return [input, { dtype: 'float32', shape, data: rademacher(words, elementCount(shape)) }];
    }),
  );
}

function summarize(products: readonly number[]): TraceEstimate {
  const n = products.length;
  const trace = products.reduce((sum, product) => sum + product, 0) / n;
  const variance = products.reduce((sum, product) => sum + (product - trace) ** 2, 0) / (n - 1);
  return { trace, standardError: n > 1 ? Math.sqrt(variance / n) : null, products };
}
