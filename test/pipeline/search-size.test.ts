import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MAX_SIZES, searchSize } from '../../src/pipeline/search-size.ts';

/** A model whose size grows with beta, in steps of a given height, up to `most` at beta `whole`. */
function steps({ least, most, whole, height, power }: Model) {
  const seen = new Set<number>();
  const measure = async (beta: number) => {
    const kept = Math.min(1, beta / whole) ** power;
    const size = least + height * Math.floor((kept * (most - least)) / height);
    const isNew = !seen.has(size);
    seen.add(size);
    return { point: { beta, sparsity: kept >= 1 ? 0 : 1 - kept, size }, isNew };
  };
  return { seen, measure };
}

interface Model {
  readonly least: number;
  readonly most: number;
  readonly whole: number;
  readonly height: number;
  readonly power: number;
}

const anyModel = fc
  .record({
    least: fc.integer({ min: 0, max: 10_000 }),
    more: fc.integer({ min: 1, max: 1_000_000 }),
    whole: fc.double({ min: 1.001, max: 50, noNaN: true }),
    height: fc.integer({ min: 1, max: 50_000 }),
    power: fc.double({ min: 0.25, max: 4, noNaN: true }),
  })
  .map(({ least, more, ...rest }) => ({ least, most: least + more, ...rest }));

describe('a search by size', () => {
  test('comes within 2 % of the limit from below, or a step, in few models', async () => {
    await fc.assert(
      fc.asyncProperty(anyModel, fc.double({ min: 0.01, max: 1.2, noNaN: true }), async (model, share) => {
        const limit = Math.max(1, Math.round(share * model.most));
        const { seen, measure } = steps(model);
        const { point, isWithin, evaluations } = await searchSize(limit, measure);
        assert.ok(evaluations.length <= MAX_SIZES + 1, `${evaluations.length}`);
        assert.equal(evaluations.length, seen.size);
        const smallest = Math.min(...evaluations.map(({ size }) => size));
        assert.equal(isWithin, smallest <= limit);
        if (!isWithin) return assert.equal(point.size, smallest);
        assert.ok(point.size <= limit);
        const isNear = limit - point.size <= Math.max(0.02 * limit, model.height);
        assert.ok(isNear || point.sparsity === 0, `${point.size} of ${limit}`);
      }),
      { numRuns: 2000 },
    );
  });

  test('comes as near where size grows with a power of what is kept', async () => {
    const model = { least: 0, most: 61_250, whole: 1.001, height: 10, power: 1.9172867452534246 };
    const { point } = await searchSize(613, steps(model).measure);
    assert.equal(point.size, 610);
  });

  test('takes the smallest model where none is within the limit, and the dense one where that is', async () => {
    const model = { least: 500, most: 1000, whole: 2, height: 1, power: 1 };
    const none = await searchSize(100, steps(model).measure);
    assert.deepEqual([none.isWithin, none.point.size, none.evaluations.length], [false, 500, 2]);
    const all = await searchSize(1000, steps(model).measure);
    assert.deepEqual([all.isWithin, all.point.size, all.point.sparsity], [true, 1000, 0]);
  });

  test('finds a model within the limit where size does not grow evenly', async () => {
    // Rounding and compression make a larger beta smaller here and there.
    const measure = async (beta: number) => {
      const kept = Math.min(1, beta / 3);
      const size = Math.round(10_000 * kept + 60 * Math.sin(90 * beta));
      return { point: { beta, sparsity: 1 - kept, size }, isNew: true };
    };
    const { point, isWithin } = await searchSize(6000, measure);
    assert.ok(isWithin && point.size <= 6000 && point.size >= 0.98 * 6000, String(point.size));
  });
});
