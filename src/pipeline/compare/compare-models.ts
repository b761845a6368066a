import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { magnitudes } from '../../criteria/weights/magnitude.ts';
import { COMPARISON_FILE, MASKS_FILE, SCRATCH_FOLDER } from '../artifact-names.ts';
import type { PruneContext } from '../begin-job.ts';
import { hashRange } from '../hash-range.ts';
import { Progress, StageClock } from '../progress.ts';
import { sampleWork } from '../sample-work.ts';
import { openRunner } from '../weights/passes/open-runner.ts';
import { type Artifact, describeArtifact } from '../write-report.ts';
import { checkComparable } from './check-comparable.ts';
import { type ChosenMasks, chooseMasks } from './choose-masks.ts';
import type { CompareInput, NamedModel } from './compare-input.ts';
import type { ComparedTensor, Comparison } from './comparison.ts';
import { masksOf } from './mask-overlap.ts';
import { type ReadPair, readPairs } from './read-pairs.ts';
import { verdictOf } from './verdict-of-comparison.ts';

export interface CompareOutcome {
  readonly comparison: Comparison;
  readonly artifacts: readonly Artifact[];
  readonly timings_ms: Readonly<Record<string, number>>;
}

/** Both models are read side by side, magnitudes for either choice, and each choice is written. */
const READINGS = 6;

/**
 * What a model that any tool has pruned keeps of its original, beside EMP's choice of the same size, in memory that does not grow with the models.
 * @throws EmpError as `checkComparable`, and what models and samples throw when they are read and run; the signal's reason when aborted
 */
export async function compareModels(
  input: CompareInput,
  { signal, onProgress }: PruneContext,
): Promise<CompareOutcome> {
  const { original, pruned, outputDirectory, runtime, chunkElements } = input;
  const models = { original: original.model, pruned: pruned.model, signal };
  const comparable = await checkComparable(original.model, pruned.model, input.evaluation);
  const { samples } = comparable;
  const planned = READINGS * (original.identity.sizeBytes + pruned.identity.sizeBytes);
  const progress = new Progress(
    planned + (samples ? 5 * samples.nSamples * sampleWork(samples) : 0),
    onProgress,
  );
  const clock = new StageClock(progress);
  const scratchDirectory = join(outputDirectory, SCRATCH_FOLDER);
  await mkdir(scratchDirectory, { recursive: true });

  // What changed, and the mask of the pruned model.
  clock.enter('score');
  const read = await readPairs(comparable.pairs, models, outputDirectory);
  progress.advance(original.identity.sizeBytes + pruned.identity.sizeBytes);

  // EMP's choice of the same size, by magnitude: over all tensors, and tensor by tensor.
  clock.enter('decide');
  const sized = read.filter(({ nScored }) => nScored !== null);
  const tensors = sized.map(({ original: tensor }) => tensor);
  const ranges = await magnitudes(tensors, { model: original.model, scratchDirectory, signal });
  const n = ranges.reduce((sum, range) => sum + range.n, 0);
  await using running = openRunner({ n, threads: runtime.threads, signal, progress, chunkElements });
  const { runner } = running;
  const scores = { runner, tensors, ranges, summary: await runner.summarize(ranges) };
  const chosen = await chooseMasks({
    input,
    sized,
    scores,
    samples,
    scratchDirectory,
    clock,
    progress,
    signal,
  });

  clock.enter('report');
  const comparison = await describe(input, comparable, read, chosen, signal);
  await writeFile(join(outputDirectory, COMPARISON_FILE), `${JSON.stringify(comparison, null, 2)}\n`);
  await rm(scratchDirectory, { recursive: true });
  const maker = { input, progress, signal };
  const artifacts = [
    await describeArtifact(maker, COMPARISON_FILE),
    await describeArtifact(maker, MASKS_FILE),
  ];
  return { comparison, artifacts, timings_ms: clock.stop() };
}

async function describe(
  { original, pruned, outputDirectory }: CompareInput,
  { onlyInOriginal, onlyInPruned }: Awaited<ReturnType<typeof checkComparable>>,
  read: readonly ReadPair[],
  { masks, evaluation }: ChosenMasks,
  signal: AbortSignal,
): Promise<Comparison> {
  await using file = await open(join(outputDirectory, MASKS_FILE));
  const tensors: ComparedTensor[] = [];
  for (const pair of read) {
    const own = masks.get(pair.original.name);
    const isMasked = pair.mask !== null && own !== undefined;
    tensors.push({
      ...describePair(pair),
      mask_sha256: isMasked ? await hashRange(file, pair.mask, signal) : null,
      masks: own ? masksOf([own]) : null,
    });
  }
  const sized = read.filter(({ nScored }) => nScored !== null);
  const sum = (amount: (pair: ReadPair) => number) => sized.reduce((all, pair) => all + amount(pair), 0);
  const n = sum((pair) => pair.n);
  const n_keep = sum(({ nScored }) => nScored ?? 0);
  const compared = tensors.filter(({ change }) => change !== 'not_compared');
  const facts = {
    total: {
      n,
      n_keep,
      sparsity: 1 - n_keep / n,
      zeros_added: sum(({ difference }) => difference?.zerosAdded ?? 0),
      values_changed: sum(({ difference }) => difference?.valuesChanged ?? 0),
      is_mask: compared.every(({ change }) => change === 'unchanged' || change === 'masked'),
      masks: masksOf([...masks.values()]),
    },
    tensors,
    only_in_original: onlyInOriginal.map(({ name }) => name),
    only_in_pruned: onlyInPruned.map(({ name }) => name),
    evaluation,
  };
  const sides = { original: sideOf(original), pruned: sideOf(pruned) };
  return { schema_version: 1, ...sides, verdict: verdictOf(facts), ...facts };
}

function sideOf({ model: { inventory }, identity: { name, sha256, sizeBytes } }: NamedModel) {
  const { format, nParameters } = inventory;
  return { name, sha256, format, size_bytes: sizeBytes, n_parameters: nParameters };
}

function describePair(pair: ReadPair): Omit<ComparedTensor, 'masks' | 'mask_sha256'> {
  const { original, pruned, matchedBy, form, difference, n, nKeep } = pair;
  return {
    name: original.name,
    pruned_name: pruned.name,
    matched_by: matchedBy,
    dtype: original.dtype,
    pruned_dtype: pruned.dtype,
    shape: [...original.shape],
    pruned_shape: [...pruned.shape],
    prunable: original.prunable,
    change: changeOf(pair),
    reason: form.kind === 'unlike' ? form.reason : null,
    removed: form.kind === 'smaller' ? form.axes.map((axis) => ({ ...axis })) : null,
    n,
    n_keep: nKeep,
    sparsity: nKeep === null ? null : 1 - nKeep / n,
    zeros_added: difference?.zerosAdded ?? null,
    zeros_filled: difference?.zerosFilled ?? null,
    values_changed: difference?.valuesChanged ?? null,
  };
}

function changeOf({ form, difference }: ReadPair): ComparedTensor['change'] {
  if (form.kind === 'smaller') return 'removed';
  if (difference === null) return 'not_compared';
  if (difference.valuesChanged + difference.zerosFilled > 0) return 'refitted';
  return difference.zerosAdded > 0 ? 'masked' : 'unchanged';
}
