import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { gather, keptShape } from '../../src/formats/gather.ts';
import { elements } from '../models/build-model.ts';
import { type Kept, keptOf, pick } from './onnx/pick-elements.ts';

async function gathered(bytes: Uint8Array, shape: number[], kept: Kept, byteWidth: number) {
  let last = 0;
  const read = async (start: number, end: number) => {
    assert.ok(start >= last && end > start && end - start <= 2 ** 20, `${start} to ${end} after ${last}`);
    last = end;
    return bytes.subarray(start, end);
  };
  const pieces: Uint8Array[] = [];
  for await (const piece of gather(read, shape, kept, byteWidth)) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

/** Bytes that begin at an odd address and differ from their neighbours at every width. */
function noise(byteLength: number): Uint8Array {
  const bytes = new Uint8Array(byteLength + 1);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.imul(i + 1, 0x9e3779b1) >>> 24;
  return bytes.subarray(1);
}

async function check(shape: number[], kept: Kept, byteWidth: number): Promise<void> {
  const bytes = noise(elements(shape) * byteWidth);
  const [found, expected] = [
    await gathered(bytes, shape, kept, byteWidth),
    pick(bytes, shape, kept, byteWidth),
  ];
  assert.equal(Buffer.compare(found, expected), 0);
  assert.equal(found.byteLength, elements(keptShape(shape, kept)) * byteWidth);
}

const byteWidth = fc.constantFrom(1, 2, 4, 8, 16);
const caseOf = (shape: fc.Arbitrary<number[]>) =>
  shape.chain((sizes) => fc.tuple(fc.constant(sizes), fc.tuple(...sizes.map(keptOf)), byteWidth));

describe('what is gathered is what picking elements gives', () => {
  test('of random small shapes', async () => {
    const shape = fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(caseOf(shape), ([sizes, kept, width]) => check(sizes, kept, width)),
      { numRuns: 500 },
    );
  });

  const every = (size: number, step: number, first = 0) =>
    Array.from({ length: Math.ceil((size - first) / step) }, (_, i) => first + i * step);

  for (const [title, shape, kept, width] of [
    ['rows of several windows', [3, 700_000], [[0, 2], null], 4],
    ['more runs than a window holds, in one row', [400_000], [every(400_000, 2)], 1],
    ['rows of several windows, each with many runs', [2, 300_000], [null, every(300_000, 3, 1)], 4],
    ['more runs than a pattern holds', [50, 4000, 5], [every(50, 2, 1), every(4000, 3), [0, 1, 3]], 4],
    ['a whole axis around more runs than a pattern holds', [300, 2, 300], [null, null, every(300, 2)], 2],
    ['many short rows', [200_000, 2], [null, [1]], 4],
    ['a few elements far from each other', [3, 2 ** 19 - 1], [null, [5, 300_000]], 4],
    ['blocks', [600, 20, 64], [null, every(20, 3), null], 2],
    ['neighbours', [1000, 300], [null, every(300, 1, 100)], 4],
  ] as [string, number[], Kept, number][]) {
    test(`of ${title}`, () => check(shape, kept, width));
  }
});

test('positions that do not fit the shape are refused', () => {
  for (const kept of [[null], [null, [0, 3]], [null, [1, 1]], [null, [2, 1]], [null, [-1]]]) {
    assert.throws(() => keptShape([4, 3], kept), RangeError);
  }
  assert.deepEqual(keptShape([4, 3], [null, [0, 2]]), [4, 2]);
});
