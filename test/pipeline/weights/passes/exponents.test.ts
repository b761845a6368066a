import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { BLOCK_PARTIALS } from '../../../../src/core/kernel.ts';
import { PlainKernel } from '../../../../src/core/plain-kernel.ts';
import { WasmKernel } from '../../../../src/core/wasm-kernel.ts';
import {
  ExponentCounter,
  type ExponentCounts,
  mergeExponents,
} from '../../../../src/pipeline/weights/passes/exponents.ts';

/** In a map's place of a power of two: too small for one. */
const ZERO = -10_000;

/** Counts by comparison with powers of two. */
function countByComparing(scores: ArrayLike<number>, smallest: number): Map<number, number> {
  const counts = new Map<number, number>();
  for (const score of Array.from(scores, Math.abs)) {
    let log2 = Math.floor(Math.log2(score));
    if (2 ** log2 > score) log2--; // the logarithm was rounded up to a whole number
    if (2 ** (log2 + 1) <= score) log2++;
    const key = score < smallest ? ZERO : log2;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

function asMap({ log2Min, counts, zero }: ExponentCounts): Map<number, number> {
  const entries = counts.map((count, i): [number, number] => [log2Min + i, count]);
  return new Map([...entries, [ZERO, zero] as [number, number]].filter(([, count]) => count > 0));
}

const byKey = (map: Map<number, number>) => [...map].sort(([a], [b]) => a - b);
const float = fc.oneof(
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, -0, 1, 2 ** -126, -(2 ** -127)),
);
const double = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, 2 ** -1022, 2 ** -1023),
);

describe('counts by power of two', () => {
  test('are the same from scores and from either kernel', () => {
    fc.assert(
      fc.property(fc.array(float), (values) => {
        const scores = Float32Array.from(values);
        const expected = byKey(countByComparing(scores, 2 ** -126));
        const counter = new ExponentCounter();
        counter.add(scores);
        assert.deepEqual(byKey(asMap(counter.take('float32'))), expected);
        counter.add(Float64Array.from(scores));
        assert.deepEqual(byKey(asMap(counter.take('float32'))), expected);
        for (const kernel of [new WasmKernel(4096), new PlainKernel(4096)]) {
          kernel.input('float32', scores.length).set(new Uint8Array(scores.buffer));
          kernel.load('float32', scores.length);
          kernel.summarize(new Float64Array(BLOCK_PARTIALS), 0);
          counter.addHistogram(kernel.takeHistogram(), kernel.digits);
          assert.deepEqual(byKey(asMap(counter.take('float32'))), expected);
        }
      }),
    );
  });

  test('reach down to the smallest normal float64 for float64 scores', () => {
    fc.assert(
      fc.property(fc.array(double), (values) => {
        const counter = new ExponentCounter();
        counter.add(Float64Array.from(values));
        assert.deepEqual(byKey(asMap(counter.take('float64'))), byKey(countByComparing(values, 2 ** -1022)));
      }),
    );
  });

  test('of parts add up to those of the whole', () => {
    fc.assert(
      fc.property(fc.array(float), fc.array(float), (a, b) => {
        const count = (values: number[]) => {
          const counter = new ExponentCounter();
          counter.add(Float32Array.from(values));
          return counter.take('float32');
        };
        assert.deepEqual(mergeExponents(count(a), count(b)), count([...a, ...b]));
      }),
    );
  });
});
