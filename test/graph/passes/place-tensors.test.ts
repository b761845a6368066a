import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { openFiles } from '../../../src/formats/file-source.ts';
import { type ModelProto, TensorProto_DataType } from '../../../src/formats/onnx/onnx-schema.ts';
import { readStoredModel } from '../../../src/graph/inventory.ts';
import { readOnnxModel } from '../../../src/graph/onnx-inventory.ts';
import { placeTensors } from '../../../src/graph/passes/place-tensors.ts';
import { testFolder } from '../../criteria/run-criterion.ts';
import { encode, floats, graph, model, node, tensor } from '../../models/build-model.ts';
import { moveOut } from '../../models/runtime-model.ts';
import { numbersIn } from './pass-check.ts';

async function place(t: TestContext, proto: ModelProto) {
  const [stored, directory] = [await testFolder(t), await testFolder(t)];
  await writeFile(join(stored, 'model.onnx'), encode(proto));
  const model = await readStoredModel(stored, ['model.onnx']);
  await using opened = new AsyncDisposableStack();
  const files = await openFiles(stored, ['model.onnx'], opened);
  const { proto: placed } = await readOnnxModel(files);
  await placeTensors(placed, {
    model,
    files,
    directory,
    floats: 'float32',
    signal: new AbortController().signal,
  });
  return { placed, directory };
}

describe('placeTensors', () => {
  test('keeps dtypes where it is asked to, and leaves what was made since the model was read', async (t) => {
    const [stored, directory] = [await testFolder(t), await testFolder(t)];
    const half = tensor(
      'half',
      [20, 30],
      Float16Array.from({ length: 600 }, (_, i) => i / 8),
    );
    const outside = floats('outside', [20, 30]);
    const proto = model({
      nodes: [node('MatMul', ['x', 'outside'], ['m']), node('MatMul', ['x', 'half'], ['y'])],
      initializers: [outside, half],
      outputs: ['m', 'y'],
    });
    await writeFile(join(stored, 'weights.bin'), moveOut(proto, 'weights.bin'));
    await writeFile(join(stored, 'model.onnx'), encode(proto));
    const inventory = await readStoredModel(stored, ['model.onnx', 'weights.bin']);
    await using opened = new AsyncDisposableStack();
    const files = await openFiles(stored, ['model.onnx', 'weights.bin'], opened);
    const { proto: placed } = await readOnnxModel(files);
    placed.graph?.initializer.push(floats('made', []));
    const { signal } = new AbortController();
    await placeTensors(placed, { model: inventory, files, directory, floats: 'as stored', signal });
    const [moved, kept, made] = placed.graph?.initializer ?? [];
    assert.equal(kept.dataType, TensorProto_DataType.FLOAT16);
    assert.deepEqual(
      [moved, kept].map(({ externalData }) => externalData.find(({ key }) => key === 'location')?.value),
      ['source/weights.bin', 'source/model.onnx'],
    );
    assert.deepEqual(numbersIn(made), numbersIn(floats('', [])));
  });

  test('links large tensors of the main graph, copies those of branches, keeps small ones', async (t) => {
    const branch = graph({
      nodes: [node('MatMul', ['x', 'inner'], ['r'])],
      initializers: [floats('inner', [20, 20])],
      outputs: ['r'],
    });
    const proto = model({
      nodes: [
        node('If', ['yes'], ['h'], { then_branch: branch, else_branch: branch }),
        node('MatMul', ['h', 'w'], ['m']),
        node('Add', ['m', 'bias'], ['y']),
      ],
      initializers: [floats('w', [20, 30]), floats('bias', [30])],
      inputs: ['x', 'yes'],
      outputs: ['y'],
    });
    const { placed, directory } = await place(t, proto);
    const [w, bias] = placed.graph!.initializer;
    const [inner] = placed.graph!.node[0].attribute.flatMap(({ g }) => g!.initializer);
    assert.deepEqual(numbersIn(bias), numbersIn(floats('', [30])));
    for (const [tensor, file, dims] of [
      [w, 'source/model.onnx', [20, 30]],
      [inner, 'tensors.bin', [20, 20]],
    ] as const) {
      const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
      assert.equal(entries.get('location'), file);
      const bytes = await readFile(join(directory, file));
      const start = Number(entries.get('offset'));
      const found = new Float32Array(bytes.buffer.slice(start, start + Number(entries.get('length'))));
      assert.deepEqual([...found], numbersIn(floats('', dims)));
    }
  });

  test('widens other floats', async (t) => {
    const half = Object.assign(floats('w', [3]), {
      dataType: TensorProto_DataType.FLOAT16,
      rawData: new Uint8Array(Float16Array.of(1, -0.5, 4).buffer),
    });
    const proto = model({ nodes: [node('Neg', ['w'], ['y'])], initializers: [half], outputs: ['y'] });
    const { placed } = await place(t, proto);
    const [w] = placed.graph!.initializer;
    assert.equal(w.dataType, TensorProto_DataType.FLOAT);
    assert.deepEqual(numbersIn(w), [1, -0.5, 4]);
  });
});
