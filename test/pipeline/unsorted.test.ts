import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { RandomWords } from '../../src/core/random-words.ts';
import { ModelProtoSchema, type NodeProto } from '../../src/formats/onnx/onnx-schema.ts';
import { encode } from '../models/build-model.ts';
import { writeMlp } from '../models/small-mlp.ts';
import { inventoryOf, pruneFiles } from './prune-files.ts';

let mlp: Awaited<ReturnType<typeof writeMlp>>;
before(async () => {
  mlp = await writeMlp([12, 40, 24, 5], 60);
});
after(() => mlp[Symbol.asyncDispose]());

/** Of nodes that a chain makes. */
const ORDERS: Readonly<Record<string, (nodes: readonly NodeProto[]) => NodeProto[]>> = {
  reversed: (nodes) => nodes.toReversed(),
  shuffled(nodes) {
    const random = new RandomWords(7);
    const keys = new Map(nodes.map((node) => [node, random.nextShare()]));
    return nodes.toSorted((a, b) => (keys.get(a) ?? 0) - (keys.get(b) ?? 0));
  },
  'with the last one first': (nodes) => [nodes[nodes.length - 1], ...nodes.slice(0, -1)],
};

/** The model with its nodes in another order, under the same name. */
async function reordered(order: string): Promise<string> {
  const proto = fromBinary(ModelProtoSchema, new Uint8Array(await readFile(mlp.path)));
  assert.ok(proto.graph);
  proto.graph.node = ORDERS[order](proto.graph.node);
  const directory = join(mlp.directory, order);
  await mkdir(directory, { recursive: true });
  const path = join(directory, 'mlp.onnx');
  await writeFile(path, encode(proto));
  return path;
}

const CHANNELS = { granularity: 'channel', scope: 'layer', round_to: 1, budget: { sparsity: 0.5 } };
const RECIPES: readonly object[] = [
  ...['l2_norm', 'activation', 'wanda', 'variance', 'obs', 'taylor_rms'].map((criterion) => ({
    ...CHANNELS,
    criterion,
  })),
  { ...CHANNELS, criterion: 'variance', repair: ['bias', 'least_squares'] },
  ...['wanda', 'taylor', 'saliency_rms'].map((criterion) => ({ criterion })),
  { criterion: 'magnitude', hessian_probes: 2 },
  { criterion: 'wanda', budget: { sparsity: 0.6 }, repair: ['least_squares'] },
];
/** For orders beside the first. */
const SOME_RECIPES = [
  { ...CHANNELS, criterion: 'variance', repair: ['least_squares'] },
  { criterion: 'taylor' },
];

describe('a model whose nodes stand in another order than they run in', () => {
  for (const order of Object.keys(ORDERS)) {
    for (const recipe of order === 'reversed' ? RECIPES : SOME_RECIPES) {
      test(`${order}: ${JSON.stringify(recipe)}`, async () => {
        const path = await reordered(order);
        const data = { calibration: mlp.samples, evaluation: mlp.samples };
        await using twin = await pruneFiles(mlp.path, recipe, data);
        await using pruned = await pruneFiles(path, recipe, data);
        assert.deepEqual(pruned.report.total, twin.report.total);
        assert.deepEqual(pruned.report.structures, twin.report.structures);
        assert.deepEqual(pruned.report.repair, twin.report.repair);
        assert.equal(pruned.report.evaluation?.pruned.loss, twin.report.evaluation?.pruned.loss);
        const [own, other] = await Promise.all(
          [pruned, twin].map(({ directory }) => readFile(join(directory, 'mlp.onnx'))),
        );
        // What is written anew has its nodes in order; where numbers become zeros in place every other byte stays.
        if ('granularity' in recipe) assert.deepEqual(own, other);
        else assert.equal(own.length, other.length);
        const { tensors } = await inventoryOf(pruned.directory, ['mlp.onnx']);
        assert.ok(tensors.every(({ role }) => role === 'weight'));
      });
    }
  }
});
