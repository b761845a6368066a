import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clone } from '@bufbuild/protobuf';
import { ModelProtoSchema } from '../../../src/formats/onnx/onnx-schema.ts';
import { inlineFunctions } from '../../../src/graph/passes/inline-functions.ts';
import {
  encode,
  floats,
  graph,
  integers,
  model,
  modelFunction,
  node,
  value,
} from '../../models/build-model.ts';
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

  test('gives nodes of calls without a name names of their own', async () => {
    const unnamed = caller();
    for (const call of unnamed.graph?.node ?? []) call.name = '';
    const inlined = clone(ModelProtoSchema, unnamed);
    inlineFunctions(inlined);
    const names = inlined.graph?.node.map(({ name }) => name) ?? [];
    assert.equal(new Set(names).size, names.length, names.join());
    await assertSame(unnamed, inlined, fed('x', [2, 3]));
  });

  test('keeps names of graphs inside bodies apart from what they hide', async () => {
    const count = integers('', [2], []);
    const bodyOf = (read: string) => {
      const nodes = [node('Identity', ['k'], ['go']), node('Add', [read, 'p'], ['r'])];
      const body = graph({ nodes, outputs: ['go', 'r'] });
      body.input = [value('i', [], 'INT64'), value('k', [], 'BOOL'), value('p', [2, 3])];
      return body;
    };
    // The state of the loop has the name of an input of the function, and its result that of the function's output.
    const calls: Readonly<Record<string, readonly [read: string, given: string[]]>> = {
      'an input that is given twice': ['q', ['x', 'x']],
      'an input that is left out': ['q', ['', 'x']],
      'an input of the same name': ['p', ['x', 'x']],
    };
    for (const [title, [read, given]] of Object.entries(calls)) {
      const nodes = [
        node('Constant', [], ['n'], { value: count }),
        node('Neg', ['q'], ['start']),
        node('Loop', ['n', '', 'start'], ['r'], { body: bodyOf(read) }),
      ];
      const proto = model(
        {
          nodes: [node('f', given, ['y'], {}, 'local')],
          inputs: [['x', [2, 3]]],
          outputs: [['y', [2, 3]]],
        },
        [modelFunction('f', ['p', 'q'], ['r'], nodes)],
      );
      const inlined = clone(ModelProtoSchema, proto);
      inlineFunctions(inlined);
      assert.deepEqual(inlined.functions, [], title);
      await assertSame(proto, inlined, fed('x', [2, 3]));
    }
  });

  test('refuses calls that double thirty times, and calls of what takes much', () => {
    const doubled = Array.from({ length: 30 }, (_, depth) =>
      modelFunction(
        `f${depth}`,
        ['a'],
        ['b'],
        [
          node(`f${depth + 1}`, ['a'], ['half'], {}, 'local'),
          node(`f${depth + 1}`, ['half'], ['b'], {}, 'local'),
        ],
      ),
    );
    const call = { nodes: [node('f0', ['x'], ['y'], {}, 'local')], inputs: ['x'], outputs: ['y'] };
    const last = modelFunction('f30', ['a'], ['b'], [node('Relu', ['a'], ['b'])]);
    assert.throws(() => inlineFunctions(model(call, [...doubled, last])), {
      code: 'unsupported_model',
      message: /unroll to more than/,
    });
    const initializers = Array.from({ length: 10_000 }, (_, index) => floats(`w${index}`, [1]));
    const branch = graph({ nodes: [], initializers, outputs: ['w0'] });
    const large = modelFunction(
      'f0',
      ['a'],
      ['b'],
      [node('If', ['a'], ['b'], { then_branch: branch, else_branch: branch })],
    );
    const nodes = Array.from({ length: 100 }, (_, index) => node('f0', ['x'], [`y${index}`], {}, 'local'));
    assert.throws(() => inlineFunctions(model({ ...call, nodes }, [large])), {
      code: 'unsupported_model',
      message: /functions expand to more than 100000 nodes/,
    });
  });

  test('repeats no long name for every call', () => {
    const long = 'n'.repeat(4000);
    const body = modelFunction('f0', ['a'], ['b'], [node('Relu', ['a'], [long]), node('Neg', [long], ['b'])]);
    const nodes = Array.from({ length: 100 }, (_, index) => node('f0', ['x'], [`y${index}`], {}, 'local'));
    const inlined = model({ nodes, inputs: ['x'], outputs: ['y99', long] }, [body]);
    inlineFunctions(inlined);
    assert.ok(encode(inlined).byteLength < 200_000);
    const outputs = inlined.graph?.node.flatMap(({ output }) => output) ?? [];
    assert.equal(new Set(outputs).size, 200);
  });

  test('refuses functions without end', () => {
    const endless = caller();
    endless.functions = [
      modelFunction('twice', ['a', 'w'], ['b'], [node('twice', ['a', 'w'], ['b'], {}, 'local')]),
    ];
    assert.throws(() => inlineFunctions(endless), { code: 'unsupported_model', message: /or themselves/ });
  });
});
