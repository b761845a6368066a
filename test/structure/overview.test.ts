import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ModelInventory, ModelTensor } from '../../src/formats/model.ts';
import type { Family, FrozenAxis, Site, StructureKind } from '../../src/structure/families.ts';
import { describeStructures, MAX_FROZEN, structureOverviewSchema } from '../../src/structure/overview.ts';

const inventory: ModelInventory = {
  format: 'onnx',
  files: ['model.onnx'],
  tensors: ['a', 'b', 'table'].map(
    (name): ModelTensor => ({
      name,
      shape: [6, 6],
      dtype: 'float32',
      role: 'weight',
      prunable: true,
      data: null,
      rows: null,
    }),
  ),
  nParameters: 108,
};

const site = (tensor: string, axis: number, ...positions: number[]): Site => ({ tensor, axis, positions });

function family(kind: StructureKind, producers: Site[], others: Site[]): Family {
  const structure = { root: 0, producers, consumers: [], sites: [...producers, ...others] };
  return { name: kind, kind, structures: [structure, { ...structure, root: 1 }], isUnread: true };
}

const shown = (families: Family[], frozen: FrozenAxis[] = []) =>
  structureOverviewSchema.parse(describeStructures({ families, frozen, lasting: [] }, inventory));

describe('the overview of structures', () => {
  test('counts structures, and the positions that one takes of every axis', () => {
    const heads = family('head', [site('a', 0, 0, 1, 2), site('a', 1, 4)], [site('b', 1, 3, 5)]);
    assert.deepEqual(shown([heads]).families, [
      {
        name: 'head',
        kind: 'head',
        n: 2,
        producers: ['a'],
        consumers: [],
        unread: true,
        axes: [
          { tensor: 'a', axis: 0, positions_each: 3 },
          { tensor: 'a', axis: 1, positions_each: 1 },
          { tensor: 'b', axis: 1, positions_each: 2 },
        ],
      },
    ]);
  });

  test('leaves out what no recipe names, and copies that the analysis made', () => {
    const nodes = family('kan_node', [site('a', 0, 1)], [site('table', 0, 1), site('copy_0_table', 0, 1)]);
    const others = family('other', [], [site('copy_0_table', 1, 1)]);
    const { families } = shown([nodes, others]);
    assert.deepEqual(
      families.map(({ kind, axes }) => [kind, axes.map(({ tensor }) => tensor)]),
      [['kan_node', ['a', 'table']]],
    );
  });

  test('of many frozen axes the first are listed and all are counted', () => {
    const frozen = Array.from({ length: MAX_FROZEN + 5 }, (_, axis) => ({
      tensor: 'a',
      axis,
      node: '',
      operator: '',
      reason: 'is one structure',
    }));
    const overview = shown([], frozen);
    assert.equal(overview.n_frozen, MAX_FROZEN + 5);
    assert.equal(overview.frozen.length, MAX_FROZEN);
    assert.deepEqual(overview.frozen[7], {
      tensor: 'a',
      axis: 7,
      node: null,
      operator: null,
      reason: 'is one structure',
    });
  });
});
