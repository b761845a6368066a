import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { create, fromBinary } from '@bufbuild/protobuf';
import {
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  ValueInfoProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import { analyseGraph } from '../../src/structure/analysis.ts';
import { encode, floats, integers, node } from '../models/build-model.ts';
import { build } from '../models/traced-model.ts';
import { pruneFiles } from '../pipeline/prune-files.ts';
import { random } from './cases/rule-case.ts';
import { checkRemovalOf, structuresOf } from './removal-check.ts';

const TOLERANCE = 1e-5;

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-odd-'));
});
after(() => rm(directory, { recursive: true }));

async function write(proto: ModelProto): Promise<string> {
  const path = join(directory, 'model.onnx');
  await writeFile(path, encode(proto));
  return path;
}

describe('a model that computes no tensor has no structures, and is not run', () => {
  const image = ['batch', 'channels', 'height', 'width', 'depth'];
  const models: Readonly<Record<string, ModelProto>> = {
    'no nodes': build({ nodes: [], outputs: ['w'], initializers: [floats('w', [12])] }),
    'a large tensor': build({ nodes: [], outputs: ['w'], initializers: [floats('w', [64, 64])] }),
    'open images': build({
      inputs: [['x', image]],
      nodes: [],
      outputs: ['w'],
      initializers: [floats('w', [64, 64])],
    }),
    'an input that comes out': build({ inputs: [['x', ['batch', 3, 'h', 'w']]], nodes: [], outputs: ['x'] }),
    'Constant nodes': build({ nodes: [node('Constant', [], ['k'], { value: floats('', [8, 9]) })] }),
    'sequences alone': build({ nodes: [node('SequenceConstruct', ['x'], ['list'])] }),
  };
  for (const [title, proto] of Object.entries(models)) {
    test(title, async () => {
      const path = await write(proto);
      const start = process.cpuUsage();
      assert.deepEqual((await structuresOf(path)).families, []);
      assert.ok(process.cpuUsage(start).user < 2e6);
      await assert.rejects(pruneFiles(path, { granularity: 'channel', criterion: 'l2_norm' }), {
        code: 'no_prunable_tensors',
        message:
          'this model has no channel that can be removed; it has no other structures either, so give granularity weight',
      });
    });
  }
});

test('a size that is put together of parts, ten thousand deep', () => {
  const depth = 10_000;
  const concat = (from: string[], to: string) => node('Concat', from, [to], { axis: 0 });
  const proto = build({
    inputs: [['x', ['batch', 'length', 4]]],
    nodes: [
      node('MatMul', ['x', 'up'], ['h']),
      node('Shape', ['h'], ['shape']),
      node('Gather', ['shape', 'first'], ['v0']),
      ...Array.from({ length: depth }, (_, i) => concat([`v${i}`], `v${i + 1}`)),
      concat([`v${depth}`, 'none', 'rest'], 'to'),
      node('Reshape', ['h', 'to'], ['r']),
      node('Neg', ['r'], ['n']),
      node('Reshape', ['n', 'apart'], ['s']),
      node('MatMul', ['s', 'down'], ['y']),
    ],
    initializers: [
      ...[random('up', [4, 8]), random('down', [8, 3]), integers('apart', [0, -1, 8])],
      ...[integers('first', [0]), integers('none', []), integers('rest', [-1])],
    ],
  });
  // As two runs would say; to run ten thousand nodes takes long.
  const shapes = new Map<string, [number[], number[]]>([
    ...['shape', 'apart'].map((name): [string, [number[], number[]]] => [name, [[3], [3]]]),
    ...['to'].map((name): [string, [number[], number[]]] => [name, [[2], [2]]]),
    ...['none'].map((name): [string, [number[], number[]]] => [name, [[0], [0]]]),
    ...['h', 's'].map((name): [string, [number[], number[]]] => [
      name,
      [
        [2, 7, 8],
        [3, 11, 8],
      ],
    ]),
    ...['r', 'n'].map((name): [string, [number[], number[]]] => [
      name,
      [
        [2, 56],
        [3, 88],
      ],
    ]),
    [
      'x',
      [
        [2, 7, 4],
        [3, 11, 4],
      ],
    ],
    [
      'y',
      [
        [2, 7, 3],
        [3, 11, 3],
      ],
    ],
  ]);
  const { lanes, axesOf } = analyseGraph(new OnnxModel(proto), {
    shapesOf: (name) => shapes.get(name) ?? [[1], [1]],
    dtypeOf: (name) => (/^[xhrnsy]$/.test(name) ? 'float32' : 'int64'),
    integersOf: (name) => ({ first: [0], none: [], rest: [-1], apart: [0, -1, 8] })[name] ?? null,
  });
  const [, axis] = axesOf('up');
  assert.ok(axis);
  const roots = Array.from(axis[0], (lane) => lanes.rootsOf(lane)).flat();
  assert.equal(new Set(roots).size, 8);
  assert.ok(roots.every((root) => lanes.obstacleOf(root) === null));
});

test('what a weight reads of a table is listed with a reason, unless a layer makes it too', async () => {
  const looked = [
    node('ArgMax', ['x'], ['ids'], { axis: 1, keepdims: 0 }),
    node('Gather', ['table', 'ids'], ['e'], { axis: 0 }),
  ];
  const read = node('MatMul', ['e', 'w'], ['y']);
  const initializers = [random('table', [9, 30]), random('w', [30, 4])];
  const frozenOf = async (path: string) =>
    (await structuresOf(path)).frozen.filter(({ tensor, axis }) => tensor === 'w' && axis === 0);
  const [lost, ...more] = await frozenOf(await write(build({ nodes: [...looked, read], initializers })));
  assert.match(lost?.reason ?? '', /made by no layer/);
  assert.deepEqual(more, []);
  const added = [node('MatMul', ['x', 'up'], ['h']), node('Gather', ['table', 'id'], ['row'], { axis: 0 })];
  const made = build({
    nodes: [...added, node('Add', ['h', 'row'], ['e']), read],
    initializers: [...initializers, random('up', [4, 30]), integers('id', [3], [])],
  });
  assert.deepEqual(await frozenOf(await write(made)), []);
});

describe('names that other things have too', () => {
  const hidden = (prefix = '', from = 'x', to = 'y'): NodeProto[] => [
    node('MatMul', [from, 'up'], [`${prefix}h`]),
    node('Relu', [`${prefix}h`], [`${prefix}r`]),
    node('MatMul', [`${prefix}r`, 'down'], [to]),
  ];
  const weights = (width: number): TensorProto[] => [random('up', [4, width]), random('down', [width, 3])];
  const named = (...names: string[]) =>
    build({
      nodes: hidden().map((each, index) => Object.assign(each, { name: names[index] })),
      initializers: weights(30),
    });
  const branch = (nodes: NodeProto[], initializer: TensorProto[] = []) =>
    create(GraphProtoSchema, {
      name: 'branch',
      node: nodes,
      initializer,
      output: [create(ValueInfoProtoSchema, { name: nodes[nodes.length - 1].output[0] })],
    });
  const models: Readonly<Record<string, readonly [proto: ModelProto, families: readonly string[]]>> = {
    'nodes named as tensors are': [named('up', 'h', 'down'), ['up 30']],
    'nodes named as the service names its own': [
      named('zero0_constant', 'shape0_Shape', 'pruned_0_integers'),
      ['up 30'],
    ],
    'tensors of a branch that hide those around it': [
      build({
        inputs: [
          ['x', ['batch', 4]],
          ['c', [], 'BOOL'],
        ],
        nodes: [
          ...hidden(),
          node('If', ['c'], ['z'], {
            then_branch: branch(hidden('then_', 'x', 'then_y'), weights(20)),
            else_branch: branch([node('Neg', ['y'], ['else_y'])]),
          }),
        ],
        initializers: weights(30),
      }),
      ['up 30', 'If_z/then_branch/up 20'],
    ],
  };
  for (const [title, [proto, expected]] of Object.entries(models)) {
    test(title, async () => {
      const path = await write(proto);
      const { families } = await structuresOf(path);
      assert.deepEqual(
        families.map(({ name, structures }) => `${name} ${structures.length}`),
        expected,
      );
      await using checked = await checkRemovalOf(path);
      assert.ok(checked.masked <= TOLERANCE && checked.zeroed <= TOLERANCE);
    });
  }

  test('several tensors of one name, of which the last counts', async () => {
    const recipe = { granularity: 'channel', criterion: 'l2_norm', budget: { sparsity: 0.5 } };
    const bytes: Buffer[] = [];
    for (const before of [[], [floats('up', [4, 30]), floats('b', [3]), floats('down', [7])]]) {
      const nodes = [...hidden('', 'x', 'd'), node('Add', ['d', 'b'], ['y'])];
      const initializers = [...before, ...weights(30), random('b', [3])];
      await using pruned = await pruneFiles(await write(build({ nodes, initializers })), recipe);
      bytes.push(await readFile(join(pruned.directory, 'model.onnx')));
    }
    assert.equal(bytes[1].length, bytes[0].length);
    assert.deepEqual(readStored(bytes[1]), readStored(bytes[0]));
  });
});

function readStored(bytes: Uint8Array): Map<string, Uint8Array> {
  const { graph } = fromBinary(ModelProtoSchema, bytes);
  return new Map(graph?.initializer.map(({ name, rawData }) => [name, rawData]));
}
