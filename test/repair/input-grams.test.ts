import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { samplesOf } from '../../src/criteria/context.ts';
import { readStoredGraph } from '../../src/graph/interface.ts';
import { describeLayers, type FittableLayer, inputsKey } from '../../src/repair/fittable-layers.ts';
import { measureGrams, planStages } from '../../src/repair/input-grams.ts';
import { gramOf } from '../criteria/greedy-oracle.ts';
import { node, tensor } from '../models/build-model.ts';
import { gaussians, multiply, smallModelContext } from '../models/small-model.ts';

const range = (length: number) => [...Array(length).keys()];
const N = 50;
const [w1, w2, w3, x] = [gaussians(12, 1), gaussians(12, 2), gaussians(6, 3), gaussians(N * 3, 4)];
const chain = {
  nodes: [
    ...[node('MatMul', ['x', 'w1'], ['a']), node('MatMul', ['a', 'w2'], ['b'])],
    node('MatMul', ['b', 'w3'], ['y']),
  ],
  initializers: [tensor('w1', [3, 4], w1), tensor('w2', [4, 3], w2), tensor('w3', [3, 2], w3)],
  outputs: ['y'],
  xShape: [N, 3],
  x,
};

describe('Gram matrices of what comes into layers', () => {
  test('are means over rows, the same in whatever stages they are formed', async (t) => {
    const context = await smallModelContext(t, chain);
    const model = { ...context.model, model: await readStoredGraph(context.model) };
    const layers = [...describeLayers(model.model, model.inventory, ['w1', 'w2', 'w3']).values()];
    const [first, second, third] = layers.filter(
      (layer): layer is FittableLayer => typeof layer === 'object',
    );
    const found = [];
    for (const stages of [[[first, second, third]], [[second, third], [second], [first]]]) {
      const grams = new Map();
      for await (const own of measureGrams(model, stages, { ...context, samples: samplesOf(context) }))
        for (const [key, gram] of own) grams.set(key, gram);
      found.push(grams);
    }
    assert.deepEqual(found[0], found[1]);
    const a = multiply(x, w1, [N, 3, 4]);
    const rows = range(N).map((row) => a.slice(4 * row, 4 * row + 4));
    const { products, means } = found[0].get(inputsKey(second));
    for (const [i, expected] of gramOf(rows, 0).flat().entries())
      assert.ok(Math.abs(products[i] - expected) < 1e-5, `${products[i]}, not ${expected}`);
    for (const i of range(4)) {
      const mean = rows.reduce((sum, row) => sum + row[i], 0) / N;
      assert.ok(Math.abs(means[i] - mean) < 1e-6);
    }
  });

  test('are formed for as many families at a time as fit, what several read once', () => {
    const [a, b, c] = [10, 11, 20].map(
      (features): FittableLayer => ({
        ...{ weight: 'w', groups: 1, units: 1, features, places: [], positions: null },
      }),
    );
    const families = [[a, b], [b], [], [c], [a], [a, c]];
    assert.deepEqual(planStages(families, 1768), [[0, 1], [3], [4], [5]]);
    assert.deepEqual(planStages(families, 4968), [[0, 1, 3, 4, 5]]);
    assert.deepEqual(planStages([[], []]), []);
  });
});
