import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { squaresAlong } from '../../src/criteria/weight-chunks.ts';
import type { ModelTensor, TensorData } from '../../src/formats/model.ts';
import { elements } from '../models/build-model.ts';
import { drawNumbers, FORMATS, pack } from '../models/quantized-numbers.ts';
import { NEVER } from '../models/traced-model.ts';

/** Bytes of weights, which have as many numbers for each row as `rowLength`. */
const FORMS = [
  {
    name: 'rows of blocks, the last padded',
    bits: 4,
    shape: [5, 3, 8],
    units: 5,
    features: 40,
    rowLength: 48,
  },
  { name: 'one row', bits: 4, shape: [1, 3, 8], units: 1, features: 40, rowLength: 48 },
  { name: 'experts of units', bits: 4, shape: [3, 5, 8], units: 15, features: 16, rowLength: 16 },
  {
    name: 'experts of units, a number a byte',
    bits: 8,
    shape: [3, 5, 8],
    units: 15,
    features: 8,
    rowLength: 8,
  },
] as const;

describe('squares along the axes of bytes that hold several weights', () => {
  for (const { name, bits, shape, units, features, rowLength } of FORMS) {
    test(name, async (t) => {
      const directory = await mkdtemp(join(tmpdir(), 'emp-packed-'));
      t.after(() => rm(directory, { recursive: true }));
      const numbers = drawNumbers({ ...FORMATS.uint8, bits }, [units, rowLength], units);
      const bytes = pack(numbers, bits);
      assert.equal(bytes.byteLength, elements(shape));
      await writeFile(join(directory, 'bytes'), bytes);
      await writeFile(join(directory, 'scale'), new Uint8Array(Float32Array.of(0.5).buffer));
      const dataIn = (file: string, byteLength: number): TensorData => ({
        encoding: 'dense',
        runs: [{ file, offset: 0, byteLength }],
      });
      const tensor: ModelTensor = {
        ...{ name: 'w', shape, dtype: 'uint8', role: 'weight', prunable: true, rows: null },
        data: dataIn('bytes', bytes.byteLength),
        quantization: {
          dtype: `uint${bits}`,
          axes: [
            { size: units, block: 1 },
            { size: features, block: 1 },
          ],
          rowLength,
          scale: { dtype: 'float32', n: 1, data: dataIn('scale', 4), strides: [0, 0] },
          zeroPoint: null,
          zero: 3,
        },
      };
      const inventory = {
        format: 'onnx',
        files: ['bytes', 'scale'],
        tensors: [tensor],
        nParameters: 0,
      } as const;
      for (const [axis, size] of shape.entries()) {
        const sums = new Float64Array(size);
        for (const [i, number] of numbers.entries()) {
          if (i % rowLength >= features) continue;
          const byte = Math.floor((i * bits) / 8);
          sums[Math.floor(byte / elements(shape.slice(axis + 1))) % size] += ((number - 3) / 2) ** 2;
        }
        assert.deepEqual(
          await squaresAlong(tensor, axis, { model: { directory, inventory }, signal: NEVER }),
          sums,
        );
      }
    });
  }
});
