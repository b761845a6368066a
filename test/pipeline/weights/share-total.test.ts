import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RandomWords } from '../../../src/core/random-words.ts';
import { drawMove } from '../../../src/pipeline/weights/draw-move.ts';
import { shareByNEff } from '../../../src/pipeline/weights/share-total.ts';

interface Tensor {
  readonly n: number;
  readonly nEff: number;
}

/** One weight after the other, each for the tensor that the least beta gives one more: the first of equal ones. */
function shareOneByOne(tensors: readonly Tensor[], keep: number): number[] {
  const counts = tensors.map(() => 0);
  for (let left = keep; left > 0; left--) {
    const betas = tensors.map(({ n, nEff }, i) =>
      counts[i] < n ? (counts[i] + 1) / nEff : Number.POSITIVE_INFINITY,
    );
    counts[betas.indexOf(Math.min(...betas))]++;
  }
  return counts;
}

/** Powers of two, so that no beta is rounded and tensors tie. */
const tensor = fc
  .record({ n: fc.integer({ min: 1, max: 40 }), exponent: fc.integer({ min: 0, max: 5 }) })
  .map(({ n, exponent }): Tensor => ({ n, nEff: Math.min(2 ** exponent, 2 ** Math.floor(Math.log2(n))) }));

describe('a total shared at one beta', () => {
  test('is met exactly, each weight going where the least beta has it', () => {
    fc.assert(
      fc.property(
        fc.array(tensor, { minLength: 1, maxLength: 6 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (tensors, share) => {
          const keep = Math.round(share * tensors.reduce((sum, { n }) => sum + n, 0));
          assert.deepEqual(shareByNEff(tensors, keep), shareOneByOne(tensors, keep));
        },
      ),
    );
  });

  test('keeps to the size of each tensor, whatever its N_eff', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ n: fc.integer({ min: 1, max: 1e6 }), at: fc.double({ min: 0, max: 1, noNaN: true }) }),
          { minLength: 1, maxLength: 50 },
        ),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (given, share) => {
          const tensors = given.map(({ n, at }) => ({ n, nEff: 1 + at * (n - 1) }));
          const keep = Math.round(share * tensors.reduce((sum, { n }) => sum + n, 0));
          const counts = shareByNEff(tensors, keep);
          assert.equal(
            counts.reduce((sum, count) => sum + count, 0),
            keep,
          );
          assert.ok(counts.every((count, i) => count >= 0 && count <= tensors[i].n));
        },
      ),
    );
  });
});

test('a move takes weights from one tensor for another, within the limits of both', () => {
  const limits = [
    { least: 10, most: 100 },
    { least: 1, most: 1000 },
    { least: 50, most: 50 },
  ];
  const words = new RandomWords(7);
  const pairs = new Set<string>();
  for (let i = 0; i < 200; i++) {
    const counts = [10 + (i % 91), 1 + ((i * 37) % 1000), 50];
    const moved = drawMove(counts, limits, words);
    if (moved === null) continue;
    const changes = moved.map((count, tensor) => count - counts[tensor]);
    assert.equal(changes[0] + changes[1] + changes[2], 0);
    const [from, to] = [changes.findIndex((change) => change < 0), changes.findIndex((change) => change > 0)];
    const could = Math.min(0.9 * counts[from], limits[to].most - counts[to]);
    assert.ok(changes[to] >= 1 && changes[to] <= 0.25 * could);
    assert.ok(moved.every((count, tensor) => count >= limits[tensor].least && count <= limits[tensor].most));
    pairs.add(`${from} to ${to}`);
  }
  assert.deepEqual([...pairs].sort(), ['0 to 1', '1 to 0']);
  assert.equal(drawMove([5], [{ least: 1, most: 9 }], words), null);
});
