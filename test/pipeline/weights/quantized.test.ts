import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { openSession, UNOPTIMIZED } from '../../../src/runtime/session.ts';
import { RUNTIME } from '../../criteria/run-criterion.ts';
import { encode } from '../../models/build-model.ts';
import {
  bytesOf,
  dynamicQuantizeMatMul,
  matMulInteger,
  matMulIntegerToFloat,
  matMulNBits,
  type QuantizedForm,
  qdq,
  qGemm,
  qLinearMatMul,
  quantizedPair,
  tensorIn,
} from '../../models/quantized-models.ts';
import { FORMATS } from '../../models/quantized-numbers.ts';
import { gaussians } from '../../models/small-model.ts';
import { writeArray } from '../../runtime/samples.ts';
import { pruneFiles } from '../prune-files.ts';

const { int8, uint8, int16, uint16, int4, uint4 } = FORMATS;

const FORMS: readonly QuantizedForm[] = [
  qdq('int8, one scale', 17, { format: int8, along: 'tensor', hasZeroPoints: false }),
  qdq('uint8, one scale and zero point', 17, { format: uint8, along: 'tensor', hasZeroPoints: true }),
  qdq('int8 by rows', 17, { format: int8, along: 0, hasZeroPoints: true }),
  qdq('int8 by columns', 17, { format: int8, along: 1, hasZeroPoints: true }),
  qdq('uint8 as varints', 17, { format: uint8, along: 1, hasZeroPoints: true, encoding: 'varint' }),
  qdq('int8 as varints', 17, { format: int8, along: 1, hasZeroPoints: false, encoding: 'varint' }),
  qdq('int16', 21, { format: int16, along: 1, hasZeroPoints: true }),
  qdq('uint16', 21, { format: uint16, along: 1, hasZeroPoints: true }),
  qdq('int4', 21, { format: int4, along: 'tensor', hasZeroPoints: true }),
  qdq('int4 as varints', 21, { format: int4, along: 1, hasZeroPoints: false, encoding: 'varint' }),
  qdq('uint4 by columns', 21, { format: uint4, along: 1, hasZeroPoints: true }),
  qdq('int8 in blocks', 21, { format: int8, along: 0, block: 16, hasZeroPoints: true }),
  qdq('int4 in blocks of columns', 21, { format: int4, along: 1, block: 8, hasZeroPoints: true }),
  qdq('uint4 in blocks', 21, { format: uint4, along: 0, block: 16, hasZeroPoints: true }),
  qLinearMatMul('tensor'),
  qLinearMatMul(1),
  qGemm,
  matMulInteger('tensor'),
  matMulInteger(1),
  dynamicQuantizeMatMul,
  matMulIntegerToFloat,
  matMulNBits(4, 16, false),
  matMulNBits(4, 16, true),
  matMulNBits(4, 32, true, false),
  matMulNBits(8, 16, true),
];

const RECIPES: readonly object[] = [
  { scope: 'global' },
  { scope: 'layer', beta: 0.7 },
  { scope: 'row', budget: { sparsity: 0.5 } },
];

describe('quantized weights are pruned as the weights that they stand for', () => {
  for (const form of FORMS) {
    test(form.name, async (t) => {
      const pair = await writePair(t, form);
      for (const recipe of RECIPES) {
        const { written, reports } = await comparePruned(pair, recipe, pair.layers);
        assert.deepEqual(reports[0].total, reports[1].total);
        await opens(written);
      }
    });
  }
});

describe('what floats go in is known of what quantizes them itself, or has them quantized before it', () => {
  for (const form of [
    matMulInteger('tensor'),
    matMulInteger(1),
    dynamicQuantizeMatMul,
    matMulIntegerToFloat,
  ]) {
    test(form.name, async (t) => {
      const pair = await writePair(t, form);
      const { calibration } = pair;
      // What the second layer gets is rounded.
      const [first] = pair.layers;
      const { reports } = await comparePruned(pair, { criterion: 'wanda', scope: 'layer' }, [first], {
        calibration,
      });
      assert.equal(reports[0].untouched.n, 0);
    });
  }
});

describe('what floats go in and out is known of MatMulNBits', () => {
  for (const form of FORMS.filter(({ name }) => name.startsWith('MatMulNBits'))) {
    test(form.name, async (t) => {
      const pair = await writePair(t, form);
      const { calibration } = pair;
      for (const criterion of ['wanda', 'activation']) {
        for (const scope of ['layer', 'row']) {
          const { reports } = await comparePruned(pair, { criterion, scope }, pair.layers, { calibration });
          assert.equal(reports[0].untouched.n, 0);
        }
      }
    });
  }
});

type WrittenPair = Awaited<ReturnType<typeof writePair>>;

/** A model with weights in a form, the same of floats, and samples for both, in a folder that goes with the test. */
async function writePair(t: TestContext, form: QuantizedForm) {
  const directory = await mkdtemp(join(tmpdir(), 'emp-quantized-'));
  t.after(() => rm(directory, { recursive: true }));
  const { quantized, dense, layers } = quantizedPair(form);
  const [file, floats] = [join(directory, 'model.onnx'), join(directory, 'dense.onnx')];
  await writeFile(file, encode(quantized));
  await writeFile(floats, encode(dense));
  const x = await writeArray(directory, 'x', 'float32', [32, 40], gaussians(32 * 40, 3));
  return { file, floats, layers, calibration: { nSamples: 32, inputs: [x], labels: null } };
}

/** Prunes both, and holds weights of the quantized model against those of floats, bit for bit. */
async function comparePruned(
  { file, floats }: WrittenPair,
  recipe: object,
  layers: WrittenPair['layers'],
  data: Partial<Pick<WrittenPair, 'calibration'>> = {},
) {
  await using pruned = await pruneFiles(file, recipe, data);
  await using expected = await pruneFiles(floats, recipe, data);
  const written = new Uint8Array(await readFile(join(pruned.directory, 'model.onnx')));
  const dense = new Uint8Array(await readFile(join(expected.directory, 'dense.onnx')));
  for (const { name, layer } of layers) {
    const found = layer.dequantize(bytesOf(tensorIn(written, name)));
    assert.deepEqual(Buffer.from(found.buffer), Buffer.from(tensorIn(dense, name).rawData), name);
  }
  return { written, reports: [pruned.report, expected.report] as const };
}

async function opens(bytes: Uint8Array): Promise<void> {
  await using session = await openSession(bytes, RUNTIME, UNOPTIMIZED);
  assert.equal(session.outputs.length, 1);
}
