import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  allFinite,
  argmax,
  cosineDistance,
  crossEntropy,
  crossEntropyOfProbabilities,
} from '../../src/runtime/model-metrics.ts';

/** By the definition, for numbers of a size whose exponentials neither overflow nor vanish. */
function plainCrossEntropy(logits: readonly number[], label: number): number {
  const exponentials = logits.map((logit) => Math.exp(logit));
  return -Math.log(exponentials[label] / exponentials.reduce((a, b) => a + b));
}

function assertClose(actual: number, expected: number, tolerance = 1e-12): void {
  const difference = Math.abs(actual - expected);
  assert.ok(
    difference <= tolerance * Math.max(1, Math.abs(expected)),
    `${actual} is not close to ${expected}`,
  );
}

const logits = fc.array(fc.double({ min: -30, max: 30, noNaN: true }), { minLength: 1, maxLength: 20 });
const labelled = logits.chain((values) => fc.tuple(fc.constant(values), fc.nat(values.length - 1)));

describe('the cross-entropy', () => {
  test('is -log softmax, wherever in an array the logits are', () => {
    fc.assert(
      fc.property(labelled, fc.nat(5), ([values, label], offset) => {
        const numbers = Float64Array.from([...new Array(offset).fill(99), ...values, 99]);
        assertClose(crossEntropy(numbers, offset, values.length, label), plainCrossEntropy(values, label));
      }),
    );
  });

  test('does not change when every logit moves by the same amount', () => {
    fc.assert(
      fc.property(labelled, fc.double({ min: -1e6, max: 1e6, noNaN: true }), ([values, label], shift) => {
        const loss = crossEntropy(Float64Array.from(values), 0, values.length, label);
        const moved = Float64Array.from(values, (value) => value + shift);
        assertClose(crossEntropy(moved, 0, values.length, label), loss, 1e-8);
      }),
    );
  });

  test('is never negative, and falls as the logit of the label rises', () => {
    fc.assert(
      fc.property(labelled, fc.double({ min: 0.1, max: 10, noNaN: true }), ([values, label], rise) => {
        const numbers = Float64Array.from(values);
        const loss = crossEntropy(numbers, 0, values.length, label);
        numbers[label] += rise;
        assert.ok(loss >= 0);
        assert.ok(crossEntropy(numbers, 0, values.length, label) <= loss);
      }),
    );
  });

  test('overflows for no size of logits', () => {
    const huge = Float32Array.from([3e38, -3e38, 2e38]);
    assert.equal(crossEntropy(huge, 0, 3, 0), 0);
    assert.equal(crossEntropy(huge, 0, 3, 2), huge[0] - huge[2]);
    assert.equal(crossEntropy(huge, 0, 3, 1), huge[0] - huge[1]);
    assertClose(crossEntropy(Float64Array.from([1e300, 1e300]), 0, 2, 1), Math.LN2);
  });

  test('of probabilities is that of the logits they came from', () => {
    fc.assert(
      fc.property(labelled, ([values, label]) => {
        const exponentials = values.map((value) => Math.exp(value));
        const sum = exponentials.reduce((a, b) => a + b);
        const probabilities = Float64Array.from(exponentials, (exponential) => exponential / sum);
        const loss = crossEntropyOfProbabilities(probabilities, 0, values.length, label, Number.MIN_VALUE);
        assertClose(loss, plainCrossEntropy(values, label), 1e-10);
      }),
    );
  });

  test('of a probability that has become 0 is that of the least number above 0', () => {
    const loss = crossEntropyOfProbabilities(Float32Array.from([1, 0]), 0, 2, 1, 2 ** -149);
    assertClose(loss, 149 * Math.LN2);
  });
});

describe('the cosine distance', () => {
  const number = fc.double({ min: -1e3, max: 1e3, noNaN: true });
  const pairs = fc.array(fc.tuple(number, number), { minLength: 1, maxLength: 12 });
  const vectorsOf = (pairs: readonly (readonly [number, number])[]) =>
    [0, 1].map((side) => Float64Array.from([9, ...pairs.map((pair) => pair[side]), 9]));

  test('is half the squared distance of the directions, in [0, 2] and either way the same', () => {
    fc.assert(
      fc.property(pairs, (drawn) => {
        const [a, b] = vectorsOf(drawn);
        const norms = [a, b].map((vector) => Math.hypot(...vector.subarray(1, -1)));
        fc.pre(norms.every((norm) => norm > 1e-100));
        const found = cosineDistance(a, b, 1, drawn.length);
        const squares = drawn.reduce((sum, [x, y]) => sum + (x / norms[0] - y / norms[1]) ** 2, 0);
        assertClose(found, squares / 2, 1e-9);
        assert.ok(found >= 0 && found <= 2);
        assert.equal(cosineDistance(b, a, 1, drawn.length), found);
      }),
    );
  });

  test('is 0 of what stays as it is, 2 of what is turned round, and not that of a length', () => {
    fc.assert(
      fc.property(pairs, (drawn) => {
        const [a] = vectorsOf(drawn);
        assert.equal(cosineDistance(a, a, 1, drawn.length), 0);
        fc.pre(Math.hypot(...a.subarray(1, -1)) > 1e-100);
        assertClose(
          cosineDistance(
            a,
            a.map((x) => 3 * x),
            1,
            drawn.length,
          ),
          0,
        );
        assertClose(
          cosineDistance(
            a,
            a.map((x) => -2 * x),
            1,
            drawn.length,
          ),
          2,
        );
      }),
    );
  });

  test('is 1 where one vector has no direction, and no number where one is not finite', () => {
    const [zeros, ones] = [new Float64Array(3), new Float64Array(3).fill(1)];
    assert.deepEqual([cosineDistance(zeros, ones, 0, 3), cosineDistance(ones, zeros, 0, 3)], [1, 1]);
    assert.equal(cosineDistance(zeros, zeros, 0, 3), 0);
    for (const broken of [Number.NaN, Number.POSITIVE_INFINITY])
      for (const dense of [zeros, ones])
        assert.ok(Number.isNaN(cosineDistance(dense, ones.with(1, broken), 0, 3)));
  });
});

test('of equal numbers the first is the largest', () => {
  assert.equal(argmax(Float32Array.from([9, 1, 5, 5, 2]), 1, 4), 1);
  assert.equal(argmax(Float32Array.from([-3, -3]), 0, 2), 0);
});

test('NaN and both infinities are not finite, and those beside the range do not matter', () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const numbers = Float32Array.from([value, 1, 2, value]);
    assert.equal(allFinite(numbers, 1, 2), true);
    assert.equal(allFinite(numbers, 0, 2), false);
    assert.equal(allFinite(numbers, 1, 3), false);
  }
});
