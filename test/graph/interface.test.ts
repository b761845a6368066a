import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bytesSource } from '../../src/formats/byte-source.ts';
import { modelInputs } from '../../src/graph/interface.ts';
import { readOnnxModel } from '../../src/graph/onnx-inventory.ts';
import {
  BFLOAT16,
  FLOAT,
  INT64,
  inputOfType,
  STRING,
  typedInput,
  typedModel,
} from '../models/typed-model.ts';

async function inputsOf(...inputs: Parameters<typeof typedModel>) {
  return modelInputs(await readOnnxModel(new Map([['m.onnx', bytesSource(typedModel(...inputs))]])));
}

describe('modelInputs', () => {
  test('says what a model says of its inputs, and null for what it leaves open', async () => {
    const inputs = await inputsOf(
      typedInput('x', FLOAT, ['batch', 4, null, -1]),
      typedInput('ids', INT64, []),
      typedInput('half', BFLOAT16, null),
      typedInput('text', STRING, [1]),
      typedInput('any', 0, ['n']),
      inputOfType('untyped', null),
    );
    assert.deepEqual(inputs, [
      { name: 'x', dtype: 'float32', dims: ['batch', 4, null, null] },
      { name: 'ids', dtype: 'int64', dims: [] },
      { name: 'half', dtype: 'bfloat16', dims: null },
      { name: 'text', dtype: 'string', dims: [1] },
      { name: 'any', dtype: null, dims: ['n'] },
      { name: 'untyped', dtype: null, dims: null },
    ]);
  });

  test('leaves out inputs with a default, which older exporters list', async () => {
    const inputs = await inputsOf(typedInput('x', FLOAT, [1, 4]), typedInput('w', FLOAT, [4, 3]));
    assert.deepEqual(
      inputs.map(({ name }) => name),
      ['x'],
    );
  });

  for (const [kind, what] of [
    ['sequenceType', 'a sequence'],
    ['mapType', 'a map'],
    ['optionalType', 'an optional value'],
    ['sparseTensorType', 'a sparse tensor'],
  ] as const) {
    test(`refuses ${what}, which nothing uploaded could be`, async () => {
      await assert.rejects(
        inputsOf(typedInput('x', FLOAT, [1, 4]), inputOfType('past', { case: kind, value: {} } as never)),
        {
          code: 'unsupported_model',
          message: `the model's input "past" takes ${what}: only models whose inputs are tensors can be run`,
          findings: [{ path: 'past', message: 'must take a tensor' }],
        },
      );
    });
  }
});
