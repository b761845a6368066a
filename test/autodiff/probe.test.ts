import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { describe, type TestContext, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { probeValues } from '../../src/autodiff/probe.ts';
import {
  type NodeProto,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';
import { integers, node, tensor } from '../models/build-model.ts';
import { gaussians, smallModel } from '../models/small-model.ts';
import { prepareFiles } from './prepared.ts';

/** Probes a model with one input `x [n, 4]` on so many samples each. */
async function probe(
  t: TestContext,
  nodes: NodeProto[],
  initializers: TensorProto[],
  { counts = [2, 3], batch }: { counts?: number[]; batch?: number } = {},
) {
  const outputs = [nodes.at(-1)?.output[0] ?? ''];
  const parts = {
    nodes,
    initializers,
    outputs,
    xShape: [3, 4],
    x: new Float32Array(),
    ...(batch && { batch }),
  };
  const prepared = await prepareFiles(t, smallModel(parts));
  const runs = counts.map(
    (count) => new Map([['x', { dtype: 'float32', shape: [count, 4], data: gaussians(4 * count, count) }]]),
  );
  return { prepared, values: await probeValues(prepared, prepared.proto, runs, RUNTIME) };
}

const NODES = [
  node('MatMul', ['x', 'w'], ['h']),
  node('Shape', ['x'], ['s']),
  node('Transpose', ['h'], ['turned'], { perm: [1, 0] }),
  node('ReduceMean', ['h'], ['mean'], { keepdims: 0 }),
  node('SplitToSequence', ['h'], ['pieces'], { axis: 1 }),
  node('SequenceAt', ['pieces', 'first'], ['piece']),
  node('Greater', ['h', 'mean'], ['above']),
  node('Identity', ['h'], ['y']),
];
const WEIGHTS = [tensor('w', [4, 500], gaussians(2000, 1)), integers('first', [0], [])];

describe('probing', () => {
  test('finds sizes, which of them follow the batch, and element types', async (t) => {
    const { values } = await probe(t, NODES, WEIGHTS);
    const expected = {
      x: ['float32', ['varies', 4]],
      w: ['float32', [4, 500]],
      h: ['float32', ['varies', 500]],
      s: ['int64', [2]],
      turned: ['float32', [500, 'varies']],
      mean: ['float32', []],
      piece: ['float32', ['varies', 1]],
      above: ['bool', ['varies', 500]],
      pieces: ['other', null],
      first: ['int64', []],
      nowhere: [null, null],
    };
    for (const [name, [dtype, shape]] of Object.entries(expected)) {
      assert.deepEqual([values.dtypeOf(name), values.shapeOf(name)], [dtype, shape], name);
    }
  });

  test('counts the elements of computed values and inputs by run', async (t) => {
    const { values } = await probe(t, NODES, WEIGHTS);
    const elements = (n: number) => n * 4 + 4 * n * 500 + 2 + 1 + n; // x; h, turned, above, y; s, mean, piece
    assert.deepEqual(values.elements, [elements(2), elements(3)]);
  });

  test('takes sizes of a fixed batch for fixed', async (t) => {
    const { values } = await probe(t, NODES, WEIGHTS, { counts: [5], batch: 5 });
    assert.deepEqual(values.shapeOf('turned'), [500, 5]);
  });

  test('says nothing of a value whose rank follows the batch', async (t) => {
    const { values } = await probe(
      t,
      [
        node('Shape', ['x'], ['n'], { start: 0, end: 1 }),
        node('Expand', ['one', 'n'], ['shape']),
        node('ConstantOfShape', ['shape'], ['z']),
        node('Size', ['z'], ['y']),
      ],
      [integers('one', [1])],
    );
    assert.equal(values.shapeOf('z'), null);
    assert.deepEqual(values.shapeOf('shape'), ['varies']);
  });

  test('of sizes that depend on what is in a sample, knows what the graph says', async (t) => {
    const { values } = await probe(
      t,
      [
        node('NonZero', ['x'], ['places']),
        node('Transpose', ['places'], ['turned']),
        node('Cast', ['turned'], ['numbers'], { to: 1 }),
        node('MatMul', ['numbers', 'w'], ['y']),
      ],
      [tensor('w', [2, 5], gaussians(10, 1))],
      { counts: [3], batch: 3 },
    );
    assert.deepEqual(values.shapeOf('places'), [2, null]);
    assert.deepEqual(values.shapeOf('y'), [null, 5]);
  });

  test('knows the numbers of small constants alone', async (t) => {
    const bytes = create(TensorProtoSchema, {
      name: 'flags',
      dims: [3n],
      dataType: TensorProto_DataType.BOOL,
      rawData: Uint8Array.of(1, 0, 1),
    });
    const { values } = await probe(t, NODES, [
      ...WEIGHTS,
      tensor('scales', [2], Float32Array.of(0.5, -2)),
      integers('empty', []),
      bytes,
    ]);
    assert.deepEqual(values.constantOf('scales'), [0.5, -2]);
    assert.deepEqual(values.constantOf('first'), [0]);
    assert.deepEqual(values.constantOf('flags'), [1, 0, 1]);
    assert.deepEqual(values.constantOf('empty'), []);
    assert.equal(values.constantOf('w'), null);
    assert.equal(values.constantOf('h'), null);
  });

  test('knows them in other shapes too', async (t) => {
    const { values } = await probe(
      t,
      [
        node('Reshape', ['axes', 'vector'], ['flat']),
        node('ReduceSum', ['x', 'flat'], ['y'], { keepdims: 0 }),
      ],
      [integers('axes', [-1], []), integers('vector', [-1])],
    );
    assert.deepEqual(values.constantOf('flat'), [-1]);
    assert.equal(values.constantOf('y'), null);
  });

  test('leaves the prepared model as it is', async (t) => {
    const { prepared } = await probe(t, NODES, WEIGHTS);
    assert.equal(prepared.proto.graph?.node.length, NODES.length);
    assert.deepEqual(
      prepared.proto.graph?.output.map(({ name }) => name),
      ['y'],
    );
    assert.ok((await readdir(prepared.directory)).includes('shapes.onnx'));
  });
});
