import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clone, create } from '@bufbuild/protobuf';
import { ModelProtoSchema, SparseTensorProtoSchema } from '../../../src/formats/onnx/onnx-schema.ts';
import { dropHidden } from '../../../src/graph/passes/drop-hidden.ts';
import { floats, graph, integers, model, modelFunction, node, tensor } from '../../models/build-model.ts';
import { assertSame, fed, namesOf, numbersIn } from './pass-check.ts';

const other = (name: string) => tensor(name, [3], Float32Array.of(7, 8, 9));

test('dropHidden leaves of several tensors of one name the one that onnxruntime reads', async () => {
  const proto = model({
    nodes: [node('Add', ['x', 'w'], ['y'])],
    initializers: [floats('w', [3]), floats('', [2]), floats('b', [1]), other('w')],
    inputs: [['x', [2, 3]]],
    outputs: [['y', [2, 3]]],
  });
  const result = clone(ModelProtoSchema, proto);
  dropHidden(result);
  assert.deepEqual(namesOf(result.graph?.initializer), ['w', 'b']);
  assert.deepEqual(numbersIn(result.graph!.initializer[0]), [7, 8, 9]);
  await assertSame(proto, result, fed('x', [2, 3]));
});

test('dropHidden looks into graphs inside nodes, those of functions too', () => {
  const branch = graph({
    nodes: [node('Add', ['x', 'b'], ['t'])],
    initializers: [floats('b', [3]), other('b')],
    outputs: ['t'],
  });
  const choose = () => node('If', ['c'], ['y'], { then_branch: branch });
  const proto = model({ nodes: [choose()], outputs: ['y'] }, [
    modelFunction('f', ['x', 'c'], ['y'], [choose()]),
  ]);
  dropHidden(proto);
  for (const nodes of [proto.graph?.node, proto.functions[0].node])
    assert.deepEqual(nodes?.[0].attribute[0].g?.initializer.map(numbersIn), [[7, 8, 9]]);
});

test('dropHidden leaves of a dense and a sparse tensor the sparse one', async () => {
  const proto = model({
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    initializers: [floats('w', [2, 3])],
    inputs: [['x', [1, 2]]],
    outputs: [['y', [1, 3]]],
  });
  const indices = integers('', [1, 5]);
  proto.graph!.sparseInitializer = [
    create(SparseTensorProtoSchema, {
      values: tensor('w', [2], Float32Array.of(5, 7)),
      indices,
      dims: [2n, 3n],
    }),
  ];
  const result = clone(ModelProtoSchema, proto);
  dropHidden(result);
  assert.deepEqual(result.graph?.initializer, []);
  assert.equal(result.graph?.sparseInitializer.length, 1);
  await assertSame(proto, result, fed('x', [1, 2]));
});
