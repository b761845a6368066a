import { count, formatTable, loss, NONE } from '../reproduce/table.ts';
import type { Result } from './contest.ts';
import { BATCH, type Difference } from './pruned-model.ts';
import type { Peer, Task } from './tasks.ts';

export interface Contest {
  readonly task: Task;
  /** The product's first. */
  readonly results: readonly Result[];
  /** How a peer's weights differ from the product's, by peer, where they must not. */
  readonly same: ReadonlyMap<string, Difference | null>;
}

/** A figure that a peer may be better in. */
interface Measure {
  readonly name: string;
  /** Less is better; null where there is none. */
  readonly of: (result: Result) => number | null;
  readonly format: (result: Result) => string;
  /** A peer is better where ours is more than so many times as large. */
  readonly clear: number;
}

/** Times and bytes that are nearer than this are a draw. */
const DRAW = 1.05;
const MEASURES: readonly Measure[] = [
  { name: 'accuracy', of: ({ quality }) => quality && 1 - quality.accuracy, format: accuracyOf, clear: 1 },
  inSeconds('time in the process', ({ seconds }) => seconds),
  inSeconds('time of the process', ({ processSeconds }) => processSeconds),
  inSeconds('time of the fit', ({ repairSeconds }) => repairSeconds),
  {
    name: 'memory',
    of: ({ peakBytes }) => peakBytes,
    format: ({ peakBytes }) => `${mebibytes(peakBytes)} MiB`,
    clear: DRAW,
  },
  {
    name: 'size',
    of: ({ fileBytes }) => fileBytes,
    format: ({ fileBytes }) => `${megabytes(fileBytes)} MB`,
    clear: DRAW,
  },
  {
    name: 'latency',
    of: ({ quality }) => quality?.ms ?? null,
    format: ({ quality }) => `${quality?.ms.toFixed(2)} ms`,
    clear: DRAW,
  },
];

function inSeconds(name: string, of: Measure['of']): Measure {
  return { name, of, format: (result) => `${of(result)?.toFixed(2)} s`, clear: DRAW };
}

/** The table, what peers are better in, and which gave no rows. */
export function formatContests(
  contests: readonly Contest[],
  missing: ReadonlyMap<Peer, string>,
  rounds: number,
): string {
  const head = [
    'task',
    'tool',
    'parameters left',
    'accuracy',
    'loss',
    'seconds',
    'of a process',
    'of the fit',
  ];
  const rows = contests.flatMap(({ task, results }) =>
    results.map((result) => [task.title, ...cellsOf(result)]),
  );
  const versions = new Set(
    contests.flatMap(({ results }) => results.flatMap(({ versions }) => versions ?? [])),
  );
  return [
    `Peers: ${[...versions].join(', ')}. Times and memory are medians of ${rounds} rounds, of the large model those of one. Latency is of ${BATCH} samples, by onnxruntime.`,
    '',
    formatTable([...head, 'MiB', 'MB', 'ms'], rows, 2),
    '',
    ...contests.flatMap(sameness),
    ...lines('What peers are better in', contests.flatMap(losses)),
    ...Array.from(missing, ([peer, why]) => `- ${peer} could not be installed, and has no rows: ${why}`),
  ].join('\n');
}

function cellsOf(result: Result): string[] {
  const { tool, model, quality, seconds, processSeconds, repairSeconds, peakBytes, fileBytes } = result;
  return [
    tool,
    count(model.inventory.nParameters),
    accuracyOf(result),
    loss(quality?.loss),
    seconds.toFixed(2),
    processSeconds.toFixed(2),
    repairSeconds?.toFixed(2) ?? NONE,
    mebibytes(peakBytes),
    megabytes(fileBytes),
    quality?.ms.toFixed(2) ?? NONE,
  ];
}

function sameness({ task, same }: Contest): string[] {
  return Array.from(same, ([peer, found]) => `- ${task.title}: ${peer} gives ${differenceOf(found)}.`);
}

function differenceOf(found: Difference | null): string {
  if (!found?.areTies) return '**other** weights';
  const { count: places } = found;
  return places === 0
    ? 'the same weights, bit by bit'
    : `the same weights but in ${count(places)} places, of rows where two are equally large and one had to go`;
}

function losses({ task, results: [own, ...others] }: Contest): string[] {
  return others.flatMap((other) => {
    const better = MEASURES.filter(({ of, clear }) => isBetter(of(other), of(own), clear));
    const texts = better.map(({ name, format }) => `${name} (${format(other)}, ours ${format(own)})`);
    return texts.length === 0 ? [] : [`- ${task.title}, ${other.tool}: ${texts.join(', ')}.`];
  });
}

function isBetter(other: number | null, own: number | null, clear: number): boolean {
  return other !== null && own !== null && own > other * clear;
}

function lines(title: string, items: readonly string[]): string[] {
  return ['', `${title}:`, '', ...(items.length > 0 ? items : ['- nothing that was measured.'])];
}

function accuracyOf({ quality }: Result): string {
  return quality === null ? NONE : `${(100 * quality.accuracy).toFixed(2)} %`;
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(2);
}
