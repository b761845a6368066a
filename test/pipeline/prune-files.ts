import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { ModelInventory } from '../../src/formats/model.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import type { Stage } from '../../src/pipeline/progress.ts';
import { type PruneOutcome, prune } from '../../src/pipeline/prune.ts';
import type { PruneInput } from '../../src/pipeline/prune-job.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import type { Report } from '../../src/report/report.ts';

export interface Pruned extends PruneOutcome {
  readonly directory: string;
  readonly report: Report;
}

/** Prunes a model file, or a folder of files, into a fresh folder that is removed when the value is disposed of. Models are timed where a test asks for it. */
export async function pruneFiles(
  path: string,
  recipe: object,
  options: Partial<Omit<PruneInput, 'model' | 'identity' | 'runtime'>> & {
    threads?: number;
    inventory?: ModelInventory;
    signal?: AbortSignal;
    onProgress?: (percent: number, stage: Stage) => void;
  } = {},
): Promise<Pruned & AsyncDisposable> {
  const directory = /\.(onnx|safetensors)$/.test(path) ? dirname(path) : path;
  const names = directory === path ? await readdir(path) : [basename(path)];
  const outputDirectory = await mkdtemp(join(tmpdir(), 'emp-prune-'));
  const { inventory, signal = new AbortController().signal, onProgress, threads = 1, ...input } = options;
  const outcome = await prune(
    {
      model: { directory, inventory: inventory ?? (await inventoryOf(directory, names)) },
      identity: { name: basename(path), sha256: 'not used here', sizeBytes: 1 },
      scores: null,
      calibration: null,
      selection: null,
      evaluation: null,
      recipe: recipeSchema.parse(recipe),
      outputDirectory,
      runtime: { providers: ['cpu'], threads },
      // It would be most of what most tests take.
      isTimed: false,
      ...input,
    },
    { signal, onProgress: ({ percent, stage }) => onProgress?.(percent, stage) },
  );
  const report: Report = JSON.parse(await readFile(join(outputDirectory, 'report.json'), 'utf8'));
  return {
    ...outcome,
    directory: outputDirectory,
    report,
    [Symbol.asyncDispose]: () => rm(outputDirectory, { recursive: true }),
  };
}

export async function inventoryOf(directory: string, names: readonly string[]) {
  return (await readStoredModel(directory, names)).inventory;
}

export async function sha256Of(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}
