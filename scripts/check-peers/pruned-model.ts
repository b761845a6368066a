import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoredModel } from '../../src/formats/stored-model.ts';
import { readStoredGraph } from '../../src/graph/interface.ts';
import { readNumbers } from '../../src/repair/tensor-edits.ts';
import { readFirstBatch } from '../../src/runtime/batches.ts';
import { Evaluator } from '../../src/runtime/evaluation.ts';
import { measureLatency } from '../../src/runtime/latency.ts';
import { openSession, type RuntimeSettings } from '../../src/runtime/session.ts';
import type { Network } from '../reproduce/network.ts';

/** What a pruned model is worth, whoever made it. */
export interface Quality {
  readonly accuracy: number;
  readonly loss: number;
  /** Of one batch. */
  readonly ms: number;
}

export const RUNTIME: RuntimeSettings = { providers: ['cpu'], threads: 2 };
export const BATCH = 64;
const { signal } = new AbortController();

/** On the network's evaluation data. @throws TypeError where the model has no accuracy */
export async function measureQuality(
  { model, evaluation }: Pick<Network, 'model' | 'evaluation'>,
  pruned: StoredModel,
): Promise<Quality> {
  const scratchDirectory = await mkdtemp(join(tmpdir(), 'emp-peers-'));
  try {
    const context = {
      model,
      samples: evaluation,
      scratchDirectory,
      runtime: RUNTIME,
      signal,
      onSamples() {},
    };
    await using evaluator = await Evaluator.open(context);
    const { accuracy, loss } = (await evaluator.compare(pruned)).measurement;
    if (accuracy === null || loss === null) throw new TypeError('a model without accuracy');
    await using dense = await openSession(pathOf(model), RUNTIME);
    await using small = await openSession(pathOf(pruned), RUNTIME);
    const batch = await readFirstBatch({ ...evaluation, labels: null }, BATCH, signal);
    const models = { dense, pruned: small, again: dense };
    const { pruned_ms } = await measureLatency(models, batch, evaluator.output, signal);
    return { accuracy, loss, ms: pruned_ms };
  } finally {
    await rm(scratchDirectory, { recursive: true });
  }
}

/** In how many places two models differ, and whether what one keeps there is as large as what the other keeps, so that either is half of a row. */
export interface Difference {
  readonly count: number;
  readonly areTies: boolean;
}

/** Of the stored numbers that nodes read, in their order, whatever these are called. Null where they are not as many. */
export async function findDifference(one: StoredModel, other: StoredModel): Promise<Difference | null> {
  const [own, others] = [await storedInputs(one), await storedInputs(other)];
  if (own.length !== others.length) return null;
  let [count, areTies] = [0, true];
  for (const [i, name] of own.entries()) {
    const [a, b] = [await readNumbers(one, name), await readNumbers(other, others[i])];
    if (a.length !== b.length) return null;
    let balance = 0;
    for (let at = 0; at < a.length; at++) {
      if (a[at] === b[at]) continue;
      count++;
      balance += Math.abs(a[at]) - Math.abs(b[at]);
    }
    areTies &&= balance === 0;
  }
  return { count, areTies };
}

async function storedInputs(model: StoredModel): Promise<string[]> {
  const { graph } = await readStoredGraph(model);
  const names = new Set(model.inventory.tensors.map(({ name }) => name));
  return graph.nodes.flatMap(({ inputs }) =>
    inputs.flatMap((value) => (value !== null && names.has(value.name) ? [value.name] : [])),
  );
}

function pathOf({ directory, inventory }: StoredModel): string {
  return join(directory, inventory.files[0]);
}
