import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clone } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { type ModelProto, ModelProtoSchema, type NodeProto } from '../../../src/formats/onnx/onnx-schema.ts';
import { sortNodes } from '../../../src/graph/passes/sort-nodes.ts';
import { floats, graph, integers, model, modelFunction, node, value } from '../../models/build-model.ts';
import { assertSame, fed, nodesOf } from './pass-check.ts';

const INPUTS: [string, number[]][] = [['x', [2, 3]]];
const CONDITION = value('c', [], 'BOOL');
const TRUE: Parameters<typeof assertSame>[2] = ['c', { dtype: 'bool', shape: [], data: new Uint8Array([1]) }];
const outputsOf = (nodes: readonly NodeProto[] = []) => nodes.map(({ output }) => output[0]);

function sorted(proto: ModelProto): ModelProto {
  const copy = clone(ModelProtoSchema, proto);
  sortNodes(copy);
  return copy;
}

/** A node for each of a list of earlier nodes that it reads, the input where there are none. */
const anyGraph = fc
  .array(fc.array(fc.nat(), { maxLength: 3 }), { minLength: 1, maxLength: 12 })
  .map((reads) =>
    reads.map((from, index) => {
      const inputs = from.map((choice) => (index === 0 ? 'x' : `v${choice % index}`));
      return node('Sum', inputs.length > 0 ? inputs : ['x'], [`v${index}`]);
    }),
  );

describe('sortNodes', () => {
  test('leaves nodes that stand in an order in which they can run', () => {
    fc.assert(
      fc.property(anyGraph, (nodes) => {
        const proto = model({ nodes, inputs: INPUTS, outputs: ['v0'] });
        assert.deepEqual(nodesOf(sorted(proto)), nodesOf(proto));
      }),
    );
  });

  test('puts any order of nodes into one in which they can run, whichever onnxruntime opens', async () => {
    const shuffled = anyGraph.chain((nodes) => fc.shuffledSubarray(nodes, { minLength: nodes.length }));
    const property = fc.asyncProperty(shuffled, async (nodes) => {
      const last = `v${nodes.length - 1}`;
      const proto = model({ nodes, inputs: INPUTS, outputs: [[last, [2, 3]]] });
      const result = sorted(proto);
      const seen = new Set(['x']);
      for (const { input, output } of result.graph?.node ?? []) {
        assert.ok(input.every((name) => seen.has(name)));
        for (const name of output) seen.add(name);
      }
      assert.deepEqual(outputsOf(result.graph?.node).sort(), outputsOf(nodes).sort());
      await assertSame(proto, result, fed('x', [2, 3]));
    });
    await fc.assert(property, { numRuns: 30 });
  });

  const branches = (name: string) => ({
    then_branch: graph({ nodes: [node('Neg', [name], ['t'])], outputs: ['t'] }),
    else_branch: graph({ nodes: [node('Abs', ['x'], ['e'])], outputs: ['e'] }),
  });

  test('counts what graphs inside a node read, at any depth', async () => {
    const nested = graph({ nodes: [node('If', ['c'], ['n'], branches('a'))], outputs: ['n'] });
    for (const attributes of [
      branches('a'),
      { then_branch: nested, else_branch: branches('a').else_branch },
    ]) {
      const proto = model({
        nodes: [node('If', ['c'], ['y'], attributes), node('Relu', ['x'], ['a'])],
        inputs: INPUTS,
        outputs: [['y', [2, 3]]],
      });
      proto.graph!.input = [proto.graph!.input[0], CONDITION];
      const result = sorted(proto);
      assert.deepEqual(outputsOf(result.graph?.node), ['a', 'y']);
      await assertSame(proto, result, fed('x', [2, 3]), TRUE);
    }
  });

  test('takes a name for the value of the nearest graph that gives it', () => {
    const inner = graph({
      nodes: [node('Neg', ['a'], ['t']), node('Relu', ['x'], ['a'])],
      outputs: ['t'],
    });
    const proto = model({
      nodes: [
        node('If', ['c'], ['b'], { then_branch: inner, else_branch: inner }),
        node('Relu', ['b'], ['a']),
      ],
      inputs: INPUTS,
      outputs: ['a'],
    });
    const result = sorted(proto);
    assert.deepEqual(outputsOf(result.graph?.node), ['b', 'a']);
    assert.deepEqual(outputsOf(result.graph?.node[0].attribute[0].g?.node), ['a', 't']);
  });

  test('sorts the bodies of loops and functions', () => {
    const body = graph({
      nodes: [node('Mul', ['t', 's'], ['o']), node('Neg', ['s'], ['t']), node('Identity', ['k'], ['go'])],
      inputs: ['i', 'k', 's'],
      outputs: ['go', 'o'],
    });
    const twice = modelFunction('f', ['p'], ['r'], [node('Neg', ['q'], ['r']), node('Relu', ['p'], ['q'])]);
    const nodes = [node('Loop', ['n', '', 'h'], ['y'], { body }), node('f', ['x'], ['h'], {}, 'local')];
    const result = sorted(
      model({ nodes, initializers: [integers('n', [2], [])], inputs: INPUTS, outputs: ['y'] }, [twice]),
    );
    assert.deepEqual(outputsOf(result.graph?.node), ['h', 'y']);
    assert.deepEqual(outputsOf(result.graph?.node[1].attribute[0].g?.node), ['t', 'o', 'go']);
    assert.deepEqual(outputsOf(result.functions[0].node), ['q', 'r']);
  });

  const refused: readonly [title: string, proto: () => ModelProto, message: RegExp][] = [
    [
      'a circle',
      () =>
        model({
          nodes: [
            node('Relu', ['x'], ['z']),
            node('Add', ['z', 'b'], ['a']),
            node('Neg', ['a'], ['b']),
            node('Abs', ['b'], ['y']),
          ],
          inputs: INPUTS,
          outputs: ['y'],
        }),
      /model: node Add_a \(Add\), node Neg_b \(Neg\) read each other in a circle$/,
    ],
    [
      'a node that reads itself',
      () => model({ nodes: [node('Add', ['x', 'a'], ['a'])], inputs: INPUTS, outputs: ['a'] }),
      /node Add_a \(Add\) reads itself in a circle$/,
    ],
    [
      'a branch that reads what its own node gives',
      () => model({ nodes: [node('If', ['c'], ['y'], branches('y'))], inputs: [...INPUTS, 'c'] }),
      /node If_y \(If\) reads itself in a circle$/,
    ],
    [
      'a value that nothing gives',
      () => ({
        ...model({ nodes: [node('Add', ['x', 'w'], ['y'])] }),
        graph: graph({ nodes: [node('Add', ['x', 'w'], ['y'])], inputs: INPUTS }),
      }),
      /nothing gives "w", which node Add_y \(Add\) reads$/,
    ],
    [
      'a value that nothing gives in a branch',
      () => ({
        ...model({ nodes: [] }),
        graph: graph({ nodes: [node('If', ['c'], ['y'], branches('w'))], inputs: [...INPUTS, 'c'] }),
      }),
      /nothing gives "w", which node Neg_t \(Neg\) reads$/,
    ],
    [
      'a function that reads what stands outside',
      () =>
        model({ nodes: [], initializers: [floats('w', [1])], inputs: ['x'], outputs: ['x'] }, [
          modelFunction('f', ['a'], ['b'], [node('Add', ['a', 'w'], ['b'])]),
        ]),
      /nothing gives "w", which node Add_b \(Add\) reads in function "f"$/,
    ],
    [
      'an output that nothing gives',
      () => ({ ...model({ nodes: [] }), graph: graph({ nodes: [], outputs: ['y'] }) }),
      /nothing gives the output "y"$/,
    ],
    [
      'a value that two nodes give',
      () => model({ nodes: [node('Relu', ['x'], ['y']), node('Neg', ['x'], ['y'])], inputs: INPUTS }),
      /"y" is given by node Neg_y \(Neg\), and is given by node Relu_y \(Relu\) too$/,
    ],
    [
      'a value that is stored too',
      () => model({ nodes: [node('Relu', ['x'], ['w'])], initializers: [floats('w', [1])], inputs: INPUTS }),
      /"w" is given by node Relu_w \(Relu\), and is an input or stored too$/,
    ],
    [
      'two inputs of one name',
      () => model({ nodes: [], inputs: [...INPUTS, ...INPUTS], outputs: ['x'] }),
      /two inputs of one graph are named "x"$/,
    ],
  ];
  for (const [title, build, message] of refused) {
    test(`refuses ${title}`, () => {
      assert.throws(() => sortNodes(build()), { code: 'malformed_onnx', message });
    });
  }
});
