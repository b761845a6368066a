import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { bytesSource } from '../../src/formats/byte-source.ts';
import type { ModelInventory, ModelTensor } from '../../src/formats/model.ts';
import { readSafetensorsHeader } from '../../src/formats/safetensors/header.ts';
import { KanCheckpoint, kanStructures } from '../../src/structure/kan-checkpoint.ts';
import { decode, type SmallTensor, writeSmallModel } from '../models/small-safetensors.ts';
import { inventoryOf } from '../pipeline/prune-files.ts';

const [INPUTS, HIDDEN, OUTPUTS, COEFFICIENTS, KNOTS] = [3, 4, 2, 5, 6];

function numbered(name: string, ...shape: number[]): SmallTensor {
  const length = shape.reduce((product, size) => product * size, 1);
  return { name, dtype: 'float32', shape, values: Array.from({ length }, (_, i) => i + 1) };
}

const CHECKPOINT: readonly SmallTensor[] = [
  numbered('kan.layers.0.base_weight', HIDDEN, INPUTS),
  numbered('kan.layers.0.spline_weight', HIDDEN, INPUTS, COEFFICIENTS),
  numbered('kan.layers.0.grid', INPUTS, KNOTS),
  numbered('kan.layers.1.base_weight', OUTPUTS, HIDDEN),
  numbered('kan.layers.1.spline_weight', OUTPUTS, HIDDEN, COEFFICIENTS),
  numbered('kan.layers.1.spline_scaler', OUTPUTS, HIDDEN),
  numbered('kan.layers.1.grid', HIDDEN, KNOTS),
  numbered('other.weight', 2, 2),
];

async function open(t: TestContext, tensors = CHECKPOINT): Promise<KanCheckpoint> {
  const model = await writeSmallModel(tensors);
  const inventory = await inventoryOf(model.directory, ['model.safetensors']);
  const checkpoint = await KanCheckpoint.open({ directory: model.directory, inventory });
  t.after(async () => {
    await checkpoint[Symbol.asyncDispose]();
    await model[Symbol.asyncDispose]();
  });
  return checkpoint;
}

function spline(name: string, ...shape: number[]): ModelTensor {
  return { name, dtype: 'float32', shape, role: 'weight', prunable: true, rows: null, data: null };
}

function inventoryOfShapes(tensors: readonly ModelTensor[]): ModelInventory {
  return { format: 'safetensors', files: ['model.safetensors'], tensors, nParameters: 0 };
}

describe('a KAN checkpoint', () => {
  test('has its hidden nodes for structures, with all that hangs on them', async (t) => {
    const { families } = (await open(t)).structures;
    assert.deepEqual(
      families.map(({ name, kind, structures }) => [name, kind, structures.length]),
      [['kan.layers.0.spline_weight', 'kan_node', HIDDEN]],
    );
    const { producers, consumers, sites } = families[0].structures[2];
    const shown = (places: typeof sites) =>
      places.map(({ tensor, axis, positions }) => [tensor, axis, ...positions]);
    assert.deepEqual(shown(producers), [
      ['kan.layers.0.spline_weight', 0, 2],
      ['kan.layers.0.base_weight', 0, 2],
    ]);
    assert.deepEqual(shown(consumers), [
      ['kan.layers.1.spline_weight', 1, 2],
      ['kan.layers.1.base_weight', 1, 2],
      ['kan.layers.1.spline_scaler', 1, 2],
    ]);
    assert.deepEqual(shown(sites.slice(5)), [['kan.layers.1.grid', 0, 2]]);
  });

  test('is written without some of them, everything else as it was', async (t) => {
    const checkpoint = await open(t);
    const [{ structures }] = checkpoint.structures.families;
    const target = await mkdtemp(join(tmpdir(), 'emp-kan-'));
    t.after(() => rm(target, { recursive: true }));
    const removed = new Set([structures[0].root, structures[2].root]);
    const { files, kept } = await checkpoint.write(removed, target, new AbortController().signal);
    assert.deepEqual(files, ['model.safetensors']);
    assert.deepEqual(kept.get('kan.layers.1.base_weight'), [null, [1, 3]]);
    const bytes = new Uint8Array(await readFile(join(target, 'model.safetensors')));
    const { tensors } = await readSafetensorsHeader(bytesSource(bytes));
    const isKept = (node: number) => node === 1 || node === 3;
    for (const { name, shape, values } of CHECKPOINT) {
      const written = tensors.find((tensor) => tensor.name === name);
      assert.ok(written);
      const axis = /0\.(base|spline)|1\.grid/.test(name) ? 0 : /1\.(base|spline)/.test(name) ? 1 : null;
      const inner = axis === null ? 1 : shape.slice(axis + 1).reduce((product, size) => product * size, 1);
      const expected = values.filter((_, i) => axis === null || isKept(Math.floor(i / inner) % HIDDEN));
      const own = bytes.subarray(written.offset, written.offset + written.byteLength);
      assert.deepEqual(decode(own, 'float32'), expected, name);
      assert.deepEqual(written.shape, axis === null ? shape : shape.with(axis, 2), name);
    }
  });

  test('without a second layer has none', async (t) => {
    const { families } = (await open(t, CHECKPOINT.slice(0, 3))).structures;
    assert.deepEqual(families, []);
  });

  test('in names of a thousand digits is looked for at once', () => {
    const named = Array.from({ length: 10_000 }, (_, index) =>
      spline(`${'1'.repeat(1000)}x${index}.spline_weight`, 2, 2),
    );
    const before = process.cpuUsage();
    kanStructures(inventoryOfShapes(named));
    assert.ok(process.cpuUsage(before).user < 2e6); // a pattern that tries every digit took over a minute
  });

  test('of a billion nodes without a number has none, and of a million with numbers is refused', () => {
    const of = (nodes: number, inputs: number) => [
      spline('0.spline_weight', nodes, inputs),
      spline('1.spline_weight', inputs, nodes),
    ];
    assert.deepEqual(kanStructures(inventoryOfShapes(of(1e9, 0))).families, []);
    assert.throws(() => kanStructures(inventoryOfShapes(of(1e6, 1))), {
      code: 'unsupported_model',
      message: /more than 500000 KAN nodes/,
    });
  });

  test('in shards is refused', async () => {
    const inventory = {
      format: 'safetensors',
      files: ['a.json', 'b.safetensors'],
      tensors: [],
      nParameters: 0,
    } as const;
    await assert.rejects(KanCheckpoint.open({ directory: '.', inventory }), {
      code: 'unsupported_model',
      message: /sharded checkpoint/,
    });
  });
});
