import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { compareFiles } from './compared-models.ts';
import { masked, type SquareLayer, squareLayers, squareModel, squareSamples } from './square-models.ts';

const layers = squareLayers(2);
const original = squareModel(layers);
const data = await squareSamples();
after(() => data[Symbol.asyncDispose]());
const evaluation = data.samples;
const shifted = (layer: SquareLayer) => ({ ...layer, bias: layer.bias.map((value) => value + 1) });
const NAMED = /2 tensors have other values: bw0, bw1\./;

describe('biases with other values', () => {
  test('beside a mask: it is measured on the values of the original', async (t) => {
    const pruned = layers.map((layer) => masked(layer, 3));
    const plain = (await compareFiles(t, [original, squareModel(pruned)], { evaluation })).comparison;
    const { comparison } = await compareFiles(t, [original, squareModel(pruned.map(shifted))], {
      evaluation,
    });
    assert.equal(plain.evaluation?.pruned_mask, null);
    assert.deepEqual(comparison.evaluation?.pruned_mask, plain.evaluation?.pruned);
    assert.deepEqual(comparison.evaluation?.better, plain.evaluation?.better);
    assert.notEqual(comparison.evaluation?.pruned.loss, plain.evaluation?.pruned.loss);
    assert.equal(comparison.total.is_mask, false);
    assert.match(comparison.verdict[1], NAMED);
  });

  test('alone: they are named, and no choice is offered', async (t) => {
    const { comparison } = await compareFiles(t, [original, squareModel(layers.map(shifted))], {
      evaluation,
    });
    assert.match(comparison.verdict[1], NAMED);
    assert.match(comparison.verdict.at(-1) ?? '', /no other choice of that size/);
    assert.equal(comparison.evaluation?.better.found, false);
  });
});
