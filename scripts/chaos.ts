/**
 * `npm run chaos`: disturbs the service in every way that `chaos/scenarios/` knows, and writes what came of it to `docs/reliability.md`. With names of parts
 * (`npm run chaos -- redis disk`) it runs these alone and writes nothing. Exits with 1 where anything is lost, corrupt, different, waiting or left.
 */
import { writeFile } from 'node:fs/promises';
import PQueue from 'p-queue';
import { formatNotes, formatOutcomes, renderDocument } from './chaos/document.ts';
import { runScenario, runUndisturbed } from './chaos/run-scenario.ts';
import { isFailed, type Outcome, PARTS, type Scenario } from './chaos/scenario.ts';
import { CLOCK_JUMPS } from './chaos/scenarios/clock-jump.ts';
import { DOUBLE_DELIVERY } from './chaos/scenarios/double-delivery.ts';
import { FULL_DISK } from './chaos/scenarios/full-disk.ts';
import { KILLS } from './chaos/scenarios/kills.ts';
import { QUEUE_FAULTS } from './chaos/scenarios/queue-faults.ts';

const DOCUMENT = new URL('../docs/reliability.md', import.meta.url);
const SCENARIOS: readonly Scenario[] = [
  ...KILLS,
  ...QUEUE_FAULTS,
  ...FULL_DISK,
  ...CLOCK_JUMPS,
  ...DOUBLE_DELIVERY,
];
/** A scenario waits for most of its time. */
const AT_A_TIME = 3;

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(PARTS as readonly string[]).includes(name));
if (unknown.length > 0) {
  console.error(`no part ${unknown.join(', ')}; there are ${PARTS.join(', ')}`);
  process.exit(2);
}

const since = performance.now();
const chosen = SCENARIOS.filter(({ part }) => wanted.length === 0 || wanted.includes(part));
const references = await runUndisturbed();
const queue = new PQueue({ concurrency: AT_A_TIME });
const outcomes = await queue.addAll(
  chosen.map((scenario) => async (): Promise<Outcome> => {
    const outcome = await runScenario(scenario, references);
    const verdict = outcome.counts === null ? 'did not run' : isFailed(outcome) ? 'FAILED' : 'held';
    console.error(`${verdict}: ${scenario.name} (${outcome.seconds.toFixed(0)} s)`);
    return outcome;
  }),
);
console.log(`\n${formatOutcomes(outcomes)}\n\n${formatNotes(outcomes)}`);
if (wanted.length === 0)
  await writeFile(DOCUMENT, await renderDocument(outcomes, (performance.now() - since) / 1000));
process.exitCode = outcomes.some(isFailed) ? 1 : 0;
