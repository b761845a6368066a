/** Batches of a fixture through its gradient graph, from the model's file on, in a process of their own so that its memory can be measured. */
import { readFile } from 'node:fs/promises';
import { openFixtureGradients } from './fixture-gradients.ts';

/** The arena has its size after the first. */
const BATCHES = 3;

const [fixtures, fixture, samples, threads] = process.argv.slice(2);
await using gradients = await openFixtureGradients(fixtures, fixture);
await using session = await gradients.open(Number(threads));
const feeds = await gradients.feedsOf(Number(samples));
for (let batch = 0; batch < BATCHES; batch++) await session.run(feeds, gradients.fetches);
// Not `resourceUsage().maxRSS`: Linux carries over into it what the parent held when it forked.
const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
const peakKilobytes = /VmHWM:\s+(\d+) kB/.exec(status)?.[1];
console.log(JSON.stringify({ peakBytes: peakKilobytes === undefined ? null : Number(peakKilobytes) * 1024 }));
