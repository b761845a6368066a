import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type NodeProto,
  type TensorProto,
} from '../../../src/formats/onnx/onnx-schema.ts';
import { assertSameOutputs, float32, prepareFiles } from '../../autodiff/prepared.ts';
import { integers, node, tensor } from '../../models/build-model.ts';
import { gaussians, smallModel } from '../../models/small-model.ts';

/** The node with attributes that are floats, or a list of them. */
function withFloats(base: NodeProto, values: Record<string, number | number[]>): NodeProto {
  for (const [name, value] of Object.entries(values)) {
    base.attribute.push(
      create(
        AttributeProtoSchema,
        typeof value === 'number'
          ? { name, type: AttributeType.FLOAT, f: value }
          : { name, type: AttributeType.FLOATS, floats: value },
      ),
    );
  }
  return base;
}

const vector = (name: string, values: number[]) => tensor(name, [values.length], Float32Array.from(values));
const statistics = ['scale', 'bias', 'mean', 'variance'].map((name, i) =>
  vector(name, [1 + i, 2 + i, 3 + i]),
);

interface Case {
  readonly name: string;
  readonly opsets: number[];
  readonly xShape: number[];
  readonly nodes: () => NodeProto[];
  readonly initializers?: TensorProto[];
  readonly outputs?: string[];
}

const CASES: readonly Case[] = [
  {
    name: 'BatchNormalization',
    opsets: [7, 8, 9, 13, 14],
    xShape: [2, 3, 4],
    nodes: () => [node('BatchNormalization', ['x', ...statistics.map(({ name }) => name)], ['y'])],
    initializers: statistics,
  },
  {
    name: 'Clip on both sides, on one, on none',
    opsets: [6, 7, 10],
    xShape: [2, 10],
    nodes: () => [
      withFloats(node('Clip', ['x'], ['both']), { min: -0.5, max: 0.25 }),
      withFloats(node('Clip', ['x'], ['upper']), { max: 0.25 }),
      withFloats(node('Clip', ['x'], ['lower']), { min: 0 }),
      node('Clip', ['x'], ['none']),
    ],
    outputs: ['both', 'upper', 'lower', 'none'],
  },
  {
    name: 'Dropout',
    opsets: [7, 10, 11],
    xShape: [2, 10],
    nodes: () => [withFloats(node('Dropout', ['x'], ['y']), { ratio: 0.9 })],
  },
  {
    name: 'Pad by a value and by reflection',
    opsets: [7, 10],
    xShape: [2, 3],
    nodes: () => [
      withFloats(node('Pad', ['x'], ['y'], { pads: [0, 1, 2, 0] }), { value: 3 }),
      node('Pad', ['x'], ['z'], { pads: [0, 1, 0, 2], mode: 'reflect' }),
    ],
    outputs: ['y', 'z'],
  },
  {
    name: 'reductions with axes, with all, without keeping them',
    opsets: [7, 11, 12],
    xShape: [2, 3, 4],
    nodes: () => [
      node('ReduceSum', ['x'], ['some'], { axes: [0, 2] }),
      node('ReduceSum', ['x'], ['all'], { keepdims: 0 }),
      node('ReduceMean', ['x'], ['mean'], { axes: [1], keepdims: 0 }),
    ],
    outputs: ['some', 'all', 'mean'],
  },
  {
    name: 'Squeeze and Unsqueeze',
    opsets: [7, 11, 12],
    xShape: [2, 1, 4],
    nodes: () => [
      node('Squeeze', ['x'], ['narrow'], { axes: [1] }),
      node('Unsqueeze', ['narrow'], ['wide'], { axes: [0, 3] }),
      node('Squeeze', ['wide'], ['bare']),
    ],
    outputs: ['narrow', 'wide', 'bare'],
  },
  {
    name: 'Slice with axes, without, to the end',
    opsets: [7, 9],
    xShape: [4, 5],
    nodes: () => [
      node('Slice', ['x'], ['y'], { axes: [1], starts: [-3], ends: [Number.MAX_SAFE_INTEGER] }),
      node('Slice', ['x'], ['z'], { starts: [1, 0], ends: [-1, 2] }),
    ],
    outputs: ['y', 'z'],
  },
  {
    name: 'Split in given parts and in equal ones',
    opsets: [7, 11, 12],
    xShape: [6, 2],
    nodes: () => [
      node('Split', ['x'], ['a', 'b'], { axis: 0, split: [1, 5] }),
      node('Split', ['x'], ['c', 'd', 'e'], { axis: 0 }),
    ],
    outputs: ['a', 'b', 'c', 'd', 'e'],
  },
  {
    name: 'TopK',
    opsets: [7, 9],
    xShape: [3, 5],
    nodes: () => [node('TopK', ['x'], ['y', 'i'], { k: 2 })],
    outputs: ['y', 'i'],
  },
  {
    name: 'Softmax over the last axis',
    opsets: [7, 11, 12, 13],
    xShape: [3, 5],
    nodes: () => [node('Softmax', ['x'], ['y'])],
  },
  {
    name: 'Softmax, LogSoftmax, Hardmax over several axes as one',
    opsets: [7, 11, 12],
    xShape: [2, 3, 4],
    nodes: () => ['Softmax', 'LogSoftmax', 'Hardmax'].map((op) => node(op, ['x'], [op], { axis: 1 })),
    outputs: ['Softmax', 'LogSoftmax', 'Hardmax'],
  },
  {
    name: 'Softmax of a value whose rank is nowhere declared',
    opsets: [7, 11, 12],
    xShape: [2, 3, 4],
    nodes: () => [node('Exp', ['x'], ['h']), node('Softmax', ['h'], ['y'])],
  },
  {
    name: 'Softmax with axis -1 of a value whose rank is nowhere declared',
    opsets: [11, 12],
    xShape: [2, 3, 4],
    nodes: () => [node('Exp', ['x'], ['h']), node('Softmax', ['h'], ['y'], { axis: -1 })],
  },
  {
    name: 'Upsample with scales as an attribute',
    opsets: [7, 8],
    xShape: [1, 2, 3, 4],
    nodes: () => [
      withFloats(node('Upsample', ['x'], ['y'], { mode: 'nearest' }), { scales: [1, 1, 2, 3] }),
      withFloats(node('Upsample', ['x'], ['z'], { mode: 'linear' }), { scales: [1, 1, 2, 3] }),
    ],
    outputs: ['y', 'z'],
  },
  {
    name: 'Upsample with scales as an input',
    opsets: [9],
    xShape: [1, 2, 3, 4],
    nodes: () => [node('Upsample', ['x', 'scales'], ['y'], { mode: 'nearest' })],
    initializers: [vector('scales', [1, 1, 2.5, 1.5])],
  },
  ...[
    [1, 1, 2, 3],
    [1, 1, 0.6, 0.4],
  ].map((scales) => ({
    name: `Resize by ${scales}`,
    opsets: [10],
    xShape: [1, 2, 7, 9],
    nodes: () => [
      node('Resize', ['x', 'scales'], ['y'], { mode: 'nearest' }),
      node('Resize', ['x', 'scales'], ['z'], { mode: 'linear' }),
    ],
    initializers: [vector('scales', scales)],
    outputs: ['y', 'z'],
  })),
  {
    name: 'Resize of later versions',
    opsets: [11, 13, 17, 18],
    xShape: [1, 2, 7, 9],
    nodes: () => [node('Resize', ['x', 'roi', 'scales'], ['y'], { mode: 'linear' })],
    initializers: [vector('roi', []), vector('scales', [1, 1, 2, 0.5])],
  },
  {
    name: 'RoiAlign with the coordinates of its time',
    opsets: [10, 15, 16],
    xShape: [1, 2, 7, 9],
    nodes: () => [node('RoiAlign', ['x', 'rois', 'batch'], ['y'], { output_height: 2, output_width: 3 })],
    initializers: [tensor('rois', [1, 4], Float32Array.of(0.5, 1, 6, 5.5)), integers('batch', [0])],
  },
  {
    name: 'Scatter',
    opsets: [9, 10],
    xShape: [2, 3],
    nodes: () => [node('Scatter', ['x', 'at', 'updates'], ['y'], { axis: 1 })],
    initializers: [integers('at', [2, 0], [2, 1]), tensor('updates', [2, 1], Float32Array.of(7, 8))],
  },
  {
    name: 'layers',
    opsets: [7, 9, 11, 13, 15, 17, 21],
    xShape: [2, 3, 8, 8],
    nodes: () => [
      node('Conv', ['x', 'w'], ['c'], { pads: [1, 1, 1, 1] }),
      node('Relu', ['c'], ['r']),
      node('MaxPool', ['r'], ['p'], { kernel_shape: [2, 2], strides: [2, 2] }),
      node('GlobalAveragePool', ['p'], ['g']),
      node('Flatten', ['g'], ['f']),
      node('Gemm', ['f', 'v', 'b'], ['l'], { transB: 1 }),
      node('Softmax', ['l'], ['y']),
    ],
    initializers: [
      tensor('w', [5, 3, 3, 3], gaussians(135, 1)),
      tensor('v', [4, 5], gaussians(20, 2)),
      vector('b', [1, 2, 3, 4]),
    ],
  },
];

describe('older opsets mean the same in opset 16', () => {
  for (const { name, opsets, xShape, nodes, initializers = [], outputs = ['y'] } of CASES) {
    for (const opset of opsets) {
      test(`${name}, opset ${opset}`, async (t) => {
        const x = gaussians(
          xShape.reduce((a, b) => a * b),
          5,
        );
        const proto = smallModel({ opset, nodes: nodes(), initializers, outputs, xShape, x });
        const prepared = await prepareFiles(t, proto);
        assert.equal(prepared.opset, Math.max(16, opset));
        assert.equal(prepared.model.opset, Math.max(16, opset));
        await assertSameOutputs(prepared, new Map([['x', float32(xShape, x)]]), 1e-6);
      });
    }
  }

  test('inside branches, whose names may be those of others', async (t) => {
    const branch = (starts: number[]) =>
      smallModel({
        nodes: [
          node('Slice', ['x'], ['inner'], { axes: [0], starts, ends: [3] }),
          node('Unsqueeze', ['inner'], ['upgraded0_'], { axes: [0] }),
        ],
        outputs: ['upgraded0_'],
        xShape: [3],
        x: new Float32Array(3),
      }).graph!;
    const branches = [branch([1]), branch([2])];
    for (const each of branches) each.input = [];
    const proto = smallModel({
      opset: 9,
      nodes: [
        node('ReduceSum', ['x'], ['sum'], { keepdims: 0 }),
        node('Cast', ['sum'], ['condition'], { to: 9 }),
        node('If', ['condition'], ['y'], { then_branch: branches[0], else_branch: branches[1] }),
      ],
      outputs: ['y'],
      xShape: [3],
      x: new Float32Array(3),
    });
    const prepared = await prepareFiles(t, proto);
    await assertSameOutputs(prepared, new Map([['x', float32([3], Float32Array.of(1, 2, 3))]]));
    await assertSameOutputs(prepared, new Map([['x', float32([3], Float32Array.of(0, 0, 0))]]));
  });

  const refused: [string, number, NodeProto, string][] = [
    ['before 6', 5, node('Relu', ['x'], ['y']), 'opset 5: gradients need 6 or later'],
    [
      'BatchNormalization per element',
      7,
      node('BatchNormalization', ['x', 'x', 'x', 'x', 'x'], ['y'], { spatial: 0 }),
      'node BatchNormalization_y: BatchNormalization with spatial = 0 has no equal in opset 16',
    ],
  ];
  for (const [name, opset, only, text] of refused) {
    test(`refused: ${name}`, async (t) => {
      const x = new Float32Array(2);
      const proto = smallModel({ opset, nodes: [only], outputs: ['y'], xShape: [1, 2], x });
      await assert.rejects(prepareFiles(t, proto), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'unsupported_model');
        assert.ok(error.message.includes(text), error.message);
        return true;
      });
    });
  }
});
