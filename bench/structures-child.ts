/** Analyses a model's structures, removes a third of every family, and prints what both took, in a process of its own so that its memory can be measured. */
import { readdir } from 'node:fs/promises';
import { readStoredModel } from '../src/graph/inventory.ts';
import { StructuredModel } from '../src/structure/structured-model.ts';
import { time } from './measure.ts';
import { peakBytes } from './peak-memory.ts';

const [directory, targetDirectory] = process.argv.slice(2);
const { signal } = new AbortController();
const stored = await readStoredModel(directory, await readdir(directory));
const runtime = { providers: ['cpu'] as const, threads: 1 };

const start = performance.now();
await using model = await StructuredModel.open({ model: stored, runtime, signal });
const analysisMs = performance.now() - start;
const analysisPeak = await peakBytes();
const { families } = model.structures;
const removed = families.flatMap(({ structures }) =>
  structures.filter((_, i) => i % 3 === 1).map(({ root }) => root),
);
const removalMs = await time(() => model.write(new Set(removed), targetDirectory, signal, () => false));
console.log(
  JSON.stringify({
    parameters: stored.inventory.nParameters,
    families: families.length,
    structures: families.reduce((sum, { structures }) => sum + structures.length, 0),
    analysisMs,
    analysisPeak,
    removalMs,
    removalPeak: await peakBytes(),
  }),
);
