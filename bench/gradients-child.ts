/** Batches of a fixture through its gradient graph, from the model's file on, in a process of their own so that its memory can be measured. */
import { openFixtureGradients } from './fixture-gradients.ts';
import { peakBytes } from './peak-memory.ts';

/** The arena has its size after the first. */
const BATCHES = 3;

const [fixtures, fixture, samples, threads] = process.argv.slice(2);
await using gradients = await openFixtureGradients(fixtures, fixture);
await using session = await gradients.open(Number(threads));
const feeds = await gradients.feedsOf(Number(samples));
for (let batch = 0; batch < BATCHES; batch++) await session.run(feeds, gradients.fetches);
console.log(JSON.stringify({ peakBytes: await peakBytes() }));
