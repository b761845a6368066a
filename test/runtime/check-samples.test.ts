import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EmpError } from '../../src/core/errors.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import type { OnnxInput } from '../../src/graph/interface.ts';
import { checkSamples } from '../../src/runtime/check-samples.ts';

const IMAGE: OnnxInput = { name: 'image', dtype: 'float32', dims: ['batch', 1, 28, 28] };
const IDS: OnnxInput = { name: 'ids', dtype: 'int64', dims: ['batch', 'sequence'] };

/** Arrays as `[name, dtype, shape]`. */
function samples(...arrays: [string, string, number[]][]): SampleSet {
  const inputs = arrays.map(([name, dtype, shape]) => ({ name, dtype, shape, path: name, offset: 128 }));
  return { nSamples: arrays[0]?.[2][0] ?? 0, inputs, labels: null };
}

function messages(inputs: readonly OnnxInput[], ...arrays: Parameters<typeof samples>): string[] {
  try {
    checkSamples(samples(...arrays), inputs, 'evaluation');
    return [];
  } catch (error) {
    const { code, findings } = error as EmpError;
    assert.equal(code, 'samples_mismatch');
    for (const { path } of findings) assert.equal(path, 'evaluation');
    return findings.map(({ message }) => message);
  }
}

describe('checkSamples', () => {
  test('takes what fits, and what the model leaves open', () => {
    const fitting = samples(['ids', 'int64', [10, 7]], ['image', 'float32', [10, 1, 28, 28]]);
    assert.deepEqual(checkSamples(fitting, [IDS, IMAGE], 'evaluation'), fitting);
    const open: OnnxInput = { name: 'x', dtype: null, dims: null };
    for (const dtype of ['bool', 'float16']) assert.deepEqual(messages([open], ['x', dtype, [3, 9, 9]]), []);
    assert.deepEqual(messages([{ ...open, dims: [null, 2] }], ['x', 'int8', [3, 2]]), []);
  });

  test('gives the one array of a one-input model its name', () => {
    const given = samples(['eval_inputs', 'int64', [10, 7]]);
    const named = checkSamples(given, [IDS], 'evaluation');
    assert.deepEqual(named, { ...given, inputs: [{ ...given.inputs[0], name: 'ids' }] });
  });

  const shape = [10, 1, 28, 28];
  const refused: [string, OnnxInput[], Parameters<typeof samples>, string[]][] = [
    [
      'a missing input',
      [IMAGE, IDS],
      [['image', 'float32', shape]],
      ['input "ids" is missing: expected int64 [batch, sequence]'],
    ],
    [
      'a missing input of which the model says nothing',
      [IMAGE, { name: 'any', dtype: null, dims: null }],
      [['image', 'float32', shape]],
      ['input "any" is missing: expected an array'],
    ],
    [
      'an unknown one',
      [IMAGE],
      [
        ['image', 'float32', shape],
        ['mask', 'bool', [10, 1]],
      ],
      ['the model has no input "mask": its inputs are "image"'],
    ],
    [
      'another dtype',
      [IMAGE],
      [['image', 'float64', shape]],
      ['input "image" is float64: expected float32, as arr.astype(\'<f4\') makes it'],
    ],
    [
      'a dtype that .npy has not',
      [{ ...IMAGE, dtype: 'bfloat16' }],
      [['image', 'float32', shape]],
      [
        'input "image" is float32: expected bfloat16, which a .npy file cannot hold: export the model with an input of another type',
      ],
    ],
    [
      'another rank',
      [IMAGE],
      [['image', 'float32', [10, 784]]],
      ['input "image" has shape [10, 784]: expected 4 axes, [batch, 1, 28, 28]'],
    ],
    [
      'a fixed dimension, of every axis',
      [IMAGE],
      [['image', 'float32', [10, 28, 28, 1]]],
      [
        'input "image" has shape [10, 28, 28, 1]: expected 1 on axis 1, [batch, 1, 28, 28]',
        'input "image" has shape [10, 28, 28, 1]: expected 28 on axis 3, [batch, 1, 28, 28]',
      ],
    ],
    [
      'a part of a fixed batch',
      [{ name: 'x', dtype: 'float32', dims: [4, 2] }],
      [['x', 'float32', [10, 2]]],
      ['input "x" has shape [10, 2]: expected a multiple of 4 samples, as the model takes 4 at a time'],
    ],
    [
      'a model whose inputs differ on axis 0',
      [
        { name: 'x', dtype: 'float32', dims: [4, 2] },
        { name: 'state', dtype: 'float32', dims: [1, 2] },
      ],
      [
        ['x', 'float32', [8, 2]],
        ['state', 'float32', [8, 2]],
      ],
      ['the model takes 4 and 1 samples of its inputs at a time: axis 0 of all must count the same'],
    ],
    [
      'all at once',
      [IMAGE, IDS],
      [
        ['image', 'float64', [10, 784]],
        ['id', 'int64', [10, 7]],
      ],
      [
        'input "image" is float64: expected float32, as arr.astype(\'<f4\') makes it',
        'input "image" has shape [10, 784]: expected 4 axes, [batch, 1, 28, 28]',
        'input "ids" is missing: expected int64 [batch, sequence]',
        'the model has no input "id": its inputs are "image", "ids"',
      ],
    ],
  ];
  for (const [what, inputs, arrays, expected] of refused) {
    test(`refuses ${what}`, () => assert.deepEqual(messages(inputs, ...arrays), expected));
  }

  test('takes whole batches of a fixed size', () => {
    assert.deepEqual(
      messages([{ name: 'x', dtype: 'float32', dims: [4, 2] }], ['x', 'float32', [12, 2]]),
      [],
    );
  });

  test('names a handful of a thousand misfits', () => {
    const many = Array.from({ length: 1000 }, (_, i): [string, string, number[]] => [`x${i}`, 'int8', [1]]);
    assert.equal(messages([IMAGE], ...many).length, 20);
  });
});
