/** One job as a computing child does it, in a process of its own so that its memory can be measured. */
import { basename, dirname } from 'node:path';
import { openFileSource } from '../src/formats/file-source.ts';
import { readModelInventory } from '../src/graph/inventory.ts';
import { prune } from '../src/pipeline/prune.ts';
import { recipeSchema } from '../src/recipe/recipe.ts';
import { peakBytes } from './peak-memory.ts';

const [path, outputDirectory, threads] = process.argv.slice(2);
const name = basename(path);
await using source = await openFileSource(path);
const inventory = await readModelInventory(new Map([[name, source]]));
const { timings_ms } = await prune(
  {
    model: { directory: dirname(path), inventory },
    identity: { name, sha256: '0'.repeat(64), sizeBytes: source.byteLength },
    scores: null,
    calibration: null,
    selection: null,
    evaluation: null,
    recipe: recipeSchema.parse({}),
    outputDirectory,
    runtime: { providers: ['cpu'], threads: Number(threads) },
  },
  { signal: new AbortController().signal, onProgress: () => {} },
);
console.log(JSON.stringify({ timings_ms, peakBytes: await peakBytes() }));
