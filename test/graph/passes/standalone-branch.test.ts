import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Fetched } from '../../../src/formats/numbers.ts';
import { TensorProto_DataType } from '../../../src/formats/onnx/onnx-schema.ts';
import { modelInputs } from '../../../src/graph/interface.ts';
import { declareTensor } from '../../../src/graph/messages.ts';
import type { ObservedTrace } from '../../../src/graph/observed-values.ts';
import { OnnxModel } from '../../../src/graph/onnx-model.ts';
import { standaloneBranch } from '../../../src/graph/passes/standalone-branch.ts';
import { floats, graph, model, node } from '../../models/build-model.ts';
import { namesOf } from './pass-check.ts';

const branch = () =>
  graph({
    nodes: [
      node('MatMul', ['h', 'w'], ['m']),
      node('Reshape', ['m', 'steady'], ['p']),
      node('Add', ['p', 'own'], ['r']),
    ],
    initializers: [floats('own', [3])],
    outputs: ['r'],
  });

function build() {
  const proto = model({
    nodes: [
      node('Neg', ['x'], ['h']),
      node('Shape', ['x'], ['steady']),
      node('If', ['yes'], ['y'], { then_branch: branch(), else_branch: branch() }),
    ],
    initializers: [floats('w', [4, 3])],
    outputs: ['y'],
  });
  const { BOOL, FLOAT } = TensorProto_DataType;
  proto.graph!.input = [declareTensor('x', FLOAT, ['n', 4]), declareTensor('yes', BOOL, [1])];
  return new OnnxModel(proto);
}

const integers = (...values: number[]): Fetched => ({
  dtype: 'int64',
  shape: [values.length],
  data: BigInt64Array.from(values, BigInt),
});

/** What runs on 2 and `second` samples say. */
function observed(outer: OnnxModel, second: number, shape = integers(-1, 3)): ObservedTrace {
  const stored = outer.proto.graph!.initializer[0];
  const open = [
    [2, 4],
    [second, 4],
  ] as const;
  return {
    shapesOf: (name) => (name === 'h' || name === 'x' ? open : name === 'yes' ? [[1], [1]] : [[2], [2]]),
    dtypeOf: (name) => (name === 'steady' ? 'int64' : name === 'yes' ? 'bool' : 'float32'),
    integersOf: () => null,
    storedOf: (name) => (name === 'w' ? stored : null),
    steadyOf: (name) => (name === 'steady' ? [integers(-1, 3), shape] : null),
  };
}

function cut(second: number, shape?: Fetched) {
  const outer = build();
  const [inner] = outer.graph.nodes[2].subgraphs;
  return standaloneBranch(outer, inner.graph, observed(outer, second, shape));
}

describe('standaloneBranch', () => {
  test('stores what is the same in both runs, and takes the rest', () => {
    const found = cut(3);
    assert.ok(found);
    assert.deepEqual(namesOf(found.model.proto.graph?.initializer), ['own', 'w', 'steady']);
    assert.deepEqual(modelInputs(found.model), [{ name: 'h', dtype: 'float32', dims: ['open 2 3', 4] }]);
    assert.deepEqual(found.seen.get('h')?.shapes, [
      [2, 4],
      [3, 4],
    ]);
    assert.equal(found.model.graph.nodes.length, 3);
  });

  test('takes what differs between the runs as it was', () => {
    const found = cut(3, integers(3, 3));
    assert.deepEqual([...(found?.seen.keys() ?? [])], ['h', 'steady']);
    assert.deepEqual(found?.seen.get('steady')?.values?.[1], integers(3, 3));
  });

  test('is none where a held axis may have been asked for by the other branch', () => {
    assert.equal(cut(2), null);
  });
});
