import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { NodeProto, TensorProto } from '../../../src/formats/onnx/onnx-schema.ts';
import { findLayerSites } from '../../../src/graph/onnx-inventory.ts';
import { OnnxModel } from '../../../src/graph/onnx-model.ts';
import { addValues } from '../../../src/graph/weights/index-map.ts';
import type { LayerActivations } from '../../../src/graph/weights/layer-sites.ts';
import { elements, floats, graph, integers, model, modelFunction, node } from '../../models/build-model.ts';

type Parts = Parameters<typeof model>;

/** Of every part `value [features] / trailing` of every place, and the feature of every element, a dot for none; or why not. */
function describeSide(side: LayerActivations | string, dims: readonly number[]): string {
  if (typeof side === 'string') return side;
  const parts = side.map(({ values, features: map }) => {
    const numbers = Float64Array.from({ length: values[0].size }, (_, feature) => feature + 1);
    const features = new Float64Array(elements(dims));
    addValues(map, numbers, 0, features);
    const places = values.map(({ value, size, trailing }) => `${value}[${size}]/${trailing}`);
    const shown = [...features].map((number) => (number === 0 ? '.' : number - 1));
    return `${places.sort().join(' ')} ${shown.join('')}`;
  });
  return parts.sort().join('; ');
}

function sitesOf(...parts: Parts): Record<string, [inputs: string, outputs: string]> {
  const dims = new Map((parts[0].initializers ?? []).map(({ name, dims }) => [name, dims.map(Number)]));
  return Object.fromEntries(
    [...findLayerSites(new OnnxModel(model(...parts)))].map(([name, { inputs, outputs }]) => [
      name,
      [describeSide(inputs, dims.get(name) ?? []), describeSide(outputs, dims.get(name) ?? [])],
    ]),
  );
}

const sites = (nodes: NodeProto[], initializers: TensorProto[]) =>
  sitesOf({ nodes, initializers, inputs: ['x'] });

describe('where a weight acts', () => {
  for (const [title, made, dims, expected] of [
    ['MatMul, right', node('MatMul', ['x', 'w'], ['y']), [3, 2], ['x[3]/0 001122', 'y[2]/0 010101']],
    ['MatMul, left', node('MatMul', ['w', 'x'], ['y']), [3, 2], ['x[2]/1 010101', 'y[3]/1 001122']],
    [
      'Gemm, both transposed',
      node('Gemm', ['x', 'w'], ['y'], { transA: 1, transB: 1 }),
      [3, 2],
      ['x[2]/1 010101', 'y[3]/0 001122'],
    ],
    [
      'Gemm, left, the other transposed',
      node('Gemm', ['w', 'x'], ['y'], { transB: 1 }),
      [3, 2],
      ['x[2]/0 010101', 'y[3]/1 001122'],
    ],
    [
      'Conv in two groups',
      node('Conv', ['x', 'w'], ['y'], { group: 2 }),
      [4, 2, 1, 2],
      ['x[4]/2 0011001122332233', 'y[4]/2 0000111122223333'],
    ],
    [
      'ConvTranspose in two groups',
      node('ConvTranspose', ['x', 'w'], ['y'], { group: 2 }),
      [4, 2, 2],
      ['x[4]/1 0000111122223333', 'y[4]/1 0011001122332233'],
    ],
    [
      'Einsum with two summed labels that stand in another order in the operand',
      node('Einsum', ['x', 'w'], ['y'], { equation: 'b h t d e, e d o -> b t o h' }),
      [2, 3, 1],
      ['x[6]/0 024135', 'y[1]/1 000000'],
    ],
  ] as const) {
    test(title, () => assert.deepEqual(sites([made], [floats('w', dims)]), { w: expected }));
  }

  test("the bias's Add is part of the layer, any other use is not", () => {
    const nodes = [
      node('MatMul', ['x', 'w'], ['wx']),
      node('Add', ['b', 'wx'], ['layer']),
      node('MatMul', ['layer', 'v'], ['vx']),
      node('Add', ['vx', 'layer'], ['residual']),
      node('MatMul', ['residual', 'u'], ['ux']),
      node('Add', ['ux', 'positions'], ['y']),
    ];
    const weights = ['w', 'v', 'u'].map((name) => floats(name, [2, 2]));
    const found = sites(nodes, [...weights, floats('b', [2]), floats('positions', [5, 2])]);
    assert.deepEqual(found, {
      w: ['x[2]/0 0011', 'layer[2]/0 0101'],
      v: ['layer[2]/0 0011', 'vx[2]/0 0101'],
      u: ['residual[2]/0 0011', 'ux[2]/0 0101'],
    });
  });

  test('behind Transpose, Reshape, Cast and a split axis', () => {
    const nodes = [
      node('Cast', ['w'], ['c'], { to: 1 }),
      node('Reshape', ['c', 'shape'], ['r']), // [2, 3, 2]: units (0, 2), features (1)
      node('Transpose', ['r'], ['t'], { perm: [1, 0, 2] }),
      node('Reshape', ['t', 'matrix'], ['m']), // [3, 4]
      node('MatMul', ['x', 'm'], ['y']),
    ];
    const initializers = [floats('w', [12]), integers('shape', [2, 3, 2]), integers('matrix', [3, 4])];
    assert.deepEqual(sites(nodes, initializers), { w: ['x[3]/0 001122001122', 'y[4]/0 010101232323'] });
  });

  test('layers that share a weight, joined parts, and a slice that is not the whole', () => {
    const nodes = [
      node('MatMul', ['x', 'w'], ['y']),
      node('Transpose', ['w'], ['t']),
      node('Gemm', ['y', 't'], ['z'], { transB: 1 }),
      node('Concat', ['q', 'k'], ['qk'], { axis: 1 }),
      node('MatMul', ['x', 'qk'], ['a']),
      node('Split', ['whole'], ['first', 'second'], { axis: 1 }),
      node('MatMul', ['x', 'first'], ['b']),
      node('Gather', ['turned', 'order'], ['g']),
      node('MatMul', ['x', 'g'], ['d']),
    ];
    const initializers = [
      ...['w', 'q', 'k', 'turned'].map((name) => floats(name, [2, 2])),
      ...[floats('whole', [2, 4]), integers('order', [1, 0])],
    ];
    const none = (what: string, of: string) => `no single ${what} of ${of} belongs to each of its elements`;
    const part = 'MatMul_b (MatMul) multiply by some of its elements alone';
    assert.deepEqual(sites(nodes, initializers), {
      w: ['x[2]/0 y[2]/0 0011', 'y[2]/0 z[2]/0 0101'],
      q: ['x[2]/0 0011', none('output unit', 'MatMul_a (MatMul)')],
      k: ['x[2]/0 0011', none('output unit', 'MatMul_a (MatMul)')],
      whole: [part, part],
      turned: ['x[2]/0 1100', 'd[2]/0 0101'],
    });
  });

  test('uses that turn it both ways count both', () => {
    const nodes = [node('MatMul', ['x', 'w'], ['y']), node('Gemm', ['x', 'w'], ['z'], { transB: 1 })];
    assert.deepEqual(sites(nodes, [floats('w', [2, 2])]).w, [
      'x[2]/0 0011; x[2]/0 0101',
      'y[2]/0 0101; z[2]/0 0011',
    ]);
  });
});

describe('a weight of which parts multiply different values', () => {
  const products = (parts: readonly string[], transB = 0) =>
    parts.map((part, i) => node('Gemm', [`x${i}`, part], [`y${i}`], { transB }));
  const named = (name: string, dims: number[], made: NodeProto[], ...numbers: TensorProto[]) =>
    sites(made, [floats(name, dims), ...numbers])[name];
  const cases: [string, () => [string, string], [string, string]][] = [
    [
      'rows of a Split with sizes, one of them split again',
      () =>
        named(
          'w',
          [4, 2],
          [
            node('Split', ['w', 'sizes'], ['q', 'kv']),
            node('Split', ['kv'], ['k', 'v'], { num_outputs: 2 }),
            ...products(['q', 'k', 'v'], 1),
          ],
          integers('sizes', [2, 2]),
        ),
      [
        'x0[2]/0 0101....; x1[2]/0 ....01..; x2[2]/0 ......01',
        'y0[2]/0 0011....; y1[1]/0 ....00..; y2[1]/0 ......00',
      ],
    ],
    [
      'rows of a Slice with steps, and the others by a Gather, behind a Transpose',
      () =>
        named(
          'w',
          [2, 4],
          [
            node('Transpose', ['w'], ['t']),
            node('Slice', ['t', 'zero', 'end', 'axis', 'two'], ['even']),
            node('Gather', ['t', 'odd'], ['rest']),
            ...products(['even', 'rest'], 1),
          ],
          ...[integers('zero', [0]), integers('end', [9]), integers('axis', [0]), integers('two', [2])],
          integers('odd', [3, -3]),
        ),
      ['x0[2]/0 0.0.1.1.; x1[2]/0 .0.0.1.1', 'y0[2]/0 0.1.0.1.; y1[2]/0 .1.0.1.0'],
    ],
    [
      'one of three matrices each, by single positions of an axis that a Reshape made',
      () =>
        named(
          'w',
          [6, 2],
          [
            node('Reshape', ['w', 'apart'], ['three']),
            ...[0, 1, 2].map((i) => node('Gather', ['three', `at${i}`], [`part${i}`])),
            ...products(['part0', 'part1', 'part2']),
          ],
          integers('apart', [3, 2, 2]),
          ...[0, 1, 2].map((i) => integers(`at${i}`, [i - 3], [])),
        ),
      [
        'x0[2]/0 0011........; x1[2]/0 ....0011....; x2[2]/0 ........0011',
        'y0[2]/0 0101........; y1[2]/0 ....0101....; y2[2]/0 ........0101',
      ],
    ],
    [
      'input features of one part each',
      () =>
        named('w', [4, 2], [node('Split', ['w'], ['a', 'b'], { num_outputs: 2 }), ...products(['a', 'b'])]),
      ['x0[2]/0 0011....; x1[2]/0 ....0011', 'y0[2]/0 0101....; y1[2]/0 ....0101'],
    ],
    [
      'the whole, and a part of it again',
      () =>
        named(
          'w',
          [2, 2],
          [node('Gather', ['w', 'first'], ['part'], { axis: 1 }), ...products(['w', 'part'])],
          integers('first', [0]),
        ),
      ['x0[2]/0 0011; x1[2]/0 0.1.', 'y0[2]/0 0101; y1[1]/0 0.0.'],
    ],
  ];
  for (const [title, found, expected] of cases) test(title, () => assert.deepEqual(found(), expected));

  test('more parts than any real weight has are not told apart', () => {
    const parts = Array.from({ length: 300 }, (_, i) => `p${i}`);
    const nodes = [node('Split', ['w'], parts, { num_outputs: 300 }), ...products(parts, 1)];
    const [inputs] = sites(nodes, [floats('w', [300, 2])]).w;
    assert.match(inputs, /^no single input feature of /);
  });
});

describe('what cannot be captured', () => {
  test('hidden states, quantized products, constants, batches of matrices, broadcast factors', () => {
    const nodes = [
      node('MatMulInteger', ['x', 'quantized'], ['xq']),
      node('LSTM', ['x', 'W', 'R'], ['h'], { hidden_size: 1 }),
      node('MatMul', ['a', 'b'], ['ab']),
      node('MatMul', ['x', 'ab'], ['y']),
      node('MatMul', ['x', 'batched'], ['z']),
      node('Unsqueeze', ['scaler', 'last'], ['s']),
      node('Mul', ['spline', 's'], ['m']),
      node('Flatten', ['m'], ['f']),
      node('Gemm', ['x', 'f'], ['q'], { transB: 1 }),
    ];
    const initializers = [
      ...[floats('W', [1, 4, 2]), floats('R', [1, 4, 1]), floats('a', [2, 2]), floats('b', [2, 2])],
      ...[floats('batched', [2, 1, 2, 2]), floats('spline', [2, 2, 2]), floats('scaler', [2, 2])],
      ...[integers('last', [-1]), floats('quantized', [2, 2])],
    ];
    const found = sites(nodes, initializers);
    assert.equal(found.W[0], 'x[2]/0 01010101');
    assert.equal(found.W[1], 'node LSTM_h (LSTM) keeps what the weight gives inside the operator');
    assert.equal(found.R[0], 'node LSTM_h (LSTM) keeps the hidden state inside the operator');
    assert.equal(found.b[0], 'node MatMul_ab (MatMul) multiplies it by a constant, not by data');
    assert.equal(
      found.batched[0],
      'node MatMul_z (MatMul) multiplies parts of its input by matrices along axes that do not adjoin',
    );
    assert.equal(found.spline[0], 'x[4]/0 01230123');
    assert.equal(found.scaler, undefined);
  });

  test('bodies and functions, and a weight that an If chooses', () => {
    const body = (name: string) =>
      graph({
        nodes: [node('MatMul', ['x', 'outer'], [name])],
        outputs: [name],
      });
    const choice = (name: string) =>
      graph({ nodes: [], initializers: [floats(name, [2, 2])], outputs: [name] });
    const linear = modelFunction('Linear', ['a', 'm'], ['r'], [node('MatMul', ['a', 'm'], ['r'])]);
    const nodes = [
      node('If', ['c'], ['y'], { then_branch: body('t'), else_branch: body('e') }),
      node('Linear', ['x', 'w'], ['z'], {}, 'local'),
      node('If', ['c'], ['v'], { then_branch: choice('v1'), else_branch: choice('v2') }),
      node('MatMul', ['x', 'v'], ['q']),
    ];
    const initializers = [floats('outer', [2, 2]), floats('w', [2, 2])];
    const found = sitesOf({ nodes, initializers, inputs: ['x', 'c'] }, [linear]);
    for (const name of ['outer', 'w']) assert.match(found[name][0], /stands in a function or in the body/);
    for (const name of ['v1', 'v2']) assert.match(found[name][0], /^no single input feature of MatMul_q/);
  });

  test('many parts are followed through as many nodes as any real model has', () => {
    const parts = Array.from({ length: 250 }, (_, i) => `p${i}`);
    const sitesBehind = (turns: number) => {
      const nodes = Array.from({ length: turns }, (_, i) =>
        node('Transpose', [`w${i}`], [`w${i + 1}`], { perm: [0, 1] }),
      );
      nodes.push(node('Split', [`w${turns}`], parts, { num_outputs: 250 }));
      for (const part of parts) nodes.push(node('Gemm', ['x', part], [`y${part}`], { transB: 1 }));
      return sites(nodes, [floats('w0', [250, 2])]).w0[0];
    };
    assert.equal(sitesBehind(10).split('; ').length, 250);
    assert.match(sitesBehind(5000), /^no single input feature of /);
  });

  test('weights that thousands of nodes share are followed in linear time', () => {
    const nodes: NodeProto[] = [];
    for (let i = 0; i < 5000; i++) {
      nodes.push(node('Identity', [`v${i}`], [`v${i + 1}`]), node('MatMul', ['x', `v${i}`], [`y${i}`]));
    }
    assert.equal(sites(nodes, [floats('v0', [2, 2])]).v0[0], 'more than 1000 nodes share it');
  });
});
