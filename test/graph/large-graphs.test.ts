import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkDifferentiable } from '../../src/autodiff/differentiable.ts';
import { EmpError } from '../../src/core/errors.ts';
import { bytesSource } from '../../src/formats/byte-source.ts';
import { checkAppendable } from '../../src/graph/appendix.ts';
import { madeOfContent } from '../../src/graph/content-sizes.ts';
import { modelInputs } from '../../src/graph/interface.ts';
import { findFinalNode } from '../../src/graph/measured-output.ts';
import { findLayerSites, readOnnxInventory, readOnnxModel } from '../../src/graph/onnx-inventory.ts';
import { removeDeadCode } from '../../src/graph/passes/remove-dead-code.ts';
import { REPAIRS } from '../../src/repair/registry.ts';
import { createZeroedModel } from '../../src/runtime/zeroed-model.ts';
import { prepareGraph } from '../../src/structure/structured-model.ts';
import { encode, model, node } from '../models/build-model.ts';
import { LARGE_MODELS } from '../models/large-models.ts';

/** More than the stack has room for, where something goes from node to node by calls. */
const COUNT = 10_000;
/** Of CPU, for what takes a sixth of it where it is linear and half a minute where it is not. */
const MAX_SECONDS = 4.5;

/** What it returns; undefined where it refuses the graph. */
async function within<T>(what: string, run: () => T): Promise<Awaited<T> | undefined> {
  const before = process.cpuUsage();
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof EmpError)) throw error;
  } finally {
    const { user } = process.cpuUsage(before);
    assert.ok(user < MAX_SECONDS * 1e6, `${what} took ${user / 1e6} s`);
  }
  return undefined;
}

describe(`whatever looks at a graph of ${COUNT} nodes takes seconds and no depth of the stack`, () => {
  for (const [title, build] of Object.entries(LARGE_MODELS)) {
    test(title, async () => {
      const files = new Map([['model.onnx', bytesSource(encode(build(COUNT)))]]);
      const inventory = await within('readOnnxInventory', () => readOnnxInventory(files));
      assert.ok(inventory);
      const weights = inventory.tensors.filter(({ role }) => role === 'weight').map(({ name }) => name);
      const read = await readOnnxModel(files);
      const { graph } = read;
      await within('checkAppendable', () => checkAppendable(read));
      await within('modelInputs', () => modelInputs(read));
      await within('findLayerSites', () => findLayerSites(read));
      await within('checkDifferentiable', () => checkDifferentiable(read, weights));
      for (const [name, { plan }] of Object.entries(REPAIRS))
        await within(name, () => plan(read, inventory, weights));
      const { signal } = new AbortController();
      await within('createZeroedModel', () => createZeroedModel(read, files, signal));
      await within('madeOfContent', () => madeOfContent(graph, []));
      await within('findFinalNode', () => findFinalNode(read, graph.outputs[0].name));
      await within('removeDeadCode', () => removeDeadCode(read.proto));
      const other = await readOnnxModel(files);
      await within('prepareGraph', () => prepareGraph(other, inventory));
    });
  }
});

test('nodes in a circle of any length are refused', async () => {
  for (const count of [1, 2, COUNT]) {
    const nodes = Array.from({ length: count }, (_, index) =>
      node('Identity', [`${(index + 1) % count}`], [`${index}`]),
    );
    const files = new Map([['model.onnx', bytesSource(encode(model({ nodes, outputs: ['0'] })))]]);
    await assert.rejects(readOnnxInventory(files), { code: 'malformed_onnx', message: /in a circle/ });
  }
});
