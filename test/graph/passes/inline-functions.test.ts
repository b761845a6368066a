import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clone } from '@bufbuild/protobuf';
import { ModelProtoSchema } from '../../../src/formats/onnx/onnx-schema.ts';
import { inlineFunctions } from '../../../src/graph/passes/inline-functions.ts';
import { floats, model, modelFunction, node } from '../../models/build-model.ts';
import { assertSame, fed, nodesOf } from './pass-check.ts';

const twice = modelFunction(
  'twice',
  ['a', 'w'],
  ['b'],
  [node('MatMul', ['a', 'w'], ['inner']), node('Softmax', ['inner'], ['b'], { axis: { ref: 'axis' } })],
  ['axis'],
);
const caller = () =>
  model(
    {
      nodes: [
        node('twice', ['x', 'w'], ['h'], { axis: 0 }, 'local'),
        node('twice', ['h', 'w'], ['y'], { axis: 1 }, 'local'),
      ],
      initializers: [floats('w', [3, 3])],
      inputs: [['x', [2, 3]]],
      outputs: [['y', [2, 3]]],
    },
    [twice],
  );

describe('inlineFunctions', () => {
  test('puts bodies in the place of calls, with names and attributes of each call', async () => {
    const inlined = caller();
    inlineFunctions(inlined);
    assert.deepEqual(inlined.functions, []);
    assert.deepEqual(nodesOf(inlined), [
      'call0_inner = MatMul(x, w)',
      'h = Softmax(call0_inner)',
      'call1_inner = MatMul(h, w)',
      'y = Softmax(call1_inner)',
    ]);
    await assertSame(caller(), inlined, fed('x', [2, 3]));
  });

  for (const domain of ['', 'ai.onnx']) {
    test(`leaves a function that imports another version of '${domain}' alone`, () => {
      const old = caller();
      old.functions = [{ ...twice, opsetImport: [{ ...twice.opsetImport[0], domain, version: 13n }] }];
      const before = clone(ModelProtoSchema, old);
      inlineFunctions(old);
      assert.deepEqual(nodesOf(old), nodesOf(before));
      assert.equal(old.functions.length, 1);
    });
  }

  test('refuses functions without end', () => {
    const endless = caller();
    endless.functions = [
      modelFunction('twice', ['a', 'w'], ['b'], [node('twice', ['a', 'w'], ['b'], {}, 'local')]),
    ];
    assert.throws(() => inlineFunctions(endless), { code: 'unsupported_model', message: /or themselves/ });
  });
});
