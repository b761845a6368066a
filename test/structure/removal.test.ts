import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fromBinary } from '@bufbuild/protobuf';
import { isFloatDtype } from '../../src/core/dtype.ts';
import { elementCount } from '../../src/formats/model.ts';
import { type GraphProto, ModelProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import { dtypeOf } from '../../src/formats/onnx/tensor-data.ts';
import { innerGraphs, storedTensors } from '../../src/graph/proto-walk.ts';
import { ATTENTION_MODELS } from '../models/attention-models.ts';
import { encode } from '../models/build-model.ts';
import { type Expected, INPUT, OUTPUT, SMALL_MODELS } from '../models/small-models.ts';
import { type Choice, checkRemovalOf, structuresOf, THREE_IN_TEN } from './removal-check.ts';

/** Of the largest number of an output. */
const TOLERANCE = 1e-5;
const ALL_BUT_ONE: Choice = ({ structures }) => structures.slice(1).map(({ root }) => root);

const MEAN = 'ReduceMean: is reduced over, and the result depends on how many there are';
const BLOCK = ['head 4', 'head_width 8', 'head_width 8', 'channel 128'];
const DENSE_LAYER = ['channel 16', 'channel 8'];

/** Exported by scripts/check-structures/make-models.py. */
const EXPORTED: Readonly<Record<string, Expected>> = {
  gpt2: { families: [...BLOCK, ...BLOCK], frozen: [OUTPUT, MEAN] },
  // The angles tie the width of queries and keys over all blocks, half and half.
  'grouped-query': {
    // A head of keys and values with its queries', or one head of queries in every such group.
    families: [
      ...['head_width 4', 'head 2', 'head 2', 'head_width 8', 'channel 64'],
      ...['head 2', 'head 2', 'head_width 8', 'channel 64'],
    ],
    frozen: [OUTPUT, MEAN],
  },
  'multi-head': {
    families: ['head 4', 'head_width 8', 'head_width 8', 'channel 64'],
    frozen: [OUTPUT, `MatMul: ${INPUT}`, MEAN],
  },
  vision: {
    families: ['head 4', 'head_width 8', 'channel 64', 'head 4', 'head_width 8', 'channel 64'],
    frozen: [OUTPUT, `Conv: ${INPUT}`, MEAN, 'Split: is split into single positions'],
  },
  'dense-net': {
    families: [
      ...['channel 12', ...DENSE_LAYER, ...DENSE_LAYER, ...DENSE_LAYER],
      ...['channel 16', ...DENSE_LAYER, ...DENSE_LAYER, ...DENSE_LAYER],
    ],
    frozen: [OUTPUT, `Conv: ${INPUT}`],
  },
  convolutions: {
    families: [1, 2, 4, 2, 6, 16, 3, 4, 4, 4].map((count) => `channel ${count}`),
    frozen: [
      ...[OUTPUT, ': is one structure: nothing would be left of it', `Conv: ${INPUT}`],
      ...['DepthToSpace: becomes a spatial axis'],
      ...['InstanceNormalization: has its mean and variance taken over it'],
    ],
  },
  recurrent: {
    families: ['other 16', 'channel 12', 'channel 12', 'channel 20'],
    frozen: [
      OUTPUT,
      // Of the embeddings that the first layer reads.
      ': is made by no layer whose units can be told: what would go cannot be scored',
      ...['GRU: is a gate', 'LSTM: is a direction', 'LSTM: is a gate'],
    ],
  },
};

describe('models exported by PyTorch', () => {
  for (const [name, expected] of Object.entries(EXPORTED)) {
    test(name, () => check(fileURLToPath(new URL(`models/${name}.onnx`, import.meta.url)), expected));
  }
});

describe('small graphs', () => {
  for (const { name, model, ...expected } of [...SMALL_MODELS, ...ATTENTION_MODELS]) {
    test(name, async (t) => {
      const directory = await mkdtemp(join(tmpdir(), 'emp-structures-'));
      t.after(() => rm(directory, { recursive: true }));
      const path = join(directory, 'model.onnx');
      await writeFile(path, encode(model));
      await check(path, expected);
    });
  }
});

async function check(path: string, expected: Expected): Promise<void> {
  const { families, frozen } = await structuresOf(path);
  const reasons = frozen.map(({ operator, reason }) => `${operator}: ${reason}`);
  assert.deepEqual(
    {
      families: families.map(({ kind, structures }) => `${kind} ${structures.length}`),
      frozen: [...new Set(reasons)].sort(),
    },
    expected,
  );
  for (const choice of [THREE_IN_TEN, ALL_BUT_ONE]) {
    await using checked = await checkRemovalOf(path, choice);
    assert.ok(checked.removed.size > 0);
    const [dense, pruned] = await Promise.all([readGraph(path), readGraph(checked.path)]);
    assert.deepEqual(pruned.valueInfo, []);
    assert.deepEqual(unreadNames(pruned), []);
    assert.ok(storedFloats(pruned) < storedFloats(dense));
    assert.ok(checked.masked <= TOLERANCE, `differs by ${checked.masked} from the masked model`);
    assert.ok(checked.zeroed <= TOLERANCE, `differs by ${checked.zeroed} from the model with zeros`);
  }
}

async function readGraph(path: string): Promise<GraphProto> {
  const { graph } = fromBinary(ModelProtoSchema, new Uint8Array(await readFile(path)));
  assert.ok(graph);
  return graph;
}

/** How many numbers a model stores, integers left out: shapes may need some that were computed. */
function storedFloats(graph: GraphProto): number {
  const tensors = [graph, ...innerGraphs(graph.node)].flatMap(storedTensors);
  const floats = tensors.filter((tensor) => isFloatDtype(dtypeOf(tensor)));
  return floats.reduce((sum, { dims }) => sum + elementCount(dims.map(Number)), 0);
}

/** What a model computes or stores, and nothing in it reads. */
function unreadNames(graph: GraphProto): string[] {
  const read = new Set<string>();
  for (const { node, output } of [graph, ...innerGraphs(graph.node)]) {
    for (const { input } of node) for (const name of input) read.add(name);
    for (const { name } of output) read.add(name);
  }
  const dead = graph.node.filter(({ output }) => !output.some((name) => read.has(name)));
  const stored = graph.initializer.map(({ name }) => name).filter((name) => !read.has(name));
  return [...dead.map(({ output }) => output[0]), ...stored];
}
