import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describeMachine, formatTable } from '../../bench/measure.ts';
import { findBinaries } from '../../test/services/postgres.ts';
import { isFailed, type Outcome } from './scenario.ts';
import { RECIPES } from './workload.ts';

const INTRODUCTION = `# Reliability

Written by \`npm run chaos\`: a service of real processes, with a queue's server of its own for every row, is disturbed while it takes and computes jobs.
Every job comes as one request with model, data and recipe, under an idempotency key, and the client repeats what was not acknowledged.`;

const MEANING = `- **injected**: faults. **acknowledged**: jobs that the service said it has.
- **finished**: those that succeeded within a minute after the last fault, or, on a full disk, failed with \`insufficient_storage\`.
- **lost**: unknown afterwards, or ended otherwise. **waiting**: not ended after that minute, without a restart.
- **corrupt**: files whose bytes are not those of their recorded hash, jobs that nobody was told of, uploads that stay behind, answers 5xx but 503 and 507.
- **different**: model, masks or report, less measured times, not those of an undisturbed run.
- **children left**: processes that are still there three seconds after their parent was killed, or after all was stopped.`;

const SCENARIOS = `**At every stage**: in the middle of an upload, once a job is acknowledged, while it waits, in each of the pipeline's stages, when its files are in place, and when its result is.
A stage of milliseconds may be over by the time of the kill. **Clocks** are those of API, worker and children (libfaketime); the queue's server and monotonic time go on.
A small disk is a tmpfs, filled to the last byte. An empty replica is a server without data under the same address.`;

const COLUMNS = [
  ['injected', 'injected'],
  ['acknowledged', 'acknowledged'],
  ['finished', 'finished'],
  ['lost', 'lost'],
  ['corrupt', 'corrupt'],
  ['different', 'different'],
  ['still waiting', 'waiting'],
  ['children left', 'childrenLeft'],
] as const;

/** The table of all outcomes, as Markdown. */
export function formatOutcomes(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ scenario, seconds, counts }) => [
    scenario.name,
    ...COLUMNS.map(([, name]) => (counts ? String(counts[name]) : 'did not run')),
    seconds.toFixed(0),
  ]);
  return formatTable(['scenario', ...COLUMNS.map(([title]) => title), 's'], rows);
}

/** What went wrong, a list item each; empty where nothing did. */
export function formatNotes(outcomes: readonly Outcome[]): string {
  return outcomes
    .filter((outcome) => isFailed(outcome) || outcome.counts === null)
    .flatMap(({ scenario, notes }) => notes.map((note) => `- ${scenario.name}: ${note.slice(0, 300)}`))
    .join('\n');
}

/** `docs/reliability.md`. */
export async function renderDocument(outcomes: readonly Outcome[], seconds: number): Promise<string> {
  const failed = outcomes.filter(isFailed).length;
  const date = new Date().toISOString().slice(0, 10);
  const recipes = Object.values(RECIPES).map((recipe) => `\`${JSON.stringify(recipe)}\``);
  const notes = formatNotes(outcomes);
  const verdict =
    failed === 0
      ? 'In every scenario that ran, all that has to be 0 is 0.'
      : `**${failed} of ${outcomes.length} scenarios failed.**`;
  return `${[
    INTRODUCTION,
    MEANING,
    SCENARIOS,
    `Jobs prune \`examples/fc2-mnist.onnx\` by ${recipes.join(' and ')}, with 500 labelled samples for calibration and evaluation.`,
    `${describeMachine()}, ${(await readVersions()).join(', ')}; ${date}; ${(seconds / 60).toFixed(0)} minutes in all.`,
    verdict,
    formatOutcomes(outcomes),
    ...(notes ? [`## What went wrong, or did not run\n\n${notes}`] : []),
  ].join('\n\n')}\n`;
}

async function readVersions(): Promise<string[]> {
  const ask = async (command: string, pattern: RegExp) => {
    const { stdout } = await promisify(execFile)(command, ['--version']);
    return pattern.exec(stdout)?.[1] ?? 'unknown';
  };
  return [
    `Redis ${await ask('redis-server', /v=(\S+)/)}`,
    `PostgreSQL ${await ask(await findBinary('postgres'), /(\d[\d.]*)/)}`,
  ];
}

async function findBinary(name: string): Promise<string> {
  const folder = await findBinaries();
  return folder ? `${folder}/${name}` : name;
}
