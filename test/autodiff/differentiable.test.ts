import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkDifferentiable } from '../../src/autodiff/differentiable.ts';
import { EmpError } from '../../src/core/errors.ts';
import { bytesSource } from '../../src/formats/byte-source.ts';
import { readOnnxModel } from '../../src/graph/onnx-inventory.ts';
import {
  encode,
  floats,
  type GraphParts,
  graph,
  integers,
  model,
  modelFunction,
  node,
} from '../models/build-model.ts';

/** What is said of weights of a model: nothing, or where gradients are stopped. */
async function obstaclesOf(
  parts: GraphParts,
  weights: readonly string[],
  { opset = 17, functions = [] as ReturnType<typeof modelFunction>[] } = {},
): Promise<string[]> {
  const proto = model({ inputs: [['x', [2, 2]]], outputs: [['y', [2, 2]]], ...parts }, functions);
  proto.opsetImport[0].version = BigInt(opset);
  const read = await readOnnxModel(new Map([['m.onnx', bytesSource(encode(proto))]]));
  try {
    checkDifferentiable(read, weights);
    return [];
  } catch (error) {
    assert.ok(error instanceof EmpError);
    assert.equal(error.code, 'unsupported_model');
    return error.findings.map(({ path, message }) => `${path}: ${message}`);
  }
}

const FANCY = 'has no gradient rule';

describe('whether a graph can be differentiated', () => {
  const nodes = [
    node('MatMul', ['x', 'first'], ['a']),
    node('Fancy', ['a'], ['b'], {}, 'com.example'),
    node('Loop', ['', 'on', 'b'], ['c'], {
      body: graph({
        nodes: [node('Identity', ['i'], ['o'])],
        inputs: ['n', 'on_in', 'i'],
        outputs: ['on_in', 'o'],
      }),
    }),
    node('MatMul', ['c', 'last'], ['y']),
    node('Fancy', ['y'], ['aside'], {}, 'com.example'),
  ];
  const initializers = [floats('first', [2, 2]), floats('last', [2, 2]), integers('on', [1], [])];

  test('every node between the weights and the output is named, in one go, and no other', async () => {
    assert.deepEqual(await obstaclesOf({ nodes, initializers }, ['first', 'last']), [
      'Loop_c: Loop holds a graph of its own',
      `Fancy_b: Fancy of com.example ${FANCY}`,
    ]);
    assert.deepEqual(await obstaclesOf({ nodes, initializers }, ['last']), []);
  });

  test('the loss is taken of `logits`, else of the first float output', async () => {
    const outputs: [string, number[]][] = [
      ['aside', [2, 2]],
      ['y', [2, 2]],
    ];
    assert.deepEqual(await obstaclesOf({ nodes, initializers, outputs }, ['last']), [
      `Fancy_aside: Fancy of com.example ${FANCY}`,
    ]);
    const renamed = [...nodes, node('Identity', ['y'], ['logits'])];
    const both = [...outputs, ['logits', [2, 2]] as [string, number[]]];
    assert.deepEqual(await obstaclesOf({ nodes: renamed, initializers, outputs: both }, ['last']), []);
    assert.deepEqual(await obstaclesOf({ nodes, initializers, outputs: ['y'] }, ['last']), []);
  });

  test('functions are looked into, and weights in Constant nodes found', async () => {
    const functions = [
      modelFunction(
        'Layer',
        ['p', 'q'],
        ['r'],
        [node('MatMul', ['p', 'q'], ['s']), node('Fancy', ['s'], ['r'], {}, 'com.microsoft')],
      ),
    ];
    const parts = {
      nodes: [
        node('Constant', [], ['w'], { value: floats('', [2, 2]) }),
        node('Layer', ['x', 'w'], ['y'], {}, 'local'),
      ],
    };
    assert.deepEqual(await obstaclesOf(parts, ['w'], { functions }), [
      `Layer_y/Fancy_r: Fancy of com.microsoft ${FANCY}`,
    ]);
  });

  test('what only says how many there are, or which, is no way for a gradient', async () => {
    const parts = (operands: string[]) => ({
      nodes: [
        node('MatMul', ['x', 'w'], ['a']),
        node('Fancy', ['a'], ['b'], {}, 'com.example'),
        node('OneHot', operands, ['h']),
        node('MatMul', ['h', 'w'], ['y']),
      ],
      initializers: [floats('w', [2, 2]), integers('n', [2], []), floats('values', [2])],
    });
    assert.deepEqual(await obstaclesOf(parts(['b', 'n', 'values']), ['w']), []);
    assert.deepEqual(await obstaclesOf(parts(['n', 'n', 'b']), ['w']), [
      `Fancy_b: Fancy of com.example ${FANCY}`,
    ]);
    const typed = parts(['n', 'n', 'values']);
    const alike = { ...typed, nodes: typed.nodes.with(2, node('CastLike', ['values', 'b'], ['h'])) };
    assert.deepEqual(await obstaclesOf(alike, ['w']), []);
  });

  test('operators of older opsets are what they are upgraded to', async () => {
    const parts = {
      nodes: [
        node('MatMul', ['x', 'w'], ['a']),
        node('Unsqueeze', ['a'], ['b'], { axes: [0] }),
        node('Squeeze', ['b'], ['y'], { axes: [0] }),
      ],
      initializers: [floats('w', [2, 2])],
    };
    assert.deepEqual(await obstaclesOf(parts, ['w'], { opset: 9 }), []);
  });

  test('weights inside loops and branches are refused by name', async () => {
    const branch = graph({
      nodes: [node('MatMul', ['x', 'inner'], ['o'])],
      initializers: [floats('inner', [2, 2])],
      outputs: ['o'],
    });
    const parts = {
      nodes: [
        node('If', ['c'], ['y'], {
          then_branch: branch,
          else_branch: graph({ nodes: [node('Identity', ['x'], ['o'])], outputs: ['o'] }),
        }),
      ],
      initializers: [integers('c', [1], [])],
    };
    const [found] = await obstaclesOf(parts, ['inner']);
    assert.match(found, /^inner: lies in a loop or a branch/);
  });
});
