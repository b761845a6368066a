import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Fetched } from '../src/formats/numbers.ts';
import { sharedFixtures } from '../test/shared.ts';
import { type FixtureGradients, openFixtureGradients } from './fixture-gradients.ts';
import {
  type Candidate,
  formatMilliseconds,
  formatRatio,
  formatTable,
  measureInterleaved,
  time,
} from './measure.ts';
import { type PythonBaselines, startPython } from './python.ts';

const FIXTURES = ['fc2-mnist', 'fc5-fashion', 'cnn-fashion', 'kan-mnist', 'llama-tiny'];
/** Samples. */
const BATCHES = [1, 7, 64];
/** With more, what is measured is how two libraries' waiting threads get along on few cores. */
const THREADS = 1;
const ROUNDS = 15;
const WARM_UP = 3;
/** A round repeats small batches for about this long, so that waking up from the other side's turn does not count. */
const ROUND_MS = 40;
/**
 * Between the two sides' gradients of a weight, by their l2 norms. Not by element: what enters a ReLU within rounding of 0 passes
 * on one side and not on the other, and so much moves single elements.
 */
const TOLERANCE = 1e-3;
const OURS = 'ours';
const TORCH = 'PyTorch';

const CHILD = fileURLToPath(new URL('gradients-child.ts', import.meta.url));
const run = promisify(execFile);

/** PyTorch, and the file in which it leaves gradients. */
interface Autograd {
  readonly python: PythonBaselines;
  readonly gradientsPath: string;
}

/** Loss and gradients of the fixtures' weights by their gradient graphs in onnxruntime, against PyTorch autograd. */
export async function benchGradients(): Promise<string> {
  const fixtures = sharedFixtures();
  if (fixtures === null) return 'Not measured: the fixtures, which lie beside the repository, are absent.';
  const directory = await mkdtemp(join(tmpdir(), 'emp-bench-'));
  const gradientsPath = join(directory, 'gradients.f32');
  const options = { args: [fixtures, gradientsPath], threads: THREADS };
  using python = await startPython('gradients-baseline.py', options);
  try {
    const rows: string[][] = [];
    const batchSizes: string[] = [];
    let largestDifference = 0;
    for (const fixture of FIXTURES) {
      await using gradients = await openFixtureGradients(fixtures, fixture);
      batchSizes.push(`${fixture} ${gradients.batchSize}`);
      for (const samples of BATCHES) {
        const feeds = await gradients.feedsOf(samples);
        await using session = await gradients.open(THREADS);
        const runOnce = () => session.run(feeds, gradients.fetches);
        const results = await runOnce();
        if (python) {
          await python.ask(`load ${fixture} ${samples}`);
          const difference = await compare(results, gradients, { python, gradientsPath });
          largestDifference = Math.max(largestDifference, difference);
        }
        const peak = await peakOf(fixtures, fixture, samples);
        rows.push([`${fixture}, ${samples}`, ...(await measureBatch(runOnce, python)), peak]);
      }
    }
    return [
      `Forward and backward pass of one batch, to the summed loss and the gradients of all prunable weights, by our gradient graph in onnxruntime with ${THREADS} thread;`,
      `medians of ${ROUNDS} rounds in milliseconds, interleaved.`,
      python
        ? `PyTorch's autograd is ${python.versions}; the ratio is ours to it. By its norm, no weight's gradient differs by more than ${largestDifference.toExponential(0)}.\n` +
          "PyTorch with Debian's reference BLAS in place of OpenBLAS multiplies twenty to thirty times slower, which would be all that the ratio says."
        : 'No Python with PyTorch and NumPy here: only ours was measured.',
      'The peak is that of a fresh process which reads the model, builds the graph and runs three batches of this size. The service itself',
      `takes batches of: ${batchSizes.join(', ')}.`,
      '',
      formatTable(['fixture, batch', OURS, TORCH, 'ratio', 'peak resident'], rows),
    ].join('\n');
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Milliseconds of a batch on either side, and their ratio. */
async function measureBatch(
  runOnce: () => Promise<unknown>,
  python: PythonBaselines | null,
): Promise<string[]> {
  const repeats = Math.max(1, Math.round(ROUND_MS / (await time(runOnce))));
  const repeatedly = async () => {
    for (let repeat = 0; repeat < repeats; repeat++) await runOnce();
  };
  const candidates: Candidate[] = [{ name: OURS, measure: () => time(repeatedly) }];
  if (python) {
    const measure = async () => (await python.ask(`run ${repeats}`)).ms;
    candidates.push({ name: TORCH, measure });
  }
  const medians = await measureInterleaved(candidates, ROUNDS, WARM_UP);
  const [ours, torch] = [OURS, TORCH].map((name) => (medians.get(name) ?? Number.NaN) / repeats);
  return python
    ? [formatMilliseconds(ours), formatMilliseconds(torch), `**${formatRatio(ours / torch)}**`]
    : [formatMilliseconds(ours), '', ''];
}

/** Sees that both sides have the same loss and gradients. Returns the largest relative difference of a weight's gradient. */
async function compare(
  results: ReadonlyMap<string, Fetched>,
  { weights, fetches }: FixtureGradients,
  { python, gradientsPath }: Autograd,
): Promise<number> {
  const { value } = await python.ask('write');
  const [loss, ...ours] = fetches.map((name) => results.get(name)?.data as Float32Array);
  assert.ok(Math.abs(loss[0] - value) <= TOLERANCE * value, `the loss is ${loss[0]}, PyTorch's ${value}`);
  const theirs = new Float32Array((await readFile(gradientsPath)).slice().buffer);
  let start = 0;
  let largest = 0;
  for (const [index, weight] of weights.entries()) {
    const own = ours[index];
    const other = theirs.subarray(start, start + own.length);
    start += own.length;
    const difference = norm(own.map((term, i) => term - other[i])) / norm(other);
    assert.ok(difference <= TOLERANCE, `${weight}: its gradients differ by ${difference}`);
    largest = Math.max(largest, difference);
  }
  assert.equal(start, theirs.length);
  return largest;
}

function norm(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

/** What a process that runs such batches holds at most. */
async function peakOf(fixtures: string, fixture: string, samples: number): Promise<string> {
  const { stdout } = await run(process.execPath, [
    CHILD,
    fixtures,
    fixture,
    String(samples),
    String(THREADS),
  ]);
  const { peakBytes } = JSON.parse(stdout);
  return peakBytes === null ? '' : `${(peakBytes / 2 ** 20).toFixed(0)} MiB`;
}
