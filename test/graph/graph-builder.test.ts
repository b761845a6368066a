import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { GraphProtoSchema, TensorProto_DataType } from '../../src/formats/onnx/onnx-schema.ts';
import { GraphBuilder } from '../../src/graph/graph-builder.ts';
import { createAttribute, createNode, setIntegers, takeAttribute } from '../../src/graph/messages.ts';
import { OnnxGraph } from '../../src/graph/onnx-model.ts';

const { FLOAT, INT64 } = TensorProto_DataType;

function builderOf(opset: number, storesIn?: 'initializers' | 'nodes') {
  return new GraphBuilder(create(GraphProtoSchema), 'p_', opset, storesIn);
}

describe('a graph builder', () => {
  test('names what it adds, and stores a constant once', () => {
    const builder = builderOf(17);
    const sum = builder.op('Add', ['x', builder.scalar(2)]);
    assert.equal(builder.op('Mul', [sum, builder.scalar(2)]), 'p_2_Mul');
    assert.deepEqual(
      builder.graph.node.map(({ opType, input, output, name }) => [opType, input, output, name]),
      [
        ['Add', ['x', 'p_0_constant'], ['p_1_Add'], 'p_1_Add'],
        ['Mul', ['p_1_Add', 'p_0_constant'], ['p_2_Mul'], 'p_2_Mul'],
      ],
    );
    assert.deepEqual(
      builder.graph.initializer.map(({ name, dims, dataType, rawData }) => [
        name,
        dims,
        dataType,
        [...rawData],
      ]),
      [['p_0_constant', [], FLOAT, [0, 0, 0, 64]]],
    );
  });

  test('tells constants of other types and shapes apart', () => {
    const builder = builderOf(17);
    const names = [builder.scalar(1), builder.integer(1), builder.integers([1]), builder.floats([1], [1])];
    assert.equal(new Set(names).size, 4);
  });

  test('makes nodes of constants where it is told to', () => {
    const builder = builderOf(17, 'nodes');
    const name = builder.integers([3, -1]);
    const [constant] = builder.graph.node;
    assert.deepEqual([constant.opType, constant.output], ['Constant', [name]]);
    assert.equal(constant.attribute[0].t?.dataType, INT64);
    assert.deepEqual(builder.graph.initializer, []);
  });

  for (const [op, since] of [
    ['ReduceSum', 13],
    ['ReduceSumSquare', 18],
    ['ReduceMean', 18],
  ] as const) {
    test(`gives ${op} its axes as an input from opset ${since} on`, () => {
      for (const opset of [since - 1, since]) {
        const builder = builderOf(opset);
        builder.reduce(op, 'x', [0, 2], false);
        const [node] = new OnnxGraph(builder.graph, null).nodes;
        assert.equal(node.inputs.length, opset < since ? 1 : 2);
        assert.deepEqual(node.integers('axes'), opset < since ? [0, 2] : null);
        assert.equal(node.integer('keepdims', 1), 0);
      }
    });
  }

  test('declares inputs and outputs, of any shape or of some', () => {
    const builder = builderOf(17);
    const input = builder.input('fed', FLOAT, [2, 'n', null]);
    assert.equal(builder.output('y', INT64), 'y');
    const [type] = builder.graph.input.map(({ type }) => type?.value);
    assert.equal(input, 'p_0_fed');
    assert.ok(type?.case === 'tensorType');
    assert.deepEqual(
      type.value.shape?.dim.map(({ value }) => value.value),
      [2n, 'n', undefined],
    );
    const [open] = builder.graph.output.map(({ type }) => type?.value);
    assert.ok(open?.case === 'tensorType' && open.value.shape === undefined);
  });
});

describe('attributes', () => {
  test('are read as they were written, and fall back', () => {
    const builder = builderOf(17);
    builder.op('Op', [], { i: 3, list: [1, 2], text: 'abc', real: { float: 0.5 }, gone: undefined });
    const [node] = new OnnxGraph(builder.graph, null).nodes;
    assert.equal(node.integer('i', 0), 3);
    assert.deepEqual(node.integers('list'), [1, 2]);
    assert.equal(node.text('text', ''), 'abc');
    assert.equal(node.float('real', 0), 0.5);
    assert.equal(node.has('gone'), false);
    assert.deepEqual(
      [node.integer('gone', 7), node.float('gone', 1.5), node.integers('gone')],
      [7, 1.5, null],
    );
  });

  test('are set in place, added where they lack, and taken away', () => {
    const node = createNode('Split', [], [], { axis: 1, split: [2, 2] });
    setIntegers(node, 'split', [1, 2 ** 63]);
    setIntegers(node, 'axis', 0);
    setIntegers(node, 'num_outputs', 2);
    assert.deepEqual(node.attribute, [
      createAttribute('axis', 0),
      createAttribute('split', [1, 2 ** 63]),
      createAttribute('num_outputs', 2),
    ]);
    assert.deepEqual(node.attribute[1].ints, [1n, 2n ** 63n - 1n]);
    assert.equal(takeAttribute(node, 'axis')?.i, 0n);
    assert.equal(takeAttribute(node, 'axis'), undefined);
    assert.equal(node.attribute.length, 2);
  });
});
