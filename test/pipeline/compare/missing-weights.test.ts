import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { compareFiles } from './compared-models.ts';
import { masked, squareLayers, squareModel, squareSamples, WIDTH } from './square-models.ts';

const layers = squareLayers(3);
const original = squareModel(layers);
const data = await squareSamples();
after(() => data[Symbol.asyncDispose]());
const SIZE = WIDTH * WIDTH;
const text = (sentences: readonly string[]) => sentences.join(' ');

describe('weights that only one model has', () => {
  test('a layer that was dropped differs, and the choices are as small as what is left', async (t) => {
    const dropped = squareModel([layers[0], layers[2]], { names: ['w0', 'w2'] });
    const { comparison } = await compareFiles(t, [original, dropped], { evaluation: data.samples });
    const { total, only_in_original, evaluation, verdict } = comparison;
    assert.deepEqual(only_in_original, ['w1', 'bw1']);
    assert.deepEqual(
      [total.n, total.n_keep, total.n_missing, total.is_mask],
      [3 * SIZE, 2 * SIZE, SIZE, false],
    );
    assert.deepEqual(
      [evaluation?.global.sparsity, evaluation?.layer.sparsity],
      [total.sparsity, total.sparsity],
    );
    assert.notEqual(evaluation?.global.loss, evaluation?.original.loss);
    assert.notEqual(evaluation?.layer.loss, evaluation?.original.loss);
    assert.doesNotMatch(text(verdict), /No weight differs/);
    assert.match(text(verdict), new RegExp(`${SIZE} are in tensors that it lacks`));
    assert.match(text(verdict), /2 tensors are missing in the pruned model: w1, bw1\./);
  });

  test('a layer that was added differs, and nothing has to make room for it', async (t) => {
    const longer = squareModel([layers[0], layers[1], layers[2], layers[0]], {
      names: ['w0', 'w1', 'w2', 'w3'],
    });
    const { total, verdict } = (await compareFiles(t, [original, longer])).comparison;
    assert.deepEqual([total.n_keep, total.n_missing, total.is_mask], [total.n, 0, false]);
    assert.equal(verdict[0], 'No weight differs that both models have.');
    assert.match(text(verdict), /2 tensors are only in the pruned model: w3, bw3\./);
  });

  test('a layer in the place of another counts for it', async (t) => {
    const other = masked(layers[2], 4);
    const replaced = squareModel([layers[0], layers[0], other, layers[2]], {
      names: ['w0', 'first', 'second', 'w2'],
      hidden: 'own',
    });
    const { total } = (await compareFiles(t, [original, replaced])).comparison;
    assert.deepEqual([total.n_keep, total.n_missing], [3 * SIZE, SIZE]);
    const few = squareModel([layers[0], other, masked(layers[1], 1), layers[2]], {
      names: ['w0', 'first', 'second', 'w2'],
      hidden: 'own',
    });
    const kept = other.weights.filter((weight) => weight !== 0).length;
    assert.equal((await compareFiles(t, [original, few])).comparison.total.n_keep, 2 * SIZE + kept);
  });
});
