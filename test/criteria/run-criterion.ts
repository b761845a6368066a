import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { widen } from '../../src/core/float-format.ts';
import type { CriterionContext } from '../../src/criteria/context.ts';
import { weightScorer } from '../../src/criteria/registry.ts';
import { openFileSource } from '../../src/formats/file-source.ts';
import { elementCount, type ModelTensor } from '../../src/formats/model.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import type { StoredModel } from '../../src/formats/stored-model.ts';
import type { WeightCriterion } from '../../src/recipe/criteria.ts';

export const RUNTIME = { providers: ['cpu'], threads: 1 } as const;

/** A folder that goes with the test. */
export async function testFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'emp-criteria-'));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

/** The context of a model. */
export function criterionContext(
  model: StoredModel,
  scratchDirectory: string,
  calibration: SampleSet | null,
): CriterionContext {
  return {
    model,
    scratchDirectory,
    scores: null,
    calibration,
    onUnreached: () => {},
    seed: 0,
    runtime: RUNTIME,
    signal: new AbortController().signal,
    onSamples: () => {},
  };
}

/** The scores of all prunable tensors, or of the named ones, by name. */
export async function scoresOf(
  criterion: WeightCriterion,
  context: CriterionContext,
  names?: readonly string[],
): Promise<Map<string, Float64Array>> {
  const tensors = context.model.inventory.tensors.filter(({ name, prunable }) =>
    names ? names.includes(name) : prunable,
  );
  const ranges = await (await weightScorer(criterion))(tensors, context);
  const scores = new Map<string, Float64Array>();
  for (const [index, { path, offset, dtype, n }] of ranges.entries()) {
    const values = new Float64Array(n);
    widen((await readFile(path)).subarray(offset), dtype, values);
    scores.set(tensors[index].name, values);
  }
  return scores;
}

/** The weights of a tensor kept as one dense stretch. */
export async function weightsOf(
  directory: string,
  { data, dtype, shape }: ModelTensor,
): Promise<Float64Array> {
  const [{ file, offset, byteLength }] = data?.runs ?? [];
  await using source = await openFileSource(join(directory, file));
  const values = new Float64Array(elementCount(shape));
  widen(await source.read(offset, offset + byteLength), dtype as 'float32', values);
  return values;
}
