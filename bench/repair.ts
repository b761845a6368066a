import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { formatRatio, formatTable } from './measure.ts';

const CHILD = fileURLToPath(new URL('repair-child.ts', import.meta.url));
const LARGE = { samples: 64, side: 640 };
/** Where all rows of all layers can be looked at too. */
const SMALL = { samples: 48, side: 320 };
const run = promisify(execFile);

interface Spent {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** What the child prints. */
interface Measured {
  readonly parameters: number;
  readonly pass: Spent;
  readonly repair: Spent;
  readonly peak: number | null;
  readonly before: number;
  readonly after: number;
}

/** `least_squares` on a detector of YOLOv8n's size, against passes of the samples through the dense model, and its loss against looking at all rows. */
export async function benchRepair(): Promise<string> {
  const measured: [string, Measured][] = [
    [`${LARGE.samples} of ${LARGE.side} pixels`, await repair(LARGE)],
    [`${SMALL.samples} of ${SMALL.side} pixels`, await repair(SMALL)],
    ['the same, all rows', await repair(SMALL, ['all'])],
  ];
  const [[, { parameters }]] = measured;
  return [
    `A model with the layers of YOLOv8n and ${(parameters / 1e6).toFixed(1)} million random weights, every fourth channel gone, in a process with 2 threads. A pass is one of the samples through the dense model. The loss is that of`,
    'the outputs for images that the repair has not seen, to their mean square.',
    '',
    formatTable(
      [
        'samples',
        'seconds',
        'processor seconds',
        'ratio to two passes, of these',
        'peak resident',
        'loss before',
        'loss',
      ],
      measured.map(
        ([
          name,
          {
            pass,
            repair: { seconds, cpuSeconds },
            peak,
            before,
            after,
          },
        ]) => [
          name,
          seconds.toFixed(1),
          cpuSeconds.toFixed(1),
          `**${formatRatio(cpuSeconds / (2 * pass.cpuSeconds))}**`,
          peak === null ? '' : `${(peak / 2 ** 20).toFixed(0)} MiB`,
          before.toPrecision(3),
          after.toPrecision(4),
        ],
      ),
    ),
  ].join('\n');
}

async function repair({ samples, side }: typeof LARGE, rows: readonly string[] = []): Promise<Measured> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-bench-'));
  try {
    const { stdout } = await run(process.execPath, [CHILD, directory, `${samples}`, `${side}`, ...rows]);
    return JSON.parse(stdout);
  } finally {
    await rm(directory, { recursive: true });
  }
}
