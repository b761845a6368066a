/** One job as a computing child does it, in a process of its own so that its memory can be measured: `prune-child.ts MODEL OUTPUT THREADS [RECIPE] [CALIBRATION]`. */
import { basename, dirname } from 'node:path';
import { openSamples } from '../scripts/reproduce/network.ts';
import { openFileSource } from '../src/formats/file-source.ts';
import { readModelInventory } from '../src/graph/inventory.ts';
import { prune } from '../src/pipeline/prune.ts';
import { recipeSchema } from '../src/recipe/recipe.ts';
import { peakBytes } from './peak-memory.ts';

const [path, outputDirectory, threads, recipe = '{}', calibration] = process.argv.slice(2);
const name = basename(path);
const start = performance.now();
await using source = await openFileSource(path);
const inventory = await readModelInventory(new Map([[name, source]]));
const { timings_ms } = await prune(
  {
    model: { directory: dirname(path), inventory },
    identity: { name, sha256: '0'.repeat(64), sizeBytes: source.byteLength },
    scores: null,
    calibration: calibration === undefined ? null : await openSamples(calibration, null, 'input'),
    selection: null,
    evaluation: null,
    recipe: recipeSchema.parse(JSON.parse(recipe)),
    outputDirectory,
    runtime: { providers: ['cpu'], threads: Number(threads) },
  },
  { signal: new AbortController().signal, onProgress: () => {} },
);
const seconds = (performance.now() - start) / 1000;
console.log(JSON.stringify({ timings_ms, seconds, peakBytes: await peakBytes() }));
