import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { encode } from '../models/build-model.ts';
import {
  dynamicQuantizeMatMul,
  matMulInteger,
  matMulIntegerToFloat,
  matMulNBits,
  type QuantizedForm,
  qdq,
  qGemm,
  qLinearMatMul,
  quantizedPair,
} from '../models/quantized-models.ts';
import { FORMATS } from '../models/quantized-numbers.ts';
import { pruneFiles } from '../pipeline/prune-files.ts';
import { type Choice, checkRemovalOf, structuresOf, THREE_IN_TEN } from './removal-check.ts';

const TOLERANCE = 1e-5;
const HIDDEN = 72;
const ALL_BUT_ONE: Choice = ({ structures }) => structures.slice(1).map(({ root }) => root);

/** Each with the hidden units of every structure: blocks of 16 and what is left of them go as a whole. */
const FORMS: readonly (readonly [QuantizedForm, Readonly<Record<number, number>>])[] = [
  [qdq('int8 by columns', 17, { format: FORMATS.int8, along: 1, hasZeroPoints: true }), { 1: HIDDEN }],
  [qdq('int16', 21, { format: FORMATS.int16, along: 1, hasZeroPoints: true }), { 1: HIDDEN }],
  [qdq('int4 by columns', 21, { format: FORMATS.int4, along: 1, hasZeroPoints: true }), { 1: HIDDEN }],
  [
    qdq('uint4, one scale', 21, { format: FORMATS.uint4, along: 'tensor', hasZeroPoints: false }),
    { 1: HIDDEN },
  ],
  [
    qdq('uint4 in blocks', 21, { format: FORMATS.uint4, along: 0, block: 16, hasZeroPoints: true }),
    { 16: 4, 8: 1 },
  ],
  [qdq('int8 in blocks', 21, { format: FORMATS.int8, along: 0, block: 24, hasZeroPoints: true }), { 24: 3 }],
  [qLinearMatMul(1), { 1: HIDDEN }],
  [qGemm, { 1: HIDDEN }],
  [matMulInteger(1), { 1: HIDDEN }],
  [dynamicQuantizeMatMul, { 1: HIDDEN }],
  [matMulIntegerToFloat, { 1: HIDDEN }],
  [matMulNBits(4, 16, false), { 16: 4, 8: 1 }],
  // Zero points of two blocks share a byte.
  [matMulNBits(4, 16, true), { 32: 2, 8: 1 }],
  [matMulNBits(4, 16, true, false), { 32: 2, 8: 1 }],
  [matMulNBits(8, 16, true), { 16: 4, 8: 1 }],
];

describe('hidden units of quantized layers', () => {
  for (const [form, expected] of FORMS) {
    test(form.name, async (t) => {
      const directory = await mkdtemp(join(tmpdir(), 'emp-quantized-'));
      t.after(() => rm(directory, { recursive: true }));
      const pair = quantizedPair(form, HIDDEN);
      const path = join(directory, 'model.onnx');
      await writeFile(path, encode(pair.quantized));
      const { families } = await structuresOf(path);
      const units = families.map(({ structures }) => [
        structures[0].producers[0].positions.length,
        structures.length,
      ]);
      assert.deepEqual(Object.fromEntries(units), expected);
      for (const choice of [THREE_IN_TEN, ALL_BUT_ONE]) {
        await using checked = await checkRemovalOf(path, choice);
        assert.ok(checked.removed.size > 0);
        assert.ok(checked.masked <= TOLERANCE, `differs by ${checked.masked} from the masked model`);
      }
      // Norms are those of the weights that the numbers stand for.
      const recipe = {
        granularity: 'channel',
        criterion: 'l2_norm',
        round_to: 1,
        scope: 'layer',
        dry_run: true,
      };
      const dense = join(directory, 'dense.onnx');
      await writeFile(dense, encode(pair.dense));
      await using found = await pruneFiles(path, recipe);
      await using floats = await pruneFiles(dense, recipe);
      const [own] = found.report.structures?.families ?? [];
      const [twin] = floats.report.structures?.families ?? [];
      if (own.n === HIDDEN) assert.equal(own.mask_sha256, twin.mask_sha256);
      assert.equal(found.report.untouched.n, 0);
    });
  }
});
