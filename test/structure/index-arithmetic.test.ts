import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { type ModelProto, ModelProtoSchema, type NodeProto } from '../../src/formats/onnx/onnx-schema.ts';
import { encode, floats, integers, node } from '../models/build-model.ts';
import { build } from '../models/traced-model.ts';
import { pruneFiles } from '../pipeline/prune-files.ts';
import { random } from './cases/rule-case.ts';
import { checkRemovalOf } from './removal-check.ts';

const TOLERANCE = 1e-5;
const SIDE = 40;
/** Sizes of `value` at `index`, as the number that it is. */
const sizeOf = (value: string, index: string, output: string): NodeProto[] => [
  node('Shape', [value], [`${output}_shape`]),
  node('Gather', [`${output}_shape`, index], [output]),
];
const SCALARS = [0, 1, 2, 3].map((value) => integers(`i${value}`, [value], []));
const convolved = (from: string, to: string, weight: string): NodeProto =>
  node('Conv', [from, weight], [to], { pads: [1, 1, 1, 1] });
const IMAGE: [string, (string | number)[]] = ['x', [1, 3, SIDE, SIDE]];
const FILTERS = [random('w1', [16, 3, 3, 3]), random('w2', [2, 16, 3, 3])];
const between = (nodes: NodeProto[], from: string) => [
  convolved('x', 'h', 'w1'),
  ...nodes,
  convolved(from, 'y', 'w2'),
];

const MODELS: Readonly<Record<string, ModelProto>> = {
  'a grid of rows and columns, by which numbers are picked': build({
    inputs: [IMAGE],
    nodes: [
      ...sizeOf('x', 'i2', 'height'),
      ...sizeOf('x', 'i3', 'width'),
      node('Range', ['i0', 'height', 'i1'], ['rows']),
      node('Range', ['i0', 'width', 'i1'], ['columns']),
      node('Unsqueeze', ['rows', 'last'], ['column']),
      node('Mul', ['column', 'width'], ['starts']),
      node('Add', ['starts', 'columns'], ['grid']),
      node('Reshape', ['grid', 'flat'], ['places']),
      convolved('x', 'h', 'w1'),
      node('Relu', ['h'], ['r']),
      convolved('r', 'c', 'w2'),
      node('Reshape', ['c', 'lines'], ['l']),
      node('Gather', ['l', 'places'], ['y'], { axis: 2 }),
    ],
    initializers: [
      ...SCALARS,
      ...FILTERS,
      integers('last', [1]),
      integers('flat', [-1]),
      integers('lines', [1, 2, -1]),
    ],
  }),
  'positions of a sequence, looked up in a table': build({
    inputs: [['x', ['batch', 500, 4]]],
    nodes: [
      ...sizeOf('x', 'i1', 'length'),
      node('Range', ['i0', 'length', 'i1'], ['positions']),
      node('Gather', ['table', 'positions'], ['p']),
      node('MatMul', ['x', 'up'], ['h']),
      node('Relu', ['h'], ['r']),
      node('MatMul', ['r', 'down'], ['d']),
      node('Add', ['d', 'p'], ['y']),
    ],
    initializers: [...SCALARS, random('table', [500, 3]), random('up', [4, 16]), random('down', [16, 3])],
  }),
  // Half of the channels is found as their number by two, which is another once some are gone.
  'a size that shrinks, and numbers that follow from it': build({
    inputs: [IMAGE],
    nodes: between(
      [
        ...sizeOf('h', 'i1', 'channels'),
        node('Mul', ['channels', 'i0'], ['none']),
        node('Add', ['channels', 'none'], ['same']),
        node('Range', ['i0', 'same', 'i1'], ['numbers']),
        node('Cast', ['numbers'], ['floats'], { to: 1 }),
        node('ReduceSum', ['floats'], ['sum'], { keepdims: 0 }),
        node('Div', ['h', 'sum'], ['scaled']),
      ],
      'scaled',
    ),
    initializers: [...SCALARS, ...FILTERS],
  }),
  'the size of all that shrinks, read as a number': build({
    inputs: [IMAGE],
    nodes: between(
      [
        node('Shape', ['h'], ['shape']),
        node('ReduceProd', ['shape'], ['count'], { keepdims: 0 }),
        node('Cast', ['count'], ['n'], { to: 1 }),
        node('Div', ['h', 'n'], ['scaled']),
      ],
      'scaled',
    ),
    initializers: FILTERS,
  }),
};

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-indices-'));
});
after(() => rm(directory, { recursive: true }));

async function write(proto: ModelProto): Promise<string> {
  const path = join(directory, 'model.onnx');
  await writeFile(path, encode(proto));
  return path;
}

describe('integers that are computed of sizes', () => {
  for (const [title, proto] of Object.entries(MODELS)) {
    test(title, async () => {
      const path = await write(proto);
      await using checked = await checkRemovalOf(path);
      assert.ok(checked.removed.size > 0);
      assert.ok(checked.masked <= TOLERANCE && checked.zeroed <= TOLERANCE);
      const [dense, pruned] = [(await stat(path)).size, (await stat(checked.path)).size];
      assert.ok(pruned < dense, `${dense} bytes became ${pruned}`);
    });
  }

  test('stay computed where nothing that shrinks is read', async () => {
    await using checked = await checkRemovalOf(await write(Object.values(MODELS)[0]));
    const { graph } = fromBinary(ModelProtoSchema, new Uint8Array(await readFile(checked.path)));
    const ops = graph?.node.map(({ opType }) => opType) ?? [];
    assert.equal(ops.filter((op) => op === 'Range').length, 2);
    assert.equal(ops.filter((op) => op === 'Shape').length, 2);
  });
});

test('where no structure is removed the dense files come back, byte for byte', async () => {
  for (const proto of Object.values(MODELS)) {
    proto.docString = 'as it was';
    proto.graph?.node.push(node('Relu', ['x'], ['unread']));
    proto.graph?.initializer.push(floats('spare', [3]));
    const path = await write(proto);
    const recipe = { granularity: 'channel', criterion: 'l2_norm', budget: { sparsity: 0 }, repair: [] };
    await using pruned = await pruneFiles(path, recipe);
    assert.equal(pruned.report.total.n_keep, pruned.report.total.n);
    assert.deepEqual(await readFile(join(pruned.directory, 'model.onnx')), await readFile(path));
    assert.match(pruned.report.verdict.text, /removes none of 16 channels; the model keeps its/);
  }
});
