import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { magnitudes } from '../../criteria/weights/magnitude.ts';
import { COMPARISON_FILE, MASKS_FILE, SCRATCH_FOLDER } from '../artifact-names.ts';
import type { PruneContext } from '../begin-job.ts';
import { Progress, StageClock } from '../progress.ts';
import { sampleWork } from '../sample-work.ts';
import { openRunner } from '../weights/passes/open-runner.ts';
import { type Artifact, describeArtifact } from '../write-report.ts';
import { checkComparable } from './check-comparable.ts';
import { chooseMasks } from './choose-masks.ts';
import type { CompareInput } from './compare-input.ts';
import type { Comparison } from './comparison.ts';
import { describeComparison } from './describe-comparison.ts';
import type { Matched } from './match-tensors.ts';
import { type ReadPair, readPairs } from './read-pairs.ts';
import { settlePairs } from './settle-pairs.ts';
import { sizedTensors } from './sized-tensors.ts';
import type { Difference } from './tensor-difference.ts';

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
  const checked = await checkComparable(original.model, pruned.model, input.evaluation);
  const { samples } = checked;
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
  const comparable = await settlePairs(checked, models);
  const read = await readPairs(comparable.pairs, models, outputDirectory);
  progress.advance(original.identity.sizeBytes + pruned.identity.sizeBytes);

  // EMP's choice of the same size, by magnitude: over all tensors, and tensor by tensor.
  clock.enter('decide');
  const sized = await sizedTensors(read, comparable, models);
  const tensors = sized.map(({ tensor }) => tensor);
  const ranges = await magnitudes(tensors, { model: original.model, scratchDirectory, signal });
  const n = ranges.reduce((sum, range) => sum + range.n, 0);
  await using running = openRunner({ n, threads: runtime.threads, signal, progress, chunkElements });
  const { runner } = running;
  const scores = { runner, tensors, ranges, summary: await runner.summarize(ranges) };
  const chosen = await chooseMasks({
    input,
    sized,
    hasOwnValues: hasOwnValues(comparable, read),
    scores,
    samples,
    scratchDirectory,
    clock,
    progress,
    signal,
  });

  clock.enter('report');
  const comparison = await describeComparison({ input, comparable, read, sized, chosen, signal });
  await writeFile(join(outputDirectory, COMPARISON_FILE), `${JSON.stringify(comparison, null, 2)}\n`);
  await rm(scratchDirectory, { recursive: true });
  const maker = { input, progress, signal };
  const artifacts = [
    await describeArtifact(maker, COMPARISON_FILE),
    await describeArtifact(maker, MASKS_FILE),
  ];
  return { comparison, artifacts, timings_ms: clock.stop() };
}

function hasOwnValues({ onlyInOriginal, onlyInPruned }: Matched, read: readonly ReadPair[]): boolean {
  return (
    onlyInOriginal.length + onlyInPruned.length > 0 ||
    read.some(({ difference }) => difference === null || changesOf(difference) > 0)
  );
}

const changesOf = ({ valuesChanged, zerosFilled, notFinite }: Difference) =>
  valuesChanged + zerosFilled + notFinite;
