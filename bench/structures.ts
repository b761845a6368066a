import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { medianOf } from '../src/core/median.ts';
import { writeGpt } from './gpt.ts';
import { formatMilliseconds, formatRatio, formatTable, time } from './measure.ts';

const CHILD = fileURLToPath(new URL('structures-child.ts', import.meta.url));
const ROUNDS = 3;
const run = promisify(execFile);

/** What the child prints. */
interface Measured {
  readonly parameters: number;
  readonly families: number;
  readonly structures: number;
  readonly analysisMs: number;
  readonly analysisPeak: number | null;
  readonly removalMs: number;
  readonly removalPeak: number | null;
}

/** Analysis of a GPT-like model and removal of a third of its structures, each time in a process of its own, against copying its files. */
export async function benchStructures(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-bench-'));
  const [dense, pruned] = [join(directory, 'dense'), join(directory, 'pruned')];
  try {
    await mkdir(dense);
    const files = await writeGpt(dense);
    const sizes = await Promise.all(files.map(async (file) => (await stat(join(dense, file))).size));
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    const rounds: Measured[] = [];
    const copies: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await mkdir(pruned);
      const { stdout } = await run(process.execPath, [CHILD, dense, pruned]);
      rounds.push(JSON.parse(stdout));
      await rm(pruned, { recursive: true });
      copies.push(await time(() => run('cp', ['-r', dense, pruned])));
      await rm(pruned, { recursive: true });
    }
    const of = (figure: keyof Measured) => medianOf(rounds.map((measured) => measured[figure] ?? Number.NaN));
    const copy = medianOf(copies);
    const row = (name: string, ms: number, peak: number | null) => [
      name,
      formatMilliseconds(ms / 1000),
      formatRatio(ms / copy),
      peak === null ? '' : `${(peak / 2 ** 20).toFixed(0)} MiB`,
    ];
    const [{ parameters, families, structures }] = rounds;
    return [
      `A GPT-like model of ${(parameters / 1e6).toFixed(0)} million random float32 weights (24 blocks, width 1024, ${(bytes / 1e9).toFixed(2)} GB): ${structures.toLocaleString('en-US')} structures`,
      `in ${families} families. The analysis runs the graph twice without its weights; a third of every family is removed. Medians of ${ROUNDS} processes; peaks are of the whole process so far.`,
      '',
      formatTable(
        ['', 'seconds', 'ratio to cp', 'peak resident'],
        [
          row('cp', copy, null),
          row('analysis', of('analysisMs'), of('analysisPeak')),
          row('removal', of('removalMs'), of('removalPeak')),
        ],
      ),
    ].join('\n');
  } finally {
    await rm(directory, { recursive: true });
  }
}
