import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseHiddenFunctions } from '../../../src/graph/passes/refuse-hidden-functions.ts';
import { encode, inventoryOf, model, modelFunction, node } from '../../models/build-model.ts';
import { fed, outputsOf } from './pass-check.ts';

/** Calls a function that takes the minus of numbers, of the name of an operator that cuts off what is below. */
const build = (domain: string) => {
  const minus = modelFunction('Relu', ['a'], ['b'], [node('Neg', ['a'], ['b'])]);
  return model(
    {
      nodes: [node('Relu', ['x'], ['y'], {}, domain)],
      inputs: [['x', [2, 3]]],
      outputs: [['y', [2, 3]]],
    },
    [{ ...minus, domain }],
  );
};

test('refuseHiddenFunctions refuses a function that onnxruntime does not run', async () => {
  const x = fed('x', [2, 3]);
  const least = async (domain: string) =>
    Math.min(...[...((await outputsOf(build(domain), x)).get('y')?.data ?? [])].map(Number));
  assert.ok((await least('local')) < 0);
  assert.ok((await least('')) >= 0);
  refuseHiddenFunctions(build('local'));
  for (const domain of ['', 'ai.onnx']) {
    await assert.rejects(inventoryOf(encode(build(domain))), {
      code: 'unsupported_model',
      message: /^the model's function Relu stands in the domain of the standard operators/,
    });
  }
});
