import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FLOAT_DTYPES } from '../../src/core/dtype.ts';
import { narrow, widen } from '../../src/core/float-format.ts';
import { createRandom } from './oracle.ts';

/** All bfloat16 numbers that are finite and not below 0, ascending. */
const BFLOAT16 = Array.from(
  new Float32Array(Uint32Array.from({ length: 0x7f80 }, (_, bits) => bits << 16).buffer),
);

function roundTrip(values: readonly number[], dtype: (typeof FLOAT_DTYPES)[number]): number[] {
  const widened = new Float64Array(values.length);
  widen(narrow(Float64Array.from(values), dtype), dtype, widened);
  return [...widened];
}

describe('narrow', () => {
  test('leaves what a format can hold as it is', () => {
    for (const dtype of FLOAT_DTYPES) {
      const values = [0, 1, -1, 1.5, -0.0078125, 240];
      assert.deepEqual(roundTrip(values, dtype), values);
    }
    assert.deepEqual(roundTrip(BFLOAT16, 'bfloat16'), BFLOAT16);
  });

  test('rounds to the nearest bfloat16, to even at ties, from float64 in one step', () => {
    const random = createRandom(3);
    for (let i = 0; i < 2000; i++) {
      const at = Math.floor(random() * (BFLOAT16.length - 1));
      const [low, high] = [BFLOAT16[at], BFLOAT16[at + 1]];
      const middle = (low + high) / 2;
      const even = at % 2 === 0 ? low : high;
      const inside = low + random() * (high - low);
      const nearest = inside - low < high - inside ? low : high;
      const values = [middle, middle * (1 + 2 ** -50), middle * (1 - 2 ** -50), inside];
      const expected = [even, high, low, nearest];
      assert.deepEqual(roundTrip(values, 'bfloat16'), expected, `between ${low} and ${high}`);
      assert.deepEqual(
        roundTrip(
          values.map((value) => -value),
          'bfloat16',
        ),
        expected.map((value) => -value),
      );
    }
  });

  test('gives the largest finite number for what is beyond it', () => {
    const largest = { float16: 65504, bfloat16: BFLOAT16.at(-1), float32: 2 ** 128 - 2 ** 104 };
    for (const [dtype, most] of Object.entries(largest)) {
      assert.deepEqual(roundTrip([1e300, -Infinity], dtype as 'float16'), [most, -Number(most)]);
    }
    assert.deepEqual(roundTrip([Infinity], 'float64'), [Number.MAX_VALUE]);
  });
});
