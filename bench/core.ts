import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decide } from '../src/core/threshold.ts';
import { createGaussian } from './gaussian.ts';
import {
  type Candidate,
  formatMilliseconds,
  formatRatio,
  formatTable,
  measureInterleaved,
  time,
} from './measure.ts';
import { type PythonBaselines, startPython } from './python.ts';

/** Rounds by number of scores: the large ones spread less and take minutes. */
const SIZES = [
  { n: 1e5, rounds: 31, warmUp: 10 },
  { n: 1e6, rounds: 15, warmUp: 5 },
  { n: 1e7, rounds: 7, warmUp: 2 },
  { n: 1e8, rounds: 3, warmUp: 1 },
];
const OURS = 'decide';
const SORT = 'sort, same process';
const TORCH = 'paper in PyTorch (sort)';
const PARTITION = 'numpy.partition alone';

/** Threshold and keep mask of gaussian float32 scores in memory, against selection by sorting. */
export async function benchCore(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-bench-'));
  using python = await startPython('python-baselines.py');
  try {
    const rows: string[][] = [];
    for (const size of SIZES) rows.push(await benchSize(size, python, join(directory, 'scores.f32')));
    return [
      'Gaussian float32 scores in memory; from the scores to N_eff, exact threshold, packed keep mask and preserved mass. Medians in milliseconds,',
      `in brackets the ratio to \`decide\`; rounds interleaved. ${python ? `Python: ${python.versions}.` : 'No Python with PyTorch and NumPy here.'}`,
      'All ways keep the same number of scores (PyTorch, which sums in float32, within one in ten thousand).',
      '',
      formatTable(['scores', OURS, SORT, TORCH, PARTITION], rows),
    ].join('\n');
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function benchSize(
  { n, rounds, warmUp }: (typeof SIZES)[number],
  python: PythonBaselines | null,
  path: string,
): Promise<string[]> {
  const scores = new Float32Array(n);
  createGaussian(1)(scores);
  const bytes = new Uint8Array(scores.buffer);
  const { nKeep, keepMask } = await decide({ bytes, dtype: 'float32' });
  const sorted = decideBySorting(scores);
  assert.equal(sorted.nKeep, nKeep);
  assert.deepEqual(sorted.keepMask, keepMask);

  const candidates: Candidate[] = [
    { name: OURS, measure: () => time(() => decide({ bytes, dtype: 'float32' })) },
    { name: SORT, measure: () => time(() => decideBySorting(scores)) },
  ];
  if (python) {
    await writeFile(path, bytes);
    await python.ask(`load ${path}`);
    const { value } = await python.ask('rule');
    assert.ok(Math.abs(value - nKeep) <= 1e-4 * n, `PyTorch keeps ${value}, decide ${nKeep}`);
    const ask = async (command: string) => (await python.ask(command)).ms;
    candidates.push(
      { name: TORCH, measure: () => ask('rule') },
      { name: PARTITION, measure: () => ask(`partition ${nKeep}`) },
    );
  }
  const medians = await measureInterleaved(candidates, rounds, warmUp);
  const ours = medians.get(OURS) ?? Number.NaN;
  const cell = (name: string) => {
    const ms = medians.get(name);
    return ms === undefined ? '' : `${formatMilliseconds(ms)} (${formatRatio(ms / ours)} x)`;
  };
  return [`1e${Math.log10(n)}`, formatMilliseconds(ours), cell(SORT), cell(TORCH), cell(PARTITION)];
}

/** The rule as one would write it: sort, look up the threshold, compare; ties by index. */
function decideBySorting(scores: Float32Array): { nKeep: number; keepMask: Uint8Array } {
  const n = scores.length;
  const magnitudes = new Float32Array(n);
  let sum = 0;
  let sumOfSquares = 0;
  for (let i = 0; i < n; i++) {
    const magnitude = Math.abs(scores[i]);
    magnitudes[i] = magnitude;
    sum += magnitude;
    sumOfSquares += magnitude * magnitude;
  }
  const nKeep = Math.min(n, Math.max(1, Math.floor((sum / sumOfSquares) * sum * (1 + 2 ** -40))));
  const sorted = magnitudes.slice().sort();
  const threshold = sorted[n - nKeep];
  let ties = nKeep;
  for (let i = n - nKeep; i < n; i++) if (sorted[i] > threshold) ties -= 1;
  const keepMask = new Uint8Array((n + 7) >> 3);
  for (let i = 0; i < n; i++) {
    const keep = magnitudes[i] > threshold || (magnitudes[i] === threshold && ties-- > 0);
    if (keep) keepMask[i >> 3] |= 1 << (i & 7);
  }
  return { nKeep, keepMask };
}
