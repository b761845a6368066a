import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TensorProto } from '../../../src/formats/onnx/onnx-schema.ts';
import { encode, model } from '../../models/build-model.ts';
import {
  drawNumbers,
  FORMATS,
  pack,
  type QuantizedFormat,
  quantizedTensor,
} from '../../models/quantized-numbers.ts';
import { initializersOf, keepFirst, rewrite } from './rewritten.ts';

const INT2: QuantizedFormat = { name: 'INT2', bits: 2, least: -2 };

/** Rows and columns that stay: pieces begin and end within bytes. */
async function check(weight: TensorProto, numbers: readonly number[], columns: number, bits: number) {
  const rows = numbers.length / columns;
  const kept = [rows, columns].map((size) => [...Array(size).keys()].filter((at) => at % 3 !== 1));
  const { proto } = await rewrite(encode(model({ nodes: [], initializers: [weight] })), keepFirst(...kept));
  const [written] = initializersOf(proto);
  const expected = kept[0].flatMap((row) => kept[1].map((column) => numbers[row * columns + column]));
  assert.deepEqual(written.dims.map(Number), [kept[0].length, kept[1].length]);
  assert.deepEqual(Buffer.from(written.rawData), Buffer.from(pack(expected, bits)));
}

describe('parts of tensors whose elements share bytes', () => {
  for (const format of [FORMATS.int4, FORMATS.uint4, INT2]) {
    for (const encoding of ['raw', 'varint'] as const) {
      test(`${format.name} as ${encoding}`, async () => {
        const numbers = drawNumbers(format, [35, 61], 3);
        const weight = quantizedTensor('w', format, [35, 61], numbers, encoding);
        await check(weight, numbers, 61, format.bits);
      });
    }
  }

  test('more of them than are read at once', async () => {
    const numbers = drawNumbers(FORMATS.int4, [3, 900_001], 4);
    await check(quantizedTensor('w', FORMATS.int4, [3, 900_001], numbers), numbers, 900_001, 4);
  });
});
