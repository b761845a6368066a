import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { TensorProto } from '../../../src/formats/onnx/onnx-schema.ts';
import { findLayerSites } from '../../../src/graph/onnx-inventory.ts';
import { OnnxModel } from '../../../src/graph/onnx-model.ts';
import { takenApart } from '../../../src/graph/passes/take-apart.ts';
import { openSession, UNOPTIMIZED } from '../../../src/runtime/session.ts';
import { RUNTIME } from '../../criteria/run-criterion.ts';
import { encode, floats, model, node, tensor } from '../../models/build-model.ts';
import { EXPERTS, HIDDEN, quantizedStack, STACKS, TOKENS } from '../../models/expert-stacks.ts';
import { bytesOf, tensorIn } from '../../models/quantized-models.ts';
import { gaussians } from '../../models/small-model.ts';
import { MICROSOFT } from '../../models/traced-model.ts';
import { pruneFiles } from '../prune-files.ts';

const ATTRIBUTES = { k: 2, activation_type: 'relu', normalize_routing_weights: 1 };
const RECIPES = [{ scope: 'global' }, { scope: 'row', beta: 0.7 }] as const;

const moe = (operator: string, inputs: string[], initializers: TensorProto[], attributes: object = {}) =>
  model({
    nodes: [node(operator, ['x', 'router', ...inputs], ['y'], { ...ATTRIBUTES, ...attributes }, MICROSOFT)],
    initializers,
    inputs: [
      ['x', [TOKENS, HIDDEN]],
      ['router', [TOKENS, EXPERTS]],
    ],
    outputs: [['y', [TOKENS, HIDDEN]]],
  });

async function outputsOf(bytes: Uint8Array): Promise<number[]> {
  await using session = await openSession(bytes, RUNTIME, UNOPTIMIZED);
  const feed = (shape: number[], seed: number) => ({
    dtype: 'float32',
    shape,
    data: gaussians(shape[0] * shape[1], seed),
  });
  const feeds = new Map([
    ['x', feed([TOKENS, HIDDEN], 1)],
    ['router', feed([TOKENS, EXPERTS], 2)],
  ]);
  const results = await session.run(feeds as never, ['y']);
  return Array.from(results.get('y')?.data ?? [], Number);
}

async function folderOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-experts-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

describe('experts in one operator', () => {
  const forms = [
    [4, 0, true],
    [4, 16, true],
    [8, 16, false],
  ] as const;
  for (const [bits, block, hasZeroPoints] of forms) {
    test(`QMoE of ${bits} bits, ${block === 0 ? 'by unit' : `in blocks of ${block}`}${hasZeroPoints ? ', zero points' : ''}: as MoE of what it stands for`, async (t) => {
      const directory = await folderOf(t);
      const stacks = STACKS.map((stack) => quantizedStack(stack, bits, block, hasZeroPoints));
      const [file, dense] = ['model.onnx', 'dense.onnx'].map((name) => join(directory, name));
      const inputs = ['w1', 'w1_scale', '', 'w2', 'w2_scale'];
      const zeros = hasZeroPoints ? ['', '', '', '', 'w1_zero', 'w2_zero'] : [];
      const attributes = { expert_weight_bits: bits, ...(block > 0 && { block_size: block }) };
      const stored = stacks.flatMap(({ initializers }) => initializers);
      await writeFile(file, encode(moe('QMoE', [...inputs, ...zeros], stored, attributes)));
      const weights = stacks.map(({ name, dims, initializers, dequantize }) =>
        tensor(name, dims, dequantize(bytesOf(initializers[0]))),
      );
      await writeFile(dense, encode(moe('MoE', ['w1', '', 'w2'], weights)));
      for (const recipe of RECIPES) {
        await using pruned = await pruneFiles(file, recipe);
        await using expected = await pruneFiles(dense, recipe);
        assert.deepEqual(pruned.report.total, expected.report.total);
        assert.ok(pruned.report.total.sparsity > 0.1);
        const written = new Uint8Array(await readFile(join(pruned.directory, 'model.onnx')));
        const whole = new Uint8Array(await readFile(join(expected.directory, 'dense.onnx')));
        for (const { name, dequantize } of stacks) {
          const found = dequantize(bytesOf(tensorIn(written, name)));
          assert.deepEqual(Buffer.from(found.buffer), Buffer.from(tensorIn(whole, name).rawData), name);
        }
        const [own, other] = [await outputsOf(written), await outputsOf(whole)];
        const largest = Math.max(...other.map(Math.abs));
        for (const [i, value] of own.entries()) assert.ok(Math.abs(value - other[i]) < 1e-5 * largest);
      }
    });
  }

  test('wanda refuses by name those of which it is not known what they compute', async () => {
    const stacks = STACKS.map(([name, units, features]) => floats(name, [EXPERTS, units, features]));
    const proto = moe('MoE', ['w1', '', 'w2'], stacks, { use_sparse_mixer: 1 });
    const sites = findLayerSites(takenApart(new OnnxModel(proto)));
    const reason = 'node MoE_y (MoE) chooses among its matrices inside the operator';
    for (const [name] of STACKS) assert.deepEqual(sites.get(name), { inputs: reason, outputs: reason });
  });

  test('weights that another layout packs are no part of a job', async (t) => {
    const directory = await folderOf(t);
    const stacks = STACKS.map((stack) => quantizedStack(stack, 4, 0, false));
    const stored = stacks.flatMap(({ initializers }) => initializers);
    for (const attributes of [{ quant_type: 'fp4' }, { weights_prepacked: 1 }]) {
      const proto = moe('QMoE', ['w1', 'w1_scale', '', 'w2', 'w2_scale'], stored, attributes);
      await writeFile(join(directory, 'model.onnx'), encode(proto));
      await assert.rejects(pruneFiles(join(directory, 'model.onnx'), {}), { code: 'no_prunable_tensors' });
    }
  });
});
