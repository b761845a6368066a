import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { ModelTensor } from '../../src/formats/model.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { StructuredModel } from '../../src/structure/structured-model.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';
import { encode } from '../models/build-model.ts';
import { EXPERT_MODELS } from '../models/expert-models.ts';
import { type Choice, checkRemovalOf, THREE_IN_TEN } from './removal-check.ts';

/** Of the largest number of an output. */
const TOLERANCE = 1e-5;
const ALL_BUT_ONE: Choice = ({ structures }) => structures.slice(1).map(({ root }) => root);

/** Stacked matrices are weights, also those that the inventory does not follow: picked as integers, or to be split. */
function asWeight(tensor: ModelTensor): ModelTensor {
  const [experts, rows, columns] = tensor.shape;
  const isStacked = columns !== undefined && /^(up|gated|both|down)/.test(tensor.name);
  if (!isStacked || tensor.rows !== null) return tensor;
  const layout = tensor.name.endsWith('_rows')
    ? { outer: 1, reduced: 1, units: experts * rows, inner: columns }
    : { outer: experts, reduced: rows, units: columns, inner: 1 };
  return { ...tensor, role: 'weight', rows: layout };
}

describe('mixtures of experts', () => {
  for (const { name, model, families, routed } of EXPERT_MODELS) {
    test(name, async (t) => {
      const directory = await mkdtemp(join(tmpdir(), 'emp-experts-'));
      t.after(() => rm(directory, { recursive: true }));
      const path = join(directory, 'model.onnx');
      await writeFile(path, encode(model));
      const stored = await readStoredModel(directory, ['model.onnx']);
      const inventory = { ...stored.inventory, tensors: stored.inventory.tensors.map(asWeight) };
      const { signal } = new AbortController();
      await using opened = await StructuredModel.open({
        ...{ model: { directory, inventory }, runtime: RUNTIME, signal },
      });
      const found = opened.structures.families.map(({ kind, structures }) => `${kind} ${structures.length}`);
      assert.deepEqual(found, families);
      const reasons = new Set(opened.structures.frozen.map(({ reason }) => reason));
      assert.deepEqual(
        routed.filter((reason) => !reasons.has(reason)),
        [],
      );
      for (const choice of [THREE_IN_TEN, ALL_BUT_ONE]) {
        await using checked = await checkRemovalOf(path, choice);
        assert.ok(checked.removed.size > 0);
        assert.ok(checked.masked <= TOLERANCE, `differs by ${checked.masked} from the masked model`);
        assert.ok(checked.zeroed <= TOLERANCE, `differs by ${checked.zeroed} from the model with zeros`);
      }
    });
  }
});
