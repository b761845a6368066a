/** Takes every fourth channel from a detector, repairs it by `least_squares` and prints what that took and left, in a process of its own so that its memory can be measured. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SampleSet } from '../src/formats/sample-set.ts';
import type { StoredModel } from '../src/formats/stored-model.ts';
import { readStoredModel } from '../src/graph/inventory.ts';
import { keptUnitsOf } from '../src/pipeline/structures/write.ts';
import { repairByLeastSquares } from '../src/repair/least-squares.ts';
import { TensorEdits } from '../src/repair/tensor-edits.ts';
import { readBatches } from '../src/runtime/batches.ts';
import { openSession } from '../src/runtime/session.ts';
import { StructuredModel } from '../src/structure/structured-model.ts';
import { writeArray } from '../test/runtime/samples.ts';
import { writeDetector } from './detector.ts';
import { createGaussian } from './gaussian.ts';
import { peakBytes } from './peak-memory.ts';

const COLOURS = 3;
const WAVES = 6;
/** Images that the repair does not see, for the loss. */
const HELD_OUT = 8;

const [directory, samples, size, rows] = process.argv.slice(2);
const [nSamples, side] = [Number(samples), Number(size)];
const runtime = { providers: ['cpu'] as const, threads: 2 };
const { signal } = new AbortController();
const at = (name: string) => join(directory, name);
for (const name of ['dense', 'pruned', 'scratch']) await mkdir(at(name));
const file = await writeDetector(at('dense'));
const dense = await readStoredModel(at('dense'), [file]);
const { pruned, keptUnits } = await takeChannels();
const calibration = await writeImages('calibration', nSamples, 1);
const heldOut = await writeImages('held-out', HELD_OUT, 2);
const edits = new TensorEdits(pruned, at('scratch'));
const pass = await measure(() => outputsOf(dense, calibration, () => {}));
const before = await lossOf();
const context = {
  dense,
  pruned,
  keptUnits,
  samples: calibration,
  scratchDirectory: at('scratch'),
  runtime,
  signal,
  onSamples() {},
  ...(rows === undefined ? {} : { rowsPerFeature: Number.POSITIVE_INFINITY }),
};
const repair = await measure(() => repairByLeastSquares(context, edits));
const peak = await peakBytes();
await edits[Symbol.asyncDispose]();
const parameters = dense.inventory.nParameters;
console.log(JSON.stringify({ parameters, pass, repair, peak, before, after: await lossOf() }));

async function takeChannels() {
  await using model = await StructuredModel.open({ model: dense, runtime, signal });
  const removed = model.structures.families.flatMap(({ structures }) =>
    structures.filter((_, i) => i % 4 === 1).map(({ root }) => root),
  );
  const { files, kept } = await model.write(new Set(removed), at('pruned'), signal, () => true);
  return { pruned: await readStoredModel(at('pruned'), files), keptUnits: keptUnitsOf(dense, kept) };
}

/** Sums of waves: neighbours go together, as in pictures. */
async function writeImages(name: string, count: number, seed: number): Promise<SampleSet> {
  const pixels = new Float32Array(count * COLOURS * side * side);
  const fill = createGaussian(seed);
  const waves = new Float32Array(4 * WAVES);
  for (let plane = 0; plane < count * COLOURS; plane++) {
    fill(waves);
    for (let at = 0; at < side * side; at++) {
      const [x, y] = [at % side, Math.floor(at / side)];
      let sum = 0.5;
      for (let i = 0; i < WAVES; i++) {
        const [across, down, height, phase] = waves.subarray(4 * i, 4 * i + 4);
        sum += 0.2 * height * Math.sin(((i + 1) * (across * x + down * y)) / 25 + 3 * phase);
      }
      pixels[plane * side * side + at] = sum;
    }
  }
  const array = await writeArray(directory, name, 'float32', [count, COLOURS, side, side], pixels);
  return { nSamples: count, inputs: [{ ...array, name: 'images' }], labels: null };
}

async function outputsOf(
  { directory: folder, inventory }: StoredModel,
  images: SampleSet,
  take: (output: Float32Array) => void,
): Promise<void> {
  await using session = await openSession(join(folder, inventory.files[0]), runtime);
  for await (const { feeds } of readBatches(images, 1, signal))
    take((await session.run(feeds, ['output'])).get('output')?.data as Float32Array);
}

/** The mean squared error of the pruned model to the dense one, to the mean square. */
async function lossOf(): Promise<number> {
  const expected: Float32Array[] = [];
  await outputsOf(dense, heldOut, (output) => expected.push(output.slice()));
  let [errors, squares, image] = [0, 0, 0];
  await outputsOf(pruned, heldOut, (output) => {
    const whole = expected[image++];
    for (let i = 0; i < whole.length; i++) {
      errors += (output[i] - whole[i]) ** 2;
      squares += whole[i] ** 2;
    }
  });
  return errors / squares;
}

/** Seconds, and those of processors. */
async function measure(work: () => Promise<unknown>) {
  const [start, used] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(used);
  return { seconds: (performance.now() - start) / 1e3, cpuSeconds: (user + system) / 1e6 };
}
