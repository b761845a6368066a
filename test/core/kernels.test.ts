import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BYTE_WIDTH, type FloatDtype } from '../../src/core/dtype.ts';
import { BLOCK, BLOCK_PARTIALS, type SelectionKernel, significantDigits } from '../../src/core/kernel.ts';
import { PlainKernel } from '../../src/core/plain-kernel.ts';
import { WasmKernel } from '../../src/core/wasm-kernel.ts';
import { createRandom, gaussian } from './oracle.ts';

const CAPACITY = 4 * BLOCK;
const wasm = new WasmKernel(CAPACITY);
const plain = new PlainKernel(CAPACITY);

const DISTRIBUTIONS: Readonly<Record<string, (random: () => number) => number>> = {
  gaussian,
  heavy: (random) => (random() < 0.5 ? -1 : 1) * random() ** -2,
  constant: () => -0.1,
  'mostly zeros': (random) => (random() < 0.95 ? (random() < 0.5 ? 0 : -0) : gaussian(random)),
  subnormal: (random) => gaussian(random) * 2 ** -133,
  'many ties': (random) => Math.round(gaussian(random) * 4) / 4,
  'all zero': () => -0,
};
const SIZES = [1, 7, 8, 15, 16, 17, 31, 4080, 4095, 4096, 4097, 4112, 8191, CAPACITY - 1, CAPACITY];
const DTYPES = ['float16', 'bfloat16', 'float32'] as const;

function encode(values: readonly number[], dtype: FloatDtype): Uint8Array {
  switch (dtype) {
    case 'float64':
      return new Uint8Array(Float64Array.from(values).buffer);
    case 'float32':
      return new Uint8Array(Float32Array.from(values).buffer);
    case 'float16':
      return new Uint8Array(Float16Array.from(values).buffer);
    case 'bfloat16':
      return new Uint8Array(
        Uint16Array.from(new Uint32Array(Float32Array.from(values).buffer), (bits) => bits >>> 16).buffer,
      );
  }
}

function load(kernel: SelectionKernel, bytes: Uint8Array, dtype: FloatDtype, sign?: 'abs' | 'clamp'): void {
  const count = bytes.byteLength / BYTE_WIDTH[dtype];
  kernel.input(dtype, count).set(bytes);
  kernel.load(dtype, count, sign);
}

/** Everything a kernel says about its focus, but histograms, whose keys differ from kernel to kernel. */
function observe(kernel: SelectionKernel, count: number, threshold: number, tiesKept: number) {
  const partials = new Float64Array(5 * BLOCK_PARTIALS).fill(-1);
  const kept = new Float64Array(6).fill(-1);
  return {
    largest: kernel.statistics(partials, 1),
    partials,
    rank: kernel.rank(threshold),
    keepMask: kernel.keepMask(threshold, tiesKept, kept, 1, 1).slice(),
    kept,
    top: [1, Math.ceil(count / 3), count].map((keep) => kernel.selectTop(keep)),
    firstNonFinite: kernel.firstNonFinite(),
    scores: Float64Array.from(kernel.scores),
  };
}

/** The threshold that keeps `keep` scores, found with the kernel's histograms. */
function selectByRadix(kernel: SelectionKernel, dtype: FloatDtype, keep: number): number[] {
  kernel.summarize(new Float64Array(5 * BLOCK_PARTIALS), 0);
  const digits: number[] = [];
  let left = keep;
  for (let prefix = 0; digits.length < significantDigits(kernel, dtype); ) {
    if (digits.length > 0) kernel.refine(digits.length, prefix);
    const counts = kernel.takeHistogram();
    let bin = counts.length - 1;
    while (counts[bin] < left) left -= counts[bin--];
    digits.push(bin);
    prefix = prefix * counts.length + bin;
    if (digits.length === significantDigits(kernel, dtype)) digits.push(counts[bin], left);
  }
  const [tied, tiesKept] = digits.splice(-2);
  const key = new DataView(new ArrayBuffer(8));
  digits.forEach((digit, i) => void key.setUint16(2 * i, digit));
  return [kernel.digits === 2 ? key.getFloat32(0) : key.getFloat64(0), tied, tiesKept];
}

describe('the two kernels agree bit for bit', () => {
  for (const [name, draw] of Object.entries(DISTRIBUTIONS)) {
    for (const dtype of DTYPES) {
      test(`${name}, ${dtype}`, () => {
        const random = createRandom(1);
        for (const size of SIZES) {
          const bytes = encode(
            Array.from({ length: size }, () => draw(random)),
            dtype,
          );
          for (const sign of ['abs', 'clamp'] as const) {
            load(plain, bytes, dtype, sign);
            load(wasm, bytes, dtype, sign);
            const middle = plain.selectTop(Math.ceil(size / 2));
            for (const threshold of [middle.threshold, 0, -1]) {
              for (const ties of [0, Math.ceil(middle.tied / 2), Number.POSITIVE_INFINITY]) {
                assert.deepEqual(observe(wasm, size, threshold, ties), observe(plain, size, threshold, ties));
              }
            }
            for (const keep of [1, Math.ceil(size / 2), size]) {
              const { threshold, tied, tiesKept } = plain.selectTop(keep);
              assert.deepEqual(selectByRadix(wasm, dtype, keep), [threshold, tied, tiesKept]);
              assert.deepEqual(selectByRadix(plain, dtype, keep), [threshold, tied, tiesKept]);
            }
          }
        }
      });
    }
  }

  test('every float16 and bfloat16 is widened exactly', () => {
    const all = new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer);
    const [large, oracle] = [new WasmKernel(65536), new PlainKernel(65536)];
    for (const dtype of ['float16', 'bfloat16'] as const) {
      load(large, all, dtype);
      load(oracle, all, dtype);
      assert.deepEqual(Float64Array.from(large.scores), oracle.scores);
      assert.equal(large.firstNonFinite(), oracle.firstNonFinite());
    }
  });

  test('a focus anywhere in the chunk sees nothing of its neighbours', () => {
    const random = createRandom(2);
    const values = Array.from({ length: 9000 }, () => gaussian(random));
    for (const dtype of DTYPES) {
      for (const [start, count] of [
        [0, 1],
        [1, 15],
        [3, 64],
        [5, 4096],
        [17, 4097],
        [4095, 4905],
        [8999, 1],
      ]) {
        const alone = encode(values.slice(start, start + count), dtype);
        load(plain, alone, dtype);
        const expected = observe(plain, count, 0.5, 1);
        // Larger by far than anything in the focus: a leak would show.
        const loud = values.map((value, i) => (i >= start && i < start + count ? value : 60000));
        for (const kernel of [plain, wasm]) {
          load(kernel, encode(loud, dtype), dtype);
          kernel.focus(start, count);
          assert.deepEqual(observe(kernel, count, 0.5, 1), expected);
          assert.deepEqual(selectByRadix(kernel, dtype, 1), Object.values(kernel.selectTop(1)));
        }
      }
    }
  });

  test('largest is NaN or Infinity where the focus has one, and firstNonFinite finds it', () => {
    const values = Array.from({ length: 5000 }, () => 1);
    for (const dtype of DTYPES) {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        for (const index of [0, 4095, 4096, 4999]) {
          const bytes = encode(values.with(index, bad), dtype);
          for (const kernel of [plain, wasm]) {
            load(kernel, bytes, dtype, 'clamp');
            assert.equal(kernel.statistics(new Float64Array(6), 0), Math.abs(bad));
            assert.equal(kernel.firstNonFinite(), index);
          }
        }
      }
    }
  });
});

describe('zeroDropped', () => {
  const random = createRandom(3);
  const values = Array.from({ length: 4999 }, () => -Math.abs(gaussian(random)) - 0.01);

  for (const dtype of DTYPES) {
    test(`zeroes ${dtype} scores where they are, and nothing around the focus`, () => {
      const bytes = encode(values, dtype);
      for (const kernel of [plain, wasm]) {
        load(kernel, bytes, dtype);
        const view = kernel.input(dtype, values.length);
        view.set(bytes);
        kernel.load(dtype, values.length);
        const scores = Float64Array.from(kernel.scores);
        kernel.focus(13, 4500);
        kernel.keepMask(0.7, 0, new Float64Array(2), 0, 1);
        kernel.zeroDropped('input');
        const expected = scores.map((score, i) => (i < 13 || i >= 4513 || Math.abs(score) > 0.7 ? score : 0));
        assert.deepEqual(Buffer.from(view), Buffer.from(encode([...expected], dtype)));
      }
    });
  }

  for (const byteWidth of [2, 4, 8] as const) {
    test(`zeroes weights of ${byteWidth} bytes by other scores`, () => {
      for (const kernel of [plain, wasm]) {
        const weights = kernel.weights(byteWidth, values.length).fill(0xff);
        load(kernel, encode(values, 'float32'), 'float32');
        kernel.keepMask(0.7, 0, new Float64Array(2), 0, 1);
        kernel.zeroDropped('weights');
        values.forEach((value, i) => {
          const element = weights.subarray(i * byteWidth, (i + 1) * byteWidth);
          assert.ok(element.every((byte) => byte === (Math.abs(value) > 0.7 ? 0xff : 0)));
        });
      }
    });
  }
});

test('a kernel refuses what it has no room for', () => {
  for (const kernel of [plain, wasm]) {
    assert.throws(() => kernel.input('float32', CAPACITY + 1), RangeError);
    assert.throws(() => kernel.weights(4, CAPACITY + 1), RangeError);
    load(kernel, encode([1, 2], 'float32'), 'float32');
    for (const keep of [0, 3, Number.NaN]) assert.throws(() => kernel.selectTop(keep), RangeError);
  }
  assert.throws(() => wasm.input('float64', 1), RangeError);
  assert.throws(() => new WasmKernel(BLOCK + 1), RangeError);
  assert.throws(() => new PlainKernel(0), RangeError);
});
