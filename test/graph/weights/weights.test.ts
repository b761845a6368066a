import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encode, floats, integers, inventoryOf, model, node, weightsOf } from '../../models/build-model.ts';

const bothWays = { units: [1, 1, 6, 4], columns: [1, 6, 4, 1] }; // rows of a stored [6, 4], by axis of the units

describe('rows of a layer', () => {
  for (const [side, transposed, expected] of [
    ['B', 0, bothWays.columns],
    ['B', 1, bothWays.units],
    ['A', 0, bothWays.units],
    ['A', 1, bothWays.columns],
  ] as const) {
    test(`Gemm, weight as ${side}, trans${side}=${transposed}`, async () => {
      const inputs = side === 'A' ? ['w', 'x'] : ['x', 'w'];
      const nodes = [node('Gemm', [...inputs, 'b'], ['y'], { [`trans${side}`]: transposed })];
      const parts = { nodes, initializers: [floats('w', [6, 4]), floats('b', [6])], inputs: ['x'] };
      assert.deepEqual(await weightsOf(parts), { w: expected });
    });
  }

  for (const [title, inputs, dims, expected] of [
    ['right', ['x', 'w'], [6, 4], bothWays.columns],
    ['left', ['w', 'x'], [6, 4], bothWays.units],
    ['right, batched', ['x', 'w'], [3, 6, 4], [3, 6, 4, 1]],
    ['left, batched', ['w', 'x'], [3, 6, 4], [1, 1, 18, 4]],
  ] as const) {
    test(`MatMul, weight on the ${title}`, async () => {
      const parts = { nodes: [node('MatMul', [...inputs], ['y'])], initializers: [floats('w', dims)] };
      assert.deepEqual(await weightsOf(parts), { w: expected });
    });
  }

  test('a vector is no weight of a MatMul, in disguise neither, but a matrix of one column is', async () => {
    const nodes = ['vector', 'disguised', 'column'].map((w) => node('MatMul', [w, 'x'], [`y_${w}`]));
    const initializers = [floats('vector', [4]), floats('disguised', [1, 4, 1]), floats('column', [4, 1])];
    assert.deepEqual(await weightsOf({ nodes, initializers }), { column: [1, 1, 4, 1] });
  });

  test('Conv, FusedConv, and Conv with groups', async () => {
    const nodes = [
      node('Conv', ['x', 'w', 'b'], ['y']),
      node('FusedConv', ['y', 'v'], ['z'], {}, 'com.microsoft'),
      node('Conv', ['z', 'u'], ['q'], { group: 4 }),
    ];
    const initializers = [
      floats('w', [5, 2, 3, 3]),
      floats('b', [5]),
      floats('v', [4, 5, 2]),
      floats('u', [8, 1, 3]),
    ];
    assert.deepEqual(await weightsOf({ nodes, initializers }), {
      w: [1, 1, 5, 18],
      v: [1, 1, 4, 10],
      u: [1, 1, 8, 3],
    });
  });

  test('ConvTranspose counts groups', async () => {
    const weights = (group: number) =>
      weightsOf({
        nodes: [node('ConvTranspose', ['x', 'w'], ['y'], { group })],
        initializers: [floats('w', [6, 5, 3, 3])],
      });
    assert.deepEqual(await weights(1), { w: [1, 6, 5, 9] });
    assert.deepEqual(await weights(2), { w: [2, 3, 5, 9] });
    assert.deepEqual(await weights(4), { w: null });
  });

  for (const [op, gates] of [
    ['LSTM', 4],
    ['GRU', 3],
    ['RNN', 1],
  ] as const) {
    test(`${op}: input and recurrent weights, no bias, no peepholes`, async () => {
      const nodes = [node(op, ['x', 'W', 'R', 'B', '', 'h', 'c', 'P'], ['y'], { hidden_size: 5 })];
      const initializers = [
        floats('W', [2, gates * 5, 7]),
        floats('R', [2, gates * 5, 5]),
        floats('B', [2, gates * 10]),
        floats('P', [2, 15]),
      ];
      assert.deepEqual(await weightsOf({ nodes, initializers }), {
        W: [1, 1, 2 * gates * 5, 7],
        R: [1, 1, 2 * gates * 5, 5],
      });
    });
  }

  test('Einsum: labels of the output are units', async () => {
    const nodes = [node('Einsum', ['x', 'w'], ['y'], { equation: 'b t d, d h e -> b t h e' })];
    assert.deepEqual(await weightsOf({ nodes, initializers: [floats('w', [6, 2, 5])] }), {
      w: [1, 6, 10, 1],
    });
  });
});

test('Einsum: an ellipsis is no axis of the weight', async () => {
  const nodes = [
    node('Einsum', ['x', 'w'], ['h'], { equation: '...d,df->...f' }),
    node('Einsum', ['v', 'h'], ['y'], { equation: 'fo,...f->...o' }),
  ];
  const initializers = [floats('w', [6, 4]), floats('v', [4, 5])];
  assert.deepEqual(await weightsOf({ nodes, initializers }), { w: [1, 6, 4, 1], v: [1, 4, 5, 1] });
});

describe('the way to a layer', () => {
  const toMatMul = (name: string) => node('MatMul', ['x', name], ['y']);

  test('Transpose, Cast and Identity', async () => {
    const nodes = [
      node('Transpose', ['w'], ['t'], { perm: [1, 0] }),
      node('Cast', ['t'], ['c'], { to: 1 }),
      node('Identity', ['c'], ['i']),
      toMatMul('i'),
    ];
    assert.deepEqual(await weightsOf({ nodes, initializers: [floats('w', [6, 4])] }), { w: bothWays.units });
  });

  test('a flat vector reshaped, and an axis split by Reshape and permuted', async () => {
    const nodes = [
      node('Reshape', ['flat', 'to_matrix'], ['m']),
      toMatMul('m'),
      node('Reshape', ['w', 'to_heads'], ['h']), // [6, 4] -> [2, 3, 4]
      node('Transpose', ['h'], ['p'], { perm: [2, 0, 1] }), // [4, 2, 3]
      node('Flatten', ['p'], ['f'], { axis: 1 }),
      node('Gemm', ['x', 'f'], ['z']), // [4, 6]: axis 0 is summed over
    ];
    const initializers = [
      floats('flat', [24]),
      integers('to_matrix', [6, -1]),
      floats('w', [6, 4]),
      integers('to_heads', [2, 3, 0]),
    ];
    const weights = await weightsOf({ nodes, initializers });
    assert.deepEqual(weights, { flat: [1, 6, 4, 1], w: null });

    initializers[3] = integers('to_heads', [2, 3, 4]);
    assert.deepEqual(await weightsOf({ nodes, initializers }), { flat: [1, 6, 4, 1], w: bothWays.units });
  });

  test('weight normalisation: the direction is the weight, its length is none', async () => {
    const nodes = [
      node('ReduceL2', ['v'], ['norm'], { axes: [1, 2, 3], keepdims: 1 }),
      node('Div', ['g', 'norm'], ['scale']),
      node('Mul', ['v', 'scale'], ['w']),
      node('Conv', ['x', 'w'], ['y']),
    ];
    const initializers = [floats('v', [5, 2, 3, 3]), floats('g', [5, 1, 1, 1])];
    assert.deepEqual(await weightsOf({ nodes, initializers }), { v: [1, 1, 5, 18] });
  });

  test('a factor that scales rows, groups or columns of another is no weight', async () => {
    const nodes = [
      node('Constant', [], ['axes'], { value: integers('', [-1]) }),
      node('Unsqueeze', ['scaler', 'axes'], ['s']),
      node('Mul', ['spline', 's'], ['m']),
      node('Flatten', ['m'], ['f'], { axis: 1 }),
      node('Gemm', ['x', 'f'], ['y'], { transB: 1 }),
    ];
    const initializers = [floats('spline', [6, 4, 8]), floats('scaler', [6, 4])];
    assert.deepEqual(await weightsOf({ nodes, initializers }), { spline: [1, 1, 6, 32] });
    const grouped = [
      node('Sub', ['q', 'zero'], ['s']),
      node('Mul', ['s', 'scale'], ['d']),
      node('Reshape', ['d', 'flat'], ['m']),
      toMatMul('m'),
    ];
    const ofGroups = [
      ...[floats('q', [2, 3, 4]), floats('zero', [2, 1, 4]), floats('scale', [2, 1, 4])],
      integers('flat', [6, 4]),
    ];
    assert.deepEqual(await weightsOf({ nodes: grouped, initializers: ofGroups }), { q: [1, 6, 4, 1] });
  });

  test('what chooses or divides is no other factor: what it spreads is a weight', async () => {
    const nodes = [
      node('Where', ['chosen', 'w', 'zero'], ['a']),
      node('Div', ['v', 'by'], ['b']),
      ...['a', 'b'].map((m) => node('MatMul', ['x', m], [`y_${m}`])),
    ];
    const initializers = [
      ...[integers('chosen', Array(24).fill(1), [2, 3, 4]), floats('w', [1, 3, 4]), floats('zero', [])],
      ...[floats('v', [1, 3, 4]), floats('by', [2, 3, 4])],
    ];
    assert.deepEqual(Object.keys(await weightsOf({ nodes, initializers })).sort(), ['v', 'w']);
  });

  test('of two factors of one size the first is the weight, unless it is called a mask', async () => {
    const nodes = [
      node('Mul', ['orig', 'other'], ['a']),
      node('MatMul', ['x', 'a'], ['h']),
      node('Mul', ['fc.weight_mask', 'fc.weight'], ['b']),
      node('MatMul', ['h', 'b'], ['y']),
    ];
    const initializers = ['orig', 'other', 'fc.weight_mask', 'fc.weight'].map((name) => floats(name, [6, 6]));
    const found = await weightsOf({ nodes, initializers });
    assert.deepEqual(Object.keys(found).sort(), ['fc.weight', 'orig']);
  });

  test('spectral normalisation: what measures a weight to divide it is no weight', async () => {
    const nodes = [
      node('MatMul', ['u', 'w'], ['uw']),
      node('MatMul', ['uw', 'v'], ['sigma']),
      node('Div', ['w', 'sigma'], ['normed']),
      toMatMul('normed'),
    ];
    const initializers = [floats('w', [6, 4]), floats('u', [1, 6]), floats('v', [4, 1])];
    assert.deepEqual(await weightsOf({ nodes, initializers }), { w: bothWays.columns });
  });

  test('low-rank terms added to a weight', async () => {
    const nodes = [node('MatMul', ['a', 'b'], ['ab']), node('Add', ['w', 'ab'], ['sum']), toMatMul('sum')];
    const initializers = [floats('a', [6, 2]), floats('b', [2, 4]), floats('w', [6, 4])];
    assert.deepEqual(await weightsOf({ nodes, initializers }), {
      a: [1, 1, 6, 2],
      b: [1, 2, 4, 1],
      w: bothWays.columns,
    });
  });

  test('Concat, Split, Slice and Gather of constants', async () => {
    const nodes = [
      node('Concat', ['left', 'right'], ['joined'], { axis: 1 }),
      toMatMul('joined'),
      node('Split', ['qkv'], ['q', 'k', 'v'], { axis: 1 }),
      ...['q', 'k', 'v'].map((part) => node('MatMul', ['x', part], [`y_${part}`])),
      node('Slice', ['sliced', 'one', 'many', 'zero'], ['s']),
      node('MatMul', ['x', 's'], ['y_s']),
      node('Gather', ['stack', 'second'], ['g'], { axis: 0 }),
      node('MatMul', ['x', 'g'], ['y_g']),
    ];
    const initializers = [
      ...[floats('left', [6, 4]), floats('right', [6, 2]), floats('qkv', [6, 12]), floats('sliced', [7, 4])],
      ...[integers('one', [1]), integers('many', [2 ** 40]), integers('zero', [0])],
      ...[floats('stack', [3, 6, 4]), integers('second', [1], [])],
    ];
    assert.deepEqual(await weightsOf({ nodes, initializers }), {
      left: [1, 6, 4, 1],
      right: [1, 6, 2, 1],
      qkv: [1, 6, 12, 1],
      sliced: [1, 7, 4, 1],
      stack: [3, 6, 4, 1],
    });
  });

  test('integers behind DequantizeLinear are a weight that can be pruned', async () => {
    const quantized = integers('w', Array(24).fill(1), [6, 4]);
    quantized.dataType = 3;
    quantized.int32Data = Array(24).fill(1);
    quantized.int64Data = [];
    const nodes = [node('DequantizeLinear', ['w', 'scale'], ['d']), toMatMul('d')];
    const { tensors } = await inventoryOf(
      encode(model({ nodes, initializers: [quantized, floats('scale', [4])] })),
    );
    assert.deepEqual(
      tensors.map(({ name, dtype, role, prunable }) => [name, dtype, role, prunable]),
      [
        ['w', 'int8', 'weight', true],
        ['scale', 'float32', 'other', false],
      ],
    );
  });

  test('what depends on an input is no weight, nor is what is added to or looked up by activations', async () => {
    const nodes = [
      node('Mul', ['x', 'mask'], ['masked']),
      node('MatMul', ['x', 'masked'], ['scores']),
      node('Gather', ['table', 'ids'], ['embedded']),
      node('MatMul', ['embedded', 'scores'], ['mixed']),
      node('Add', ['mixed', 'position'], ['y']),
      node('BatchNormalization', ['y', 'gamma', 'gamma', 'gamma', 'gamma'], ['z']),
    ];
    const initializers = [floats('mask', [6, 4]), floats('table', [9, 6]), floats('position', [6, 4])];
    initializers.push(floats('gamma', [6]));
    assert.deepEqual(await weightsOf({ nodes, initializers, inputs: ['x', 'ids'] }), {});
  });
});

describe('shared weights', () => {
  test('an embedding tied to the last layer is one weight', async () => {
    const nodes = [
      node('Gather', ['w', 'ids'], ['x']),
      node('Transpose', ['w'], ['t']),
      node('MatMul', ['x', 't'], ['y']),
    ];
    assert.deepEqual(await weightsOf({ nodes, initializers: [floats('w', [6, 4])] }), { w: bothWays.units });
  });

  test('consumers that agree keep the rows, others lose them', async () => {
    const initializers = [floats('w', [6, 4])];
    const agree = [node('MatMul', ['x', 'w'], ['y']), node('Gemm', ['z', 'w'], ['q'])];
    assert.deepEqual(await weightsOf({ nodes: agree, initializers }), { w: bothWays.columns });
    const differ = [node('MatMul', ['x', 'w'], ['y']), node('Gemm', ['z', 'w'], ['q'], { transB: 1 })];
    assert.deepEqual(await weightsOf({ nodes: differ, initializers }), { w: null });
  });
});

test('constants that double at every step are followed in linear time', async () => {
  const nodes = Array.from({ length: 2000 }, (_, i) => node('Add', [`v${i}`, `v${i}`], [`v${i + 1}`]));
  nodes.push(node('MatMul', ['x', 'v2000'], ['y']));
  assert.deepEqual(await weightsOf({ nodes, initializers: [floats('v0', [6, 4])] }), {
    v0: bothWays.columns,
  });
});

test('operators named like members of every object are only unknown operators', async () => {
  const nodes = ['constructor', '__proto__', 'toString'].map((op) => node(op, ['w'], [`y_${op}`]));
  assert.deepEqual(await weightsOf({ nodes, initializers: [floats('w', [6, 4])] }), {});
});
