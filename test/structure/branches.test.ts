import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { type ModelProto, ModelProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import { modelInputs } from '../../src/graph/interface.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import { innerGraphs } from '../../src/graph/proto-walk.ts';
import { openSession, UNOPTIMIZED } from '../../src/runtime/session.ts';
import { StructuredModel } from '../../src/structure/structured-model.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';

import { BRANCH_MODELS, type BranchModel } from '../models/branch-models.ts';
import { encode } from '../models/build-model.ts';

import { relativeDifference } from './compare-values.ts';
import { createFeeds } from './model-feeds.ts';
import { maskedWhole, traceWhole, zeroedWhole } from './whole-model.ts';

const TOLERANCE = 1e-5;
const BATCHES = [1, 4];
const { signal } = new AbortController();

describe('structures inside branches', () => {
  for (const { name, model, ...expected } of BRANCH_MODELS) {
    test(name, async (t) => {
      const path = join(await createFolder(t), 'model.onnx');
      await writeFile(path, encode(model));
      const { families, frozen } = await structuresOf(path);
      const reasons = frozen.map(({ tensor, operator, reason }) => `${tensor} ${operator}: ${reason}`);
      assert.deepEqual(
        {
          families: families.map((family) => `${family.name} ${family.structures.length}`),
          frozen: [...new Set(reasons)].sort(),
        },
        { families: expected.families, frozen: expected.frozen },
      );
      if (families.length > 0) await checkRemoval(t, path, expected);
    });
  }
});

/** What is left of every tensor is named as in the inventory, and runs as the dense model with masks and zeros does, whichever branches are taken. */
async function checkRemoval(
  t: TestContext,
  path: string,
  { lengths }: Pick<BranchModel, 'lengths'>,
): Promise<void> {
  const target = await createFolder(t);
  await using model = await open(path);
  const { families } = model.structures;
  const gone = families.flatMap(({ structures }) => structures.filter((_, index) => index % 3 === 1));
  const removed = new Set(gone.map(({ root }) => root));
  assert.equal(removed.size, gone.length);
  const { files, kept } = await model.write(removed, target, signal, () => false);
  const shrunk = new Set(gone.flatMap(({ sites }) => sites.map(({ tensor }) => tensor)));
  assert.deepEqual([...kept.keys()].sort(), [...shrunk].sort());
  const written = new Uint8Array(await readFile(join(target, files[0])));
  assertNamesOfTheirOwn(fromBinary(ModelProtoSchema, written));
  const whole = await traceWhole(new Uint8Array(await readFile(path)));
  await using pruned = await openSession(written, RUNTIME, UNOPTIMIZED);
  for (const oracle of [maskedWhole(whole, removed), zeroedWhole(whole, removed)]) {
    await using dense = await openSession(oracle, RUNTIME, UNOPTIMIZED);
    const outputs = dense.outputs.map((output) => output.name);
    for (const feeds of feedsOf(whole.proto, lengths)) {
      const [found, wanted] = [await pruned.run(feeds, outputs), await dense.run(feeds, outputs)];
      for (const name of outputs) {
        assert.ok(relativeDifference(found.get(name)!, wanted.get(name)!) <= TOLERANCE, name);
      }
    }
  }
}

/** Every choice of branches at several batch sizes; `lengths` are those of what follows the batch, by the first condition. */
function* feedsOf(proto: ModelProto, lengths: readonly [boolean: number, boolean: number] | undefined) {
  const inputs = modelInputs(new OnnxModel(proto));
  const conditions = inputs.filter(({ dtype }) => dtype === 'bool').map(({ name }) => name);
  for (const batch of BATCHES) {
    for (let choice = 0; choice < 2 ** conditions.length; choice++) {
      const sizes: Readonly<Record<string, number | undefined>> = { batch, length: lengths?.[choice & 1] };
      const feeds = createFeeds(inputs, (name) => {
        const dims = inputs.find((input) => input.name === name)?.dims ?? [];
        return dims.map((dim) => (typeof dim === 'number' ? dim : (sizes[dim ?? ''] ?? 0)));
      });
      for (const [i, name] of conditions.entries()) feeds.get(name)?.data.fill(((choice >> i) & 1) as never);
      yield feeds;
    }
  }
}

/** No graph defines what the graphs around it do. */
function assertNamesOfTheirOwn({ graph }: ModelProto): void {
  const graphs = graph ? [graph, ...innerGraphs(graph.node)] : [];
  const names = graphs.flatMap(({ initializer, node }) => [
    ...initializer.map(({ name }) => name),
    ...node.flatMap(({ output }) => output),
  ]);
  assert.deepEqual(names.toSorted(), [...new Set(names)].sort());
}

async function structuresOf(path: string) {
  await using model = await open(path);
  return model.structures;
}

async function open(path: string): Promise<StructuredModel> {
  const model = await readStoredModel(join(path, '..'), ['model.onnx']);
  return await StructuredModel.open({ model, runtime: RUNTIME, signal });
}

async function createFolder(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-branches-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}
