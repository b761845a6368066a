import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { matrixColumns } from '../../src/criteria/matrix-columns.ts';
import { createIndexMap } from '../../src/graph/weights/index-map.ts';
import type { FittableLayer } from '../../src/repair/fittable-layers.ts';

const layerOf = (
  shape: Pick<FittableLayer, 'groups' | 'units' | 'features' | 'positions'>,
): FittableLayer => ({
  weight: 'w',
  places: [],
  ...shape,
});
const along = (axis: number, ...positions: number[][]) => positions.map((own) => [{ axis, positions: own }]);

describe('columns of a matrix that structures are', () => {
  test('of a stored [in, out], and of one whose input features lie along two axes', () => {
    const plain = layerOf({
      ...{ groups: 1, units: 2, features: 4 },
      positions: { features: createIndexMap([4, 2], [1, 0]), units: createIndexMap([4, 2], [0, 1]) },
    });
    assert.deepEqual(matrixColumns(plain, [4, 2], along(0, [1, 3], [0, 2])), [
      [1, 3],
      [0, 2],
    ]);
    const split = layerOf({
      ...{ groups: 1, units: 3, features: 4 },
      positions: {
        features: createIndexMap([2, 3, 2], [2, 0, 1]),
        units: createIndexMap([2, 3, 2], [0, 1, 0]),
      },
    });
    assert.deepEqual(matrixColumns(split, [2, 3, 2], along(2, [1], [0])), [
      [1, 3],
      [0, 2],
    ]);
  });

  test('of a convolution in groups: of all its groups, by places of the kernel', () => {
    const layer = layerOf({ groups: 2, units: 2, features: 6, positions: null });
    assert.deepEqual(matrixColumns(layer, [4, 2, 3], along(1, [0], [1])), [
      [0, 1, 2, 6, 7, 8],
      [3, 4, 5, 9, 10, 11],
    ]);
  });

  test('are none where a structure is a part of a column, shares one, or is wider than another', () => {
    const layer = layerOf({
      ...{ groups: 1, units: 4, features: 3 },
      positions: {
        features: createIndexMap([3, 2, 2], [1, 0, 0]),
        units: createIndexMap([3, 2, 2], [0, 2, 1]),
      },
    });
    assert.equal(matrixColumns(layer, [3, 2, 2], along(1, [0])), null);
    assert.equal(matrixColumns(layer, [3, 2, 2], along(1, [0], [1])), null);
    assert.equal(matrixColumns(layer, [3, 2, 2], along(0, [0, 1], [2])), null);
    assert.equal(matrixColumns(layer, [3, 2, 2], along(0, [0], [])), null);
  });
});
