import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGradientGraph } from '../src/autodiff/gradient-graph.ts';
import {
  GRADIENT_SESSION,
  gradientBatchSize,
  lossFeeds,
  setUpGradients,
} from '../src/autodiff/gradient-setup.ts';
import { writePrepared } from '../src/autodiff/prepare.ts';
import { readStoredModel } from '../src/graph/inventory.ts';
import { readFirstBatch } from '../src/runtime/batches.ts';
import { type Feeds, type ModelSession, openSession } from '../src/runtime/session.ts';
import { fixtureSamples } from '../test/runtime/samples.ts';

/** The gradient graph of a fixture's prunable weights, as the service makes it. */
export interface FixtureGradients extends AsyncDisposable {
  /** Weights, as golden.json lists them. */
  readonly weights: readonly string[];
  /** The summed loss, then the gradients of it in the order of `weights`. */
  readonly fetches: readonly string[];
  /** Samples of a batch that the service would take. */
  readonly batchSize: number;
  open(threads: number): Promise<ModelSession>;
  /** The first `samples` of the calibration data, and their labels. */
  feedsOf(samples: number): Promise<Feeds>;
}

/** @param fixtures folder that holds the fixtures' folders */
export async function openFixtureGradients(fixtures: string, fixture: string): Promise<FixtureGradients> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-bench-'));
  const stored = join(fixtures, fixture);
  const { prunable } = JSON.parse(await readFile(join(stored, 'golden.json'), 'utf8'));
  const weights = Object.keys(prunable);
  const { labels, ...samples } = await fixtureSamples(fixture, 'calibration');
  if (labels === null) throw new TypeError(`${fixture} without labels`);
  const runtime = (threads: number) => ({ providers: ['cpu' as const], threads });
  const { signal } = new AbortController();
  const context = {
    model: await readStoredModel(stored, ['model.onnx']),
    scratchDirectory: directory,
    samples: { ...samples, labels },
    runtime: runtime(1),
    signal,
    onSamples: () => {},
  };
  const setup = await setUpGradients(context, directory);
  const { prepared, facts, output } = setup;
  const { proto, loss, gradients } = createGradientGraph(prepared, facts, output, labels, weights);
  const path = await writePrepared(prepared, proto, 'gradients');
  return {
    weights,
    fetches: [loss.loss, ...weights.map((weight) => gradients.get(weight) ?? '')],
    batchSize: gradientBatchSize(setup, facts.elements),
    open: (threads) => openSession(path, runtime(threads), GRADIENT_SESSION),
    feedsOf: async (count) => lossFeeds(await readFirstBatch(context.samples, count, signal), setup, loss),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}
