import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { reasonNotToEdit } from '../../src/repair/editable-tensors.ts';
import { TensorEdits } from '../../src/repair/tensor-edits.ts';
import { testFolder } from '../criteria/run-criterion.ts';
import { encode, floats, model, node } from '../models/build-model.ts';

function external(name: string, offset: number): TensorProto {
  const tensor = floats(name, [4]);
  const entries = { location: 'data.bin', offset: `${offset}`, length: '16' };
  return create(TensorProtoSchema, {
    ...tensor,
    rawData: new Uint8Array(),
    dataLocation: 1,
    externalData: Object.entries(entries).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    ),
  });
}

async function place(t: TestContext) {
  const directory = await testFolder(t);
  const initializers = [
    floats('inside', [3]),
    create(TensorProtoSchema, {
      name: 'list',
      dims: [2n],
      dataType: TensorProto_DataType.FLOAT,
      floatData: [5, 6],
    }),
    create(TensorProtoSchema, {
      name: 'varints',
      dims: [2n],
      dataType: TensorProto_DataType.FLOAT16,
      int32Data: [1, 2],
    }),
    create(TensorProtoSchema, {
      name: 'whole',
      dims: [1n],
      dataType: TensorProto_DataType.INT64,
      int64Data: [1n],
    }),
    external('outside', 0),
    external('half', 16),
    external('other', 24),
  ];
  const proto = model({ nodes: [node('Relu', ['x'], ['y'])], initializers, inputs: ['x'], outputs: ['y'] });
  await writeFile(join(directory, 'model.onnx'), encode(proto));
  await writeFile(join(directory, 'data.bin'), new Float32Array(10).fill(7));
  const stored = await readStoredModel(directory, ['model.onnx', 'data.bin']);
  return { stored, directory };
}

describe('numbers of a model edited in place', () => {
  test('are undone to the byte, up to what was kept', async (t) => {
    const { stored, directory } = await place(t);
    const files = async () =>
      Promise.all(stored.inventory.files.map((file) => readFile(join(directory, file))));
    const scratch = await testFolder(t);
    const edits = new TensorEdits(stored, scratch);
    await edits.write('inside', Float64Array.of(-1, 0.5, 2));
    await edits.write('list', Float64Array.of(8, 9));
    await edits.keep();
    const kept = await files();
    assert.deepEqual([...(await edits.read('inside')), ...(await edits.read('list'))], [-1, 0.5, 2, 8, 9]);
    for (const value of [1, 2]) {
      await edits.write('outside', new Float64Array(4).fill(value));
      await edits.write('inside', new Float64Array(3).fill(value));
    }
    assert.deepEqual([...(await edits.read('outside'))], [2, 2, 2, 2]);
    await edits.undo();
    assert.deepEqual(await files(), kept);
    await edits.undo();
    assert.deepEqual(await files(), kept);
    await edits[Symbol.asyncDispose]();
    assert.deepEqual(await readdir(scratch), []);
    assert.ok(existsSync(directory));
  });

  test('need a place of their own that holds any number', async (t) => {
    const { inventory } = (await place(t)).stored;
    const reasons = inventory.tensors.map(({ name }) => [name, reasonNotToEdit(name, inventory)]);
    assert.deepEqual(Object.fromEntries(reasons), {
      inside: null,
      list: null,
      varints: 'keeps 16-bit floats as varints, whose length depends on the number',
      whole: 'is not stored as floats that can be edited in place',
      outside: null,
      half: 'shares its bytes with other',
      other: 'shares its bytes with half',
    });
  });
});
