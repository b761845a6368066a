import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { BYTE_WIDTH, isFloatDtype } from '../../src/core/dtype.ts';
import { testFolder } from '../criteria/run-criterion.ts';
import { encode } from '../models/build-model.ts';
import { SMALL_MODELS } from '../models/small-models.ts';
import { readTensors, unpack } from '../models/small-safetensors.ts';
import { sharedFixtures } from '../shared.ts';
import { inventoryOf, pruneFiles } from './prune-files.ts';

const EXAMPLE = fileURLToPath(new URL('../../examples/fc2-mnist.onnx', import.meta.url));
const fixtures = sharedFixtures();

/** The pruned file must be the dense one with exactly the dropped elements' bytes zeroed. */
async function assertOnlyDroppedChange(dense: string, directory: string): Promise<void> {
  const expected = new Uint8Array(await readFile(dense));
  const masks = await readTensors(join(directory, 'masks.safetensors'));
  const { tensors } = await inventoryOf(dirname(dense), [basename(dense)]);
  for (const { name, dtype, data, shape } of tensors) {
    const mask = masks.get(name);
    if (!mask || !data || !isFloatDtype(dtype)) continue;
    const width = BYTE_WIDTH[dtype];
    const n = shape.reduce((a, b) => a * b, 1);
    unpack(mask, n).forEach((keep, i) => {
      const start = data.runs[0].offset + i * width;
      if (!keep) expected.fill(0, start, start + width);
    });
  }
  const actual = new Uint8Array(await readFile(join(directory, basename(dense))));
  assert.equal(Buffer.compare(actual, expected), 0);
}

/** Loads a model in onnxruntime and runs it on inputs made up from its signature. */
async function runModel(path: string): Promise<Record<string, Tensor>> {
  const session = await InferenceSession.create(path);
  const feeds: Record<string, Tensor> = {};
  for (const input of session.inputMetadata) {
    assert.ok(input.isTensor);
    const dims = input.shape.map((size, axis) => (typeof size === 'number' ? size : axis === 0 ? 2 : 128));
    const n = dims.reduce((a, b) => a * b, 1);
    feeds[input.name] =
      input.type === 'int64'
        ? new Tensor(
            'int64',
            BigInt64Array.from({ length: n }, (_, i) => BigInt(i % 100)),
            dims,
          )
        : new Tensor(
            'float32',
            Float32Array.from({ length: n }, (_, i) => Math.sin(i)),
            dims,
          );
  }
  const outputs = await session.run(feeds);
  await session.release();
  return outputs as Record<string, Tensor>;
}

describe('a pruned ONNX model', () => {
  const models = [EXAMPLE];
  for (const name of ['fc5-fashion', 'cnn-fashion', 'kan-mnist', 'llama-tiny']) {
    if (fixtures) models.push(join(fixtures, name, 'model.onnx'));
  }
  for (const model of models) {
    test(`${basename(dirname(model))}/${basename(model)} changes in the dropped weights alone, loads and runs`, async () => {
      assert.ok(existsSync(model));
      for (const scope of ['global', 'layer', 'row']) {
        await using pruned = await pruneFiles(model, { scope });
        await assertOnlyDroppedChange(model, pruned.directory);
        const outputs = await runModel(join(pruned.directory, basename(model)));
        for (const output of Object.values(outputs)) {
          assert.ok((output.data as Float32Array).every(Number.isFinite), 'outputs are finite');
        }
      }
    });
  }
  if (!fixtures) test('golden models', (t) => t.skip('did not run: ../shared/fixtures is not here'));
});

test('a tensor is masked under a number where its name is none of a tensor in safetensors', async (t) => {
  const folder = await testFolder(t);
  const dense = join(folder, 'model.onnx');
  const found = SMALL_MODELS.find(({ model }) =>
    model.graph?.initializer.some(({ name }) => name === '__metadata__'),
  );
  assert.ok(found);
  await writeFile(dense, encode(found.model));
  await using pruned = await pruneFiles(dense, {});
  const names = pruned.report.tensors.map(({ name }) => name);
  assert.deepEqual(names, ['w', '__metadata__#2']);
  assert.deepEqual([...(await readTensors(join(pruned.directory, 'masks.safetensors'))).keys()], names);
  await assertOnlyDroppedChange(dense, pruned.directory);
});
