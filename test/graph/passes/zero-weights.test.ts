import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { zeroWeights } from '../../../src/graph/passes/zero-weights.ts';
import { floats, graph, integers, model, node, value } from '../../models/build-model.ts';
import { fed, namesOf, nodesOf, outputsOf } from './pass-check.ts';

const build = (opset = 17) => {
  const proto = model({
    nodes: [
      node('MatMul', ['x', 'w'], ['h']),
      node('Add', ['h', 'bias'], ['b']),
      node('Gather', ['b', 'table'], ['y']),
    ],
    initializers: [
      floats('w', [4, 40]),
      floats('bias', [40]),
      integers(
        'table',
        [...Array(100).keys()].map(() => 0),
      ),
    ],
    inputs: [['x', [2, 4]]],
    outputs: [['y', [100, 40]]],
  });
  proto.opsetImport[0].version = BigInt(opset);
  return proto;
};

describe('zeroWeights', () => {
  test('makes large floats when they are needed, and leaves small ones and integers', async () => {
    const proto = build();
    assert.deepEqual(zeroWeights(proto), ['w']);
    assert.deepEqual(nodesOf(proto)[0], 'w = ConstantOfShape(zero0_constant)');
    assert.deepEqual(namesOf(proto.graph?.initializer), ['bias', 'table', 'zero0_constant']);
    const y = (await outputsOf(proto, fed('x', [2, 4]))).get('y');
    assert.deepEqual(y?.shape, [100, 40]);
    assert.deepEqual([...(y?.data ?? [])].slice(0, 3), [1, 2, 3]); // the bias alone
  });

  test('names the nodes with weights inside', () => {
    const branch = graph({
      nodes: [node('MatMul', ['x', 'inner'], ['r'])],
      initializers: [floats('inner', [4, 40])],
      outputs: ['r'],
    });
    const proto = model({
      nodes: [node('If', ['yes'], ['y'], { then_branch: branch, else_branch: branch })],
      inputs: ['x', 'yes'],
      outputs: ['y'],
    });
    assert.deepEqual(zeroWeights(proto), ['y']);
    assert.deepEqual(namesOf(branch.initializer), []);
    assert.equal(branch.node[0].opType, 'ConstantOfShape');
  });

  test('gives nodes no names of tensors, which other nodes may have', async () => {
    const proto = build();
    for (const [index, name] of ['w', 'bias', 'zero0_constant'].entries())
      proto.graph!.node[index].name = name;
    assert.deepEqual(zeroWeights(proto), ['w']);
    await outputsOf(proto, fed('x', [2, 4]));
  });

  test('leaves a tensor that hides an outer value of its name', async () => {
    const branch = (name: string) =>
      graph({
        nodes: [node('MatMul', ['x', name], [`${name}_r`])],
        initializers: [floats(name, [4, 40])],
        outputs: [`${name}_r`],
      });
    const proto = build();
    const yes = { dtype: 'bool', shape: [], data: new Uint8Array([1]) };
    const choose = node('If', ['yes'], ['i'], { then_branch: branch('w'), else_branch: branch('v') });
    proto.graph!.node.push(choose);
    proto.graph!.input.push(value('yes', [], 'BOOL'));
    proto.graph!.output.push(value('i', [2, 40]));
    assert.deepEqual(zeroWeights(proto), ['w', 'i']);
    const stored = choose.attribute.map(({ g }) => namesOf(g?.initializer));
    assert.deepEqual(stored, [['w'], []]);
    await outputsOf(proto, fed('x', [2, 4]), ['yes', yes]);
  });

  test('does nothing before opset 9', () => {
    const proto = build(8);
    assert.deepEqual(zeroWeights(proto), []);
    assert.deepEqual(proto, build(8));
  });
});
