import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { FloatDtype } from '../../../src/core/dtype.ts';
import {
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  TensorProto_DataType as Type,
} from '../../../src/formats/onnx/onnx-schema.ts';
import { createRandom, gaussian } from '../../core/oracle.ts';
import { encode as encodeModel, graph, model, modelFunction, node } from '../../models/build-model.ts';
import { decode, encode, readTensors, unpack } from '../../models/small-safetensors.ts';
import { empCount, naiveKeep, naiveRows } from '../oracle.ts';
import { inventoryOf, pruneFiles } from '../prune-files.ts';

const SIZE = 24;
const EXTERNAL = 'weights/model.data';
/** Bytes of the external file that belong to no tensor. */
const EXTERNAL_OFFSET = 64;

/** Every way in which a file can hold the `[in, out]` matrix of a MatMul, by name of the tensor. */
const WEIGHTS: Readonly<Record<string, FloatDtype>> = {
  raw: 'float32',
  float_list: 'float32',
  varints: 'float16',
  bfloat_varints: 'bfloat16',
  double_list: 'float64',
  external: 'float32',
  constant: 'float32',
  shared: 'float32',
  then_weight: 'float32',
  else_weight: 'float32',
  function_weight: 'float32',
};

const onnxType = {
  float16: Type.FLOAT16,
  bfloat16: Type.BFLOAT16,
  float32: Type.FLOAT,
  float64: Type.DOUBLE,
};

function tensor(
  name: string,
  fields: MessageInitShape<typeof TensorProtoSchema>,
  dtype: FloatDtype = 'float32',
): TensorProto {
  const dims = [BigInt(SIZE), BigInt(SIZE)];
  return create(TensorProtoSchema, { name, dims, dataType: onnxType[dtype], ...fields });
}

/** The bit patterns of 16-bit numbers, one an element. */
function bitPatterns(values: number[], dtype: FloatDtype): number[] {
  return Array.from(new Uint16Array(encode(values, dtype).slice().buffer));
}

/** `y = x` times all the matrices, one after the other, in a model of two files. */
function buildFiles(values: ReadonlyMap<string, number[]>): { onnx: Uint8Array; external: Uint8Array } {
  const of = (name: string) => values.get(name) ?? [];
  const raw = (name: string) =>
    tensor(name, { rawData: encode(of(name), 'float32') as Uint8Array<ArrayBuffer> });
  const entry = (key: string, value: string) => create(StringStringEntryProtoSchema, { key, value });
  const initializers = [
    raw('raw'),
    raw('shared'),
    tensor('float_list', { floatData: of('float_list') }),
    tensor('double_list', { doubleData: of('double_list') }, 'float64'),
    tensor('varints', { int32Data: bitPatterns(of('varints'), 'float16') }, 'float16'),
    tensor('bfloat_varints', { int32Data: bitPatterns(of('bfloat_varints'), 'bfloat16') }, 'bfloat16'),
    tensor('external', {
      dataLocation: 1,
      externalData: [
        entry('location', EXTERNAL),
        entry('offset', String(EXTERNAL_OFFSET)),
        entry('length', String(SIZE * SIZE * 4)),
      ],
    }),
  ];
  const branch = (name: string) =>
    graph({
      nodes: [node('MatMul', ['h9', name], [`${name}_out`])],
      initializers: [raw(name)],
      outputs: [[`${name}_out`, [3, SIZE]]],
    });
  const body = modelFunction(
    'Layer',
    ['x'],
    ['y'],
    [
      node('Constant', [], ['function_weight'], { value: raw('function_weight') }),
      node('MatMul', ['x', 'function_weight'], ['y']),
    ],
  );
  const cast = (name: string) => node('Cast', [name], [`${name}_cast`], { to: Type.FLOAT });
  const multiply = (from: number, name: string) => node('MatMul', [`h${from}`, name], [`h${from + 1}`]);
  const nodes = [
    multiply(0, 'raw'),
    multiply(1, 'float_list'),
    cast('varints'),
    multiply(2, 'varints_cast'),
    cast('bfloat_varints'),
    multiply(3, 'bfloat_varints_cast'),
    cast('double_list'),
    multiply(4, 'double_list_cast'),
    multiply(5, 'external'),
    node('Constant', [], ['constant'], { value: raw('constant') }),
    multiply(6, 'constant'),
    multiply(7, 'shared'),
    multiply(8, 'shared'),
    node('ReduceSum', ['h9'], ['sum'], { keepdims: 0 }),
    node('Sub', ['sum', 'sum'], ['zero']),
    node('Greater', ['sum', 'zero'], ['is_positive']),
    node('If', ['is_positive'], ['branch'], {
      then_branch: branch('then_weight'),
      else_branch: branch('else_weight'),
    }),
    node('Layer', ['branch'], ['y'], {}, 'local'),
  ];
  const onnx = encodeModel(
    model({ nodes, initializers, inputs: [['h0', [3, SIZE]]], outputs: [['y', [3, SIZE]]] }, [body]),
  );
  const external = new Uint8Array(EXTERNAL_OFFSET + SIZE * SIZE * 4).fill(0xab);
  external.set(encode(of('external'), 'float32'), EXTERNAL_OFFSET);
  return { onnx, external };
}

/** The model's outputs for an input and its negative, which take the If's two branches. */
async function run({ onnx, external }: { onnx: Uint8Array; external: Uint8Array }): Promise<number[]> {
  await using files = await writeModel({ onnx, external });
  const session = await InferenceSession.create(files.path);
  const input = Float32Array.from({ length: 3 * SIZE }, (_, i) => Math.sin(i));
  const outputs: number[] = [];
  for (const data of [input, input.map((x) => -x)]) {
    const { y } = await session.run({ h0: new Tensor('float32', data, [3, SIZE]) });
    outputs.push(...(y.data as Float32Array));
  }
  await session.release();
  return outputs;
}

async function writeModel({ onnx, external }: { onnx: Uint8Array; external: Uint8Array }) {
  const directory = await mkdtemp(join(tmpdir(), 'emp-encodings-'));
  await mkdir(join(directory, 'weights'));
  await writeFile(join(directory, 'model.onnx'), onnx);
  await writeFile(join(directory, EXTERNAL), external);
  return {
    directory,
    path: join(directory, 'model.onnx'),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}

/** What the definition keeps of every matrix, whose rows are the columns. */
function expectedKeep(values: ReadonlyMap<string, number[]>, scope: string): Map<string, boolean[]> {
  const count = empCount(1);
  const names = [...values.keys()];
  if (scope === 'global') {
    const all = naiveKeep([...values.values()].flat(), count);
    return new Map(names.map((name, i) => [name, all.slice(i * SIZE * SIZE, (i + 1) * SIZE * SIZE)]));
  }
  return new Map(
    [...values].map(([name, scores]) => {
      if (scope === 'layer') return [name, naiveKeep(scores, count)];
      const keep: boolean[] = [];
      for (const row of naiveRows({ outer: 1, reduced: SIZE, units: SIZE, inner: 1 })) {
        const kept = naiveKeep(
          row.map((i) => scores[i]),
          count,
        );
        for (const [i, flat] of row.entries()) keep[flat] = kept[i];
      }
      return [name, keep];
    }),
  );
}

describe('weights are pruned however an ONNX file holds them', () => {
  const random = createRandom(21);
  const dense = new Map(
    Object.entries(WEIGHTS).map(([name, dtype]) => {
      // Multiples of 1/64 have ties, and are exact in every dtype.
      const values = Array.from({ length: SIZE * SIZE }, () => Math.round(gaussian(random) * 16) / 64);
      return [name, decode(encode(values, dtype), dtype)];
    }),
  );

  for (const scope of ['global', 'layer', 'row']) {
    test(`scope ${scope}: the pruned model computes what one built from the zeroed weights does`, async () => {
      await using files = await writeModel(buildFiles(dense));
      const names = ['model.onnx', EXTERNAL];
      const inventory = await inventoryOf(files.directory, names);
      const weights = inventory.tensors.filter(({ prunable }) => prunable);
      assert.deepEqual(weights.map(({ name }) => name).sort(), Object.keys(WEIGHTS).sort());
      const inOrder = new Map(weights.map(({ name }) => [name, dense.get(name) ?? []]));
      const keep = expectedKeep(inOrder, scope);

      await using pruned = await pruneFiles(files.path, { scope }, { inventory });
      const masks = await readTensors(join(pruned.directory, 'masks.safetensors'));
      for (const [name, expected] of keep) {
        assert.deepEqual(unpack(masks.get(name) ?? new Uint8Array(), SIZE * SIZE), expected, name);
      }
      const zeroed = new Map(
        [...dense].map(([name, list]) => [name, list.map((w, i) => (keep.get(name)?.[i] ? w : 0))]),
      );
      const [onnx, external] = await Promise.all(names.map((name) => readFile(join(pruned.directory, name))));
      const expectedFiles = buildFiles(zeroed);
      assert.deepEqual(new Uint8Array(external), expectedFiles.external);
      assert.equal(onnx.byteLength, (await readFile(files.path)).byteLength);
      const outputs = await run({ onnx, external });
      assert.deepEqual(outputs, await run(expectedFiles));
      assert.notDeepEqual(outputs, await run(buildFiles(dense)));
    });
  }
});
