import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { floats, integers, node, tensor } from '../models/build-model.ts';
import { build, type Parts, trace } from '../models/traced-model.ts';

describe('the sizes of a trace', () => {
  const shapesOf = async (name: string, parts: Parts) => (await trace(build(parts))).shapesOf(name);
  const inputShapes = async (parts: Parts) => {
    const traced = await trace(build(parts));
    return (parts.inputs ?? []).map(([name]) => traced.shapesOf(name));
  };

  test('of axes with one name are one', async () => {
    const parts: Parts = {
      inputs: [
        ['ids', ['n', 'length'], 'INT64'],
        ['mask', ['n', 'length'], 'BOOL'],
        ['past', ['n', 'past', 4]],
      ],
      nodes: [node('Where', ['mask', 'ids', 'ids'], ['y'])],
    };
    const [ids, mask, past] = await inputShapes(parts);
    assert.deepEqual(mask, ids);
    assert.deepEqual(past, [
      [2, 13, 4],
      [3, 17, 4],
    ]);
  });

  test('that a name adds up are sums', async () => {
    const parts: Parts = {
      inputs: [
        ['past', ['batch', 'past_length', 4]],
        ['mask', ['batch', 'past_length + 1']],
      ],
      nodes: [
        node('Pad', ['past', 'pads'], ['longer']),
        node('Unsqueeze', ['mask', 'two'], ['m']),
        node('Mul', ['longer', 'm'], ['y']),
      ],
      initializers: [integers('pads', [0, 0, 0, 0, 1, 0]), integers('two', [2])],
    };
    assert.deepEqual(await shapesOf('mask', parts), [
      [2, 8],
      [3, 12],
    ]);
  });

  test('without a name, or of -1, agree where they stand at the same place', async () => {
    const parts: Parts = {
      inputs: [
        ['a', ['', -1, 6]],
        ['b', [-1, '', 6]],
      ],
      nodes: [node('Add', ['a', 'b'], ['y'])],
    };
    assert.deepEqual(await shapesOf('y', parts), [
      [2, 7, 6],
      [3, 11, 6],
    ]);
  });

  test('that go by two names are tried equal too', async () => {
    const parts: Parts = {
      inputs: [
        ['a', ['batch_a', 'length_a']],
        ['b', ['batch_b', 'length_b']],
      ],
      nodes: [node('Add', ['a', 'b'], ['y'])],
    };
    assert.deepEqual(await shapesOf('y', parts), [
      [2, 7],
      [3, 11],
    ]);
  });

  test('of images suit strides', async () => {
    const parts: Parts = {
      inputs: [['image', ['batch', 3, 'height', 'width']]],
      nodes: [
        node('Conv', ['image', 'w'], ['small'], { strides: [32, 32], kernel_shape: [32, 32] }),
        node('Resize', ['small', '', 'scales'], ['large']),
        node('Add', ['large', 'image'], ['y']),
      ],
      initializers: [floats('w', [3, 3, 32, 32]), tensor('scales', [4], Float32Array.of(1, 1, 32, 32))],
    };
    assert.deepEqual(await shapesOf('small', parts), [
      [2, 3, 2, 3],
      [3, 3, 3, 5],
    ]);
  });

  test('that a model takes only once are fixed, others are not', async () => {
    const parts: Parts = {
      inputs: [['x', ['batch', 'length', 4]]],
      nodes: [node('Add', ['x', 'positions'], ['y'])],
      initializers: [floats('positions', [512, 4])],
    };
    assert.deepEqual(await shapesOf('y', parts), [
      [2, 512, 4],
      [3, 512, 4],
    ]);
  });

  test('of a batch may have to be 1', async () => {
    const parts: Parts = {
      inputs: [['x', ['batch', 'length', 4]]],
      nodes: [node('Squeeze', ['x', 'axis'], ['y'])],
      initializers: [integers('axis', [0])],
    };
    assert.deepEqual(await shapesOf('y', parts), [
      [7, 4],
      [11, 4],
    ]);
  });

  test('of ids: where 1 is none, 0 is', async () => {
    const parts: Parts = {
      inputs: [['ids', ['batch', 'length'], 'INT64']],
      nodes: [node('Gather', ['table', 'ids'], ['y'])],
      initializers: [floats('table', [1, 4])],
    };
    assert.deepEqual(await shapesOf('y', parts), [
      [2, 7, 4],
      [3, 11, 4],
    ]);
  });

  test('of models without open axes are what they are', async () => {
    assert.deepEqual(await shapesOf('y', { inputs: [['x', [5, 4]]], nodes: [node('Abs', ['x'], ['y'])] }), [
      [5, 4],
      [5, 4],
    ]);
  });
});
