import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clone } from '@bufbuild/protobuf';
import {
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  TensorProto_DataType,
} from '../../../src/formats/onnx/onnx-schema.ts';
import { OnnxModel } from '../../../src/graph/onnx-model.ts';
import { takenApart } from '../../../src/graph/passes/take-apart.ts';
import { allGraphs } from '../../../src/graph/proto-walk.ts';
import { graph, modelFunction, node } from '../../models/build-model.ts';
import { assertNear } from '../../models/model-pair.ts';
import { build, MICROSOFT, type Parts } from '../../models/traced-model.ts';
import { random, typed } from '../../structure/cases/rule-case.ts';
import { nodesOf, outputsOf } from './pass-check.ts';

type Attributes = Parameters<typeof node>[3];

const fused = (op: string, inputs: string[], outputs: string[], attributes: Attributes = {}) =>
  node(op, inputs, outputs, attributes, MICROSOFT);

const float = (number: number) => ({ float: number });
const leftOf = (model: ModelProto) =>
  allGraphs(model).flatMap((each) => each.node.filter(({ domain }) => domain === MICROSOFT));

/** A graph of stored tensors alone. Values that are `hidden` pass through a node that hides their shape. */
function stored(parts: Omit<Parts, 'inputs'>): ModelProto {
  return build({ inputs: [], ...parts });
}

/** Whether the parts give what the fused nodes gave. Returns the parts. */
async function checkParts(
  model: ModelProto,
  ...feeds: Parameters<typeof outputsOf>[1][]
): Promise<NodeProto[]> {
  const apart = takenApart(new OnnxModel(clone(ModelProtoSchema, model))).proto;
  assert.deepEqual(leftOf(apart), []);
  const [expected, found] = [await outputsOf(model, ...feeds), await outputsOf(apart, ...feeds)];
  for (const [name, { shape, data }] of expected) {
    assert.deepEqual(found.get(name)?.shape, shape);
    assertNear(found.get(name)?.data as Float32Array, data as Float32Array, 2e-6, name);
  }
  return apart.graph?.node ?? [];
}

describe('takeApart gives what was fused', () => {
  const CONV_ACTIVATIONS: [string, number[]?][] = [
    ['Relu'],
    ['Sigmoid'],
    ['Tanh'],
    ['HardSwish'],
    ['LeakyRelu', [0.2]],
    ['Clip', [-0.3, 0.6]],
    ['HardSigmoid', [0.3, 0.4]],
  ];
  for (const [activation, params] of [...CONV_ACTIVATIONS, [null, undefined] as const]) {
    for (const [opset, inputs] of [
      [17, ['x', 'w', 'b']],
      [8, ['x', 'w', '', 'z']],
    ] as const) {
      test(`FusedConv, ${activation ?? 'without an activation'}, opset ${opset}`, async () => {
        const attributes = {
          pads: [1, 1, 1, 1],
          ...(activation && { activation }),
          ...(params && { activation_params: { floats: [...params] } }),
        };
        const nodes = [fused('FusedConv', [...inputs], ['y'], attributes)];
        const initializers = [random('x', [1, 3, 5, 5]), random('w', [4, 3, 3, 3]), random('b', [4])];
        await checkParts(
          stored({ opset, nodes, initializers: [...initializers, random('z', [1, 4, 5, 5])] }),
        );
      });
    }
  }

  const GEMM_ACTIVATIONS: [string, Attributes][] = [
    ...['Relu', 'Sigmoid', 'Tanh', 'Softplus', 'Softsign'].map((name): [string, Attributes] => [name, {}]),
    ['LeakyRelu', { activation_alpha: float(0.2) }],
    ['Elu', { activation_alpha: float(0.7) }],
    ['ThresholdedRelu', { activation_alpha: float(0.5) }],
    ['HardSigmoid', { activation_alpha: float(0.3), activation_beta: float(0.4) }],
    ['Selu', { activation_alpha: float(1.5), activation_gamma: float(1.1) }],
  ];
  for (const [activation, own] of GEMM_ACTIVATIONS) {
    test(`FusedGemm, ${activation}`, async () => {
      const attributes = { alpha: float(0.7), beta: float(0.3), transA: 1, activation, ...own };
      const nodes = [fused('FusedGemm', ['a', 'b', 'c'], ['y'], attributes)];
      await checkParts(
        stored({ nodes, initializers: [random('a', [4, 3]), random('b', [4, 5]), random('c', [5])] }),
      );
    });
  }

  const PRODUCTS: [a: number[], b: number[], Attributes][] = [
    [[2, 3, 4], [2, 4, 5], { alpha: float(0.3) }],
    [[2, 4, 3], [5, 4], { transA: 1, transB: 1 }],
    [[4, 2, 5, 3], [6, 2, 5, 4], { transBatchA: 1, transBatchB: 1, transA: 1, transB: 1, alpha: float(2) }],
    [[4, 2, 3], [2, 3, 4], { transBatchA: 1 }],
  ];
  for (const [a, b, attributes] of PRODUCTS) {
    for (const isKnown of [true, false]) {
      const what = `[${a}] [${b}] ${Object.keys(attributes ?? {})}, ranks ${isKnown ? '' : 'not '}known`;
      test(`FusedMatMul of ${what}`, async () => {
        const operands = isKnown ? ['a', 'b'] : ['ra', 'rb'];
        const nodes = [
          ...(isKnown ? [] : [node('Softsign', ['a'], ['ra']), node('Softsign', ['b'], ['rb'])]),
          fused('FusedMatMul', operands, ['y'], attributes),
        ];
        const parts = await checkParts(stored({ nodes, initializers: [random('a', a), random('b', b)] }));
        const isTurned = Object.keys(attributes ?? {}).some((name) => name.startsWith('trans'));
        assert.equal(
          parts.some(({ opType }) => opType === (isKnown ? 'Transpose' : 'Einsum')),
          isTurned,
        );
      });
    }
  }

  test('FusedMatMul of vectors, and of a matrix behind a Cast and an Identity', async () => {
    const nodes = [
      node('Cast', ['m'], ['wide'], { to: TensorProto_DataType.FLOAT }),
      node('Identity', ['wide'], ['same']),
      fused('FusedMatMul', ['v', 'same'], ['y'], { transA: 1, transB: 1 }),
    ];
    const parts = await checkParts(stored({ nodes, initializers: [random('v', [4]), random('m', [3, 4])] }));
    assert.ok(parts.some(({ opType }) => opType === 'Transpose'));
  });

  test('FusedMatMul of float64 numbers', async () => {
    const { DOUBLE } = TensorProto_DataType;
    const numbers = (name: string, dims: number[]): TensorProto =>
      typed(
        name,
        DOUBLE,
        dims,
        Float64Array.from({ length: dims[0] * dims[1] }, (_, i) => Math.sin(i)).buffer,
      );
    const nodes = [fused('FusedMatMul', ['a', 'b'], ['y'], { alpha: float(0.5) })];
    const model = stored({ nodes, initializers: [numbers('a', [3, 4]), numbers('b', [4, 2])] });
    const y = await outputsOf(takenApart(new OnnxModel(clone(ModelProtoSchema, model))).proto);
    assert.deepEqual(y, await outputsOf(model));
  });

  test('the Gelus, with a bias and without', async () => {
    const nodes = [
      fused('BiasGelu', ['x', 'b'], ['y0']),
      fused('Gelu', ['x'], ['y1']),
      fused('FastGelu', ['x'], ['y2']),
      fused('FastGelu', ['x', 'b'], ['y3']),
      fused('QuickGelu', ['x'], ['y4']),
      fused('QuickGelu', ['x'], ['y5'], { alpha: float(0.4) }),
    ];
    const outputs = nodes.map(({ output }) => output[0]);
    await checkParts(stored({ nodes, outputs, initializers: [random('x', [2, 3, 8]), random('b', [8])] }));
  });

  test('norms of sums', async () => {
    const nodes = [
      fused('SkipLayerNormalization', ['x', 'skip', 's', 'b', 'bias'], ['y0', '', '', 's0'], {
        epsilon: float(0.1),
      }),
      fused('SkipLayerNormalization', ['x', 'skip', 's'], ['y1']),
      fused('SkipSimplifiedLayerNormalization', ['x', 'skip', 's', 'bias'], ['y2', '', '', 's2']),
    ];
    await checkParts(
      stored({
        nodes,
        outputs: ['y0', 's0', 'y1', 'y2', 's2'],
        initializers: [
          random('x', [2, 3, 8]),
          random('skip', [1, 3, 8]),
          ...['s', 'b', 'bias'].map((name) => random(name, [8])),
        ],
      }),
    );
  });
});

describe('takeApart', () => {
  test('adds a bias to what a layer gives, and says which nodes are new', () => {
    const model = stored({
      nodes: [
        node('MatMul', ['x', 'w'], ['m']),
        fused('SkipLayerNormalization', ['x', 'm', 's', '', 'bias'], ['y', '', '', 'sum']),
      ],
      outputs: ['y', 'sum'],
      initializers: [random('x', [2, 8]), random('w', [8, 8]), random('s', [8]), random('bias', [8])],
    });
    const { proto, added } = takenApart(new OnnxModel(model));
    assert.deepEqual(nodesOf(proto), [
      'm = MatMul(x, w)',
      'part_0_1_0_Add = Add(m, bias)',
      'sum = Add(part_0_1_0_Add, x)',
      'y = LayerNormalization(sum, s, )',
    ]);
    assert.deepEqual([...added], [proto.graph?.node[1]]);
    const names = proto.graph?.node.map(({ name }) => name);
    assert.equal(new Set(names).size, 4);
    assert.equal(names?.at(-1), 'SkipLayerNormalization_y/LayerNormalization');
  });

  test('looks into branches and functions, each with names of its own', async () => {
    const branch = (op: string) =>
      graph({ nodes: [fused(op, ['x'], [`${op}_y`])], outputs: [[`${op}_y`, [2, 3]]] });
    const model = build({
      inputs: [
        ['x', [2, 3]],
        ['c', [1], 'BOOL'],
      ],
      nodes: [
        node('If', ['c'], ['part_'], { then_branch: branch('Gelu'), else_branch: branch('QuickGelu') }),
        node('act', ['part_'], ['y'], {}, 'local'),
        fused('Gelu', ['part_'], ['z']),
      ],
      outputs: ['y', 'z'],
    });
    const body = modelFunction('act', ['part_'], ['b'], [fused('FastGelu', ['part_'], ['b'])]);
    body.opsetImport.push({ ...body.opsetImport[0], domain: MICROSOFT, version: 1n });
    model.functions.push(body);
    model.opsetImport.push({ ...model.opsetImport[0], domain: 'local', version: 1n });
    const x = Float32Array.from({ length: 6 }, (_, i) => i - 2.5);
    for (const c of [0, 1]) {
      await checkParts(
        model,
        ['x', { dtype: 'float32', shape: [2, 3], data: x }],
        ['c', { dtype: 'bool', shape: [1], data: Uint8Array.of(c) }],
      );
    }
    const apart = takenApart(new OnnxModel(clone(ModelProtoSchema, model))).proto;
    assert.ok(apart.functions[0].node.every(({ domain }) => domain === ''));
  });

  test('leaves what it does not know: other domains, functions of the model, and further outputs', () => {
    const skipping = fused('SkipLayerNormalization', ['x', 'x', 's'], ['n', 'mean']);
    const other = node('FusedConv', ['x', 'w'], ['o'], {}, 'com.example');
    const unknown = fused('FusedConv', ['x', 'w'], ['u'], { activation: 'Softmax' });
    const nodes = [skipping, other, unknown];
    const left = takenApart(new OnnxModel(stored({ nodes }))).proto;
    assert.deepEqual(left.graph?.node, nodes);
    const model = stored({ nodes: [fused('Gelu', ['x'], ['y'])] });
    model.functions.push({
      ...modelFunction('Gelu', ['a'], ['b'], [node('Relu', ['a'], ['b'])]),
      domain: MICROSOFT,
    });
    assert.deepEqual(leftOf(takenApart(new OnnxModel(model)).proto).length, 1);
  });
});
