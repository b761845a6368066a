import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLOCK, BLOCK_PARTIALS, RADIX_BINS, significantDigits } from '../../src/core/kernel.ts';
import { distributeTies, type Selection, selectThreshold } from '../../src/core/selection.ts';
import { effectiveSampleSize, keepCount, statisticsOfBlocks } from '../../src/core/statistics.ts';
import { WasmKernel } from '../../src/core/wasm-kernel.ts';
import { createRandom, decideBySorting, gaussian } from './oracle.ts';

const random = createRandom(5);
const n = 11 * BLOCK + 77;
const scores = Float32Array.from({ length: n }, () => Math.round(gaussian(random) * 50) / 50);

/** Selects with `threads` kernels that take chunks of `blocks` blocks in turn, then writes the keep mask by chunk. */
async function selectInChunks(
  blocks: number,
  threads: number,
): Promise<{ selection: Selection; keepMask: Uint8Array }> {
  const size = blocks * BLOCK;
  const kernels = Array.from({ length: threads }, () => new WasmKernel(size));
  const starts = Array.from({ length: Math.ceil(n / size) }, (_, i) => i * size);
  const onEach = (work: (kernel: WasmKernel, start: number, chunk: number) => void) => {
    // Last chunk first: nothing may depend on the order.
    for (const [chunk, start] of [...starts.entries()].reverse()) {
      const kernel = kernels[chunk % threads];
      const part = scores.slice(start, start + size);
      kernel.input('float32', part.length).set(new Uint8Array(part.buffer));
      kernel.load('float32', part.length);
      work(kernel, start, chunk);
    }
  };
  const gather = () => {
    const total = new Float64Array(RADIX_BINS);
    for (const kernel of kernels)
      kernel.takeHistogram().forEach((count, bin) => {
        total[bin] += count;
      });
    return total;
  };
  const partials = new Float64Array(Math.ceil(n / BLOCK) * BLOCK_PARTIALS);
  const selection = await selectThreshold(
    {
      keyDigits: kernels[0].digits,
      significantDigits: significantDigits(kernels[0], 'float32'),
      async summarize() {
        onEach((kernel, start) => void kernel.summarize(partials, (start / BLOCK) * BLOCK_PARTIALS));
        return { statistics: statisticsOfBlocks(partials, n), histogram: gather() };
      },
      async refine(digit, prefix) {
        onEach((kernel) => kernel.refine(digit, prefix));
        return gather();
      },
    },
    (statistics) => keepCount(effectiveSampleSize(statistics), 1, statistics.n),
  );
  assert.ok(selection);
  const tied = new Float64Array(starts.length);
  onEach((kernel, _, chunk) => {
    tied[chunk] = kernel.rank(selection.threshold).tied;
  });
  const ties = distributeTies(tied, selection.tiesKept);
  const keepMask = new Uint8Array(Math.ceil(n / 8));
  onEach((kernel, start, chunk) => {
    keepMask.set(
      kernel.keepMask(selection.threshold, ties[chunk], new Float64Array(blocks), 0, 1),
      start / 8,
    );
  });
  return { selection, keepMask };
}

test('the selection is the same to the last bit whatever the chunks and threads', async () => {
  const whole = await selectInChunks(16, 1);
  const want = decideBySorting(scores, 1);
  assert.equal(whole.selection.nKeep, want.nKeep);
  assert.equal(whole.selection.threshold, want.threshold);
  assert.equal(whole.selection.above + whole.selection.tiesKept, want.nKeep);
  assert.ok(whole.selection.tiesKept < whole.selection.tied, 'the case must cut ties');
  const kept = want.kept.map((index) => (whole.keepMask[index >> 3] >> (index & 7)) & 1);
  assert.ok(kept.every((bit) => bit === 1));
  for (const [blocks, threads] of [
    [1, 1],
    [1, 3],
    [2, 2],
    [5, 2],
  ]) {
    assert.deepEqual(await selectInChunks(blocks, threads), whole);
  }
});

test('ties go to the first parts', () => {
  assert.deepEqual([...distributeTies([2, 0, 3, 4], 4)], [2, 0, 2, 0]);
  assert.deepEqual([...distributeTies([2, 3], 5)], [2, 3]);
  assert.deepEqual([...distributeTies([2, 3], 0)], [0, 0]);
});

test('scores that changed between two passes are noticed', async () => {
  const statistics = { n: 10, max: 1, scaleExponent: 0, sum: 10, sumOfSquares: 10 };
  const histogram = new Uint32Array(RADIX_BINS);
  histogram[0x3f80] = 10;
  const passes = {
    keyDigits: 2,
    significantDigits: 2,
    summarize: async () => ({ statistics, histogram }),
    refine: async () => new Uint32Array(RADIX_BINS),
  };
  await assert.rejects(
    selectThreshold(passes, () => 10),
    /did they change/,
  );
  assert.equal(
    await selectThreshold(
      { ...passes, summarize: async () => ({ statistics: { ...statistics, max: 0 }, histogram }) },
      () => 1,
    ),
    null,
  );
});
