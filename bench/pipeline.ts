import { execFile } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { writeLargeOnnx, writeLargeSafetensors } from './large-models.ts';
import { formatMilliseconds, formatRatio, formatTable, measureInterleaved, time } from './measure.ts';

const ROUNDS = 3;
const CHILD = fileURLToPath(new URL('prune-child.ts', import.meta.url));
const run = promisify(execFile);

/** A whole job on a gigabyte, in a child process from its start to its end, against copying and hashing the same file. */
export async function benchPipeline(): Promise<string> {
  const rows: string[][] = [];
  for (const [name, write] of [
    ['model.safetensors', writeLargeSafetensors],
    ['model.onnx', writeLargeOnnx],
  ] as const) {
    rows.push(...(await benchFile(name, write)));
  }
  return [
    `A model of 268 M float32 weights, magnitude, scope global; medians of ${ROUNDS} rounds. "prune" is a child process from its start`,
    'to its exit: inventory, statistics, exact threshold, the pruned file, masks and report with SHA-256 and estimated compressed sizes.',
    '',
    formatTable(['', 'seconds', 'ratio to cp + sha256sum', 'peak resident'], rows),
  ].join('\n');
}

async function benchFile(name: string, write: (path: string) => Promise<void>): Promise<string[][]> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-bench-'));
  try {
    const path = join(directory, name);
    await write(path);
    let peakBytes = 0;
    const pruneWith = (threads: number) => async () => {
      const output = join(directory, 'output');
      const elapsed = await time(async () => {
        const { stdout } = await run(process.execPath, [CHILD, path, output, String(threads)]);
        peakBytes = Math.max(peakBytes, JSON.parse(stdout).peakBytes);
      });
      await rm(output, { recursive: true });
      return elapsed;
    };
    const copyAfresh = async () => {
      const copy = join(directory, 'copy');
      const elapsed = await time(() => run('cp', [path, copy]));
      await rm(copy);
      return elapsed;
    };
    const threads = Math.min(2, availableParallelism());
    const medians = await measureInterleaved(
      [
        { name: 'cp', measure: copyAfresh },
        { name: 'sha256sum', measure: () => time(() => run('sha256sum', [path])) },
        { name: 'prune', measure: pruneWith(threads) },
      ],
      ROUNDS,
      1,
    );
    const size = (await stat(path)).size;
    const [cp = 0, hash = 0, prune = 0] = [...medians.values()];
    const seconds = (ms: number) => formatMilliseconds(ms / 1000);
    return [
      [`${name}, ${(size / 1e9).toFixed(2)} GB: cp`, seconds(cp), formatRatio(cp / (cp + hash)), ''],
      [`${name}: sha256sum`, seconds(hash), formatRatio(hash / (cp + hash)), ''],
      [
        `${name}: prune, ${threads} threads`,
        seconds(prune),
        `**${formatRatio(prune / (cp + hash))}**`,
        `${(peakBytes / 2 ** 20).toFixed(0)} MiB`,
      ],
    ];
  } finally {
    await rm(directory, { recursive: true });
  }
}
