import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, ValueInfoProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import { modelInputs } from '../../src/graph/interface.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { finalNode } from '../../src/graph/measured-output.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import { type Feeds, type ModelSession, openSession, UNOPTIMIZED } from '../../src/runtime/session.ts';
import type { Family, Structures } from '../../src/structure/families.ts';
import { StructuredModel } from '../../src/structure/structured-model.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';
import type { TracedModel } from './analysed-model.ts';
import { relativeDifference } from './compare-values.ts';
import { createFeeds } from './model-feeds.ts';
import { maskedWhole, traceWhole, zeroedWhole } from './whole-model.ts';

/** Batches of other sizes than those that models are traced with. */
const BATCHES = [1, 5] as const;
/** Outputs of these say little once they are saturated: what they read is compared. */
const SQUASHING: readonly unknown[] = ['Sigmoid', 'Softmax', 'LogSoftmax'];
const { signal } = new AbortController();

/** What is removed of a family: the roots of some of its structures. */
export type Choice = (family: Family) => readonly number[];

/** Of every family at least one, where it has several. */
export const THREE_IN_TEN: Choice = ({ structures }) => {
  const count = structures.length < 2 ? 0 : Math.max(1, Math.floor(0.3 * structures.length));
  return Array.from({ length: count }, (_, i) => structures[(i * 7 + 1) % structures.length].root);
};

export interface CheckedRemoval {
  /** The file without the structures; it goes when the value is disposed of. */
  readonly path: string;
  readonly removed: ReadonlySet<number>;
  /** Random inputs for so many samples, where the model takes any number of them. */
  feeds(batch: number): Feeds;
  /** Largest differences of any output, relative to its largest number, from the dense model with masks and with zeros. */
  readonly masked: number;
  readonly zeroed: number;
}

/** The structures of a model in a single file. */
export async function structuresOf(path: string): Promise<Structures> {
  await using model = await openModel(path);
  return model.structures;
}

/**
 * Removes structures from the model in a single file as the service does, and holds what is left against both oracles at two batch sizes.
 * @throws EmpError for a model that does not run, before or after
 */
export async function checkRemovalOf(
  path: string,
  choose: Choice = THREE_IN_TEN,
): Promise<CheckedRemoval & AsyncDisposable> {
  await using opened = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'emp-removal-'));
  opened.defer(() => rm(directory, { recursive: true }));
  await using model = await openModel(path);
  const removed = new Set(model.structures.families.flatMap(choose));
  const { files } = await model.write(removed, directory, signal, () => false);
  const written = join(directory, files[0]);
  const whole = await traceWhole(new Uint8Array(await readFile(path)));
  const traced = { proto: whole.proto, trace: whole.trace.shapes };
  const outputs = comparedValues(traced);
  await using pruned = await openOutputs(new Uint8Array(await readFile(written)), outputs);
  await using masked = await openOutputs(maskedWhole(whole, removed), outputs);
  await using zeroed = await openOutputs(zeroedWhole(whole, removed), outputs);
  const worst = { masked: 0, zeroed: 0 };
  for (const [run, batch] of BATCHES.entries()) {
    const feeds = feedsOf(traced, run, batch);
    worst.masked = Math.max(worst.masked, await difference(pruned, masked, feeds, outputs));
    worst.zeroed = Math.max(worst.zeroed, await difference(pruned, zeroed, feeds, outputs));
  }
  const kept = opened.move();
  return {
    ...{ path: written, removed, ...worst },
    feeds: (batch) => feedsOf(traced, 0, batch),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function openModel(path: string): Promise<StructuredModel> {
  const model = await readStoredModel(dirname(path), [basename(path)]);
  return await StructuredModel.open({ model, runtime: RUNTIME, signal });
}

function comparedValues({ proto }: TracedModel): string[] {
  const { outputs } = new OnnxModel(proto).graph;
  return outputs.map((output) => {
    const final = finalNode(output);
    return (SQUASHING.includes(final?.op) ? final?.inputs[0]?.name : undefined) ?? output.name;
  });
}

async function openOutputs(bytes: Uint8Array, outputs: readonly string[]): Promise<ModelSession> {
  const proto = fromBinary(ModelProtoSchema, bytes);
  if (proto.graph) proto.graph.output = outputs.map((name) => create(ValueInfoProtoSchema, { name }));
  return await openSession(toBinary(ModelProtoSchema, proto), RUNTIME, UNOPTIMIZED);
}

/** Sizes are those of a traced run but for the batch, where it is open. */
function feedsOf({ proto, trace }: TracedModel, run: number, batch: number): Feeds {
  const inputs = modelInputs(new OnnxModel(proto));
  const shapes = new Map(inputs.map(({ name }) => [name, trace.shapesOf(name) ?? [[], []]]));
  const isBatch = new Set([...shapes.values()].map(([first, second]) => `${first[0]} ${second[0]}`));
  return createFeeds(inputs, (name) => {
    const [first, second] = shapes.get(name) ?? [[], []];
    return [first, second][run].map((size, axis) =>
      first[axis] !== second[axis] && isBatch.has(`${first[axis]} ${second[axis]}`) ? batch : size,
    );
  });
}

async function difference(
  pruned: ModelSession,
  oracle: ModelSession,
  feeds: Feeds,
  outputs: readonly string[],
): Promise<number> {
  const [found, expected] = [await pruned.run(feeds, outputs), await oracle.run(feeds, outputs)];
  const differences = outputs.map((name) => {
    const [left, right] = [found.get(name), expected.get(name)];
    const isAlike = left && right && left.shape.join() === right.shape.join();
    return isAlike ? relativeDifference(left, right) : Number.POSITIVE_INFINITY;
  });
  return Math.max(...differences);
}
