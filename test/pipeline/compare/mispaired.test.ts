import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { createGaussian } from '../../../bench/gaussian.ts';
import { compareFiles } from './compared-models.ts';
import { masked, type SquareLayer, squareLayers, squareModel, squareSamples } from './square-models.ts';

const layers = squareLayers(3);
const original = squareModel(layers);
const data = await squareSamples();
after(() => data[Symbol.asyncDispose]());
const evaluation = data.samples;
const pruned = layers.map((layer, i) => masked(layer, 2 + i));
const SWAPPED = { names: ['w1', 'w0', 'w2'] };
const text = (sentences: readonly string[]) => sentences.join(' ');

/** As fitting them anew leaves them: near what they were. */
function refitted(layer: SquareLayer, seed: number): SquareLayer {
  const noise = new Float32Array(layer.weights.length);
  createGaussian(seed)(noise);
  const weights = layer.weights.map((weight, i) => weight * (1 + 0.2 * noise[i]));
  return { ...layer, weights };
}

describe('tensors of one name and shape that have nothing in common', () => {
  test('names that were exchanged: paired by what is in them', async (t) => {
    const straight = (await compareFiles(t, [original, squareModel(pruned)], { evaluation })).comparison;
    const { comparison } = await compareFiles(t, [original, squareModel(pruned, SWAPPED)], { evaluation });
    assert.deepEqual(
      comparison.tensors
        .filter(({ matched_by }) => matched_by === 'content')
        .map(({ name, pruned_name, change }) => [name, pruned_name, change]),
      [
        ['w0', 'w1', 'masked'],
        ['bw0', 'bw1', 'unchanged'],
        ['w1', 'w0', 'masked'],
        ['bw1', 'bw0', 'unchanged'],
      ],
    );
    assert.ok(comparison.total.is_mask);
    assert.deepEqual(comparison.total, straight.total);
    assert.deepEqual(comparison.evaluation, straight.evaluation);
    assert.deepEqual([comparison.only_in_original, comparison.only_in_pruned], [[], []]);
    assert.match(text(comparison.verdict), /paired by their values, not their names: w0 \(w1 there\)/);
  });

  test('names that were exchanged, and values fitted anew: not compared', async (t) => {
    const swapped = squareModel(
      pruned.map((layer, i) => refitted(layer, 70 + i)),
      SWAPPED,
    );
    const { tensors, total } = (await compareFiles(t, [original, swapped])).comparison;
    const [first, second, third] = ['w0', 'w1', 'w2'].map((name) =>
      tensors.find((found) => found.name === name),
    );
    assert.deepEqual([first?.change, second?.change], ['not_compared', 'not_compared']);
    assert.match(first?.reason ?? '', /nothing in common with w0 .* resemble those of w1/);
    assert.deepEqual([third?.change, total.is_mask], ['refitted', false]);
  });

  for (const [what, change] of [
    ['', (layer: SquareLayer) => layer],
    [' and fitted anew', refitted],
  ] as const)
    test(`square weights that lie transposed${what}: not compared, but counted`, async (t) => {
      const turned = squareModel(
        pruned.map((layer, i) => change(layer, 70 + i)),
        { isTurned: true },
      );
      const { total, tensors, verdict } = (await compareFiles(t, [original, turned], { evaluation }))
        .comparison;
      const straight = (await compareFiles(t, [original, squareModel(pruned)])).comparison.total;
      for (const name of ['w0', 'w1', 'w2']) {
        const found = tensors.find((tensor) => tensor.name === name);
        assert.deepEqual([found?.change, found?.masks, found?.mask_sha256], ['not_compared', null, null]);
        assert.match(found?.reason ?? '', /another layout: .* in the order \[1, 0\]/);
      }
      assert.deepEqual([total.n_keep, total.is_mask, total.masks], [straight.n_keep, false, null]);
      assert.match(verdict[0], /0 became zero, of those that could be compared\./);
      assert.doesNotMatch(text(verdict), /fitted anew|it is a mask|No weight differs/);
    });

  test('a tensor in the place of another, which is gone', async (t) => {
    const names = ['w1', 'other', 'w2'];
    const fresh = squareLayers(4)[3];
    const moved = squareModel([pruned[0], fresh, pruned[2]], { names, hidden: 'own' });
    const { tensors } = (await compareFiles(t, [original, moved])).comparison;
    assert.equal(tensors.find(({ name }) => name === 'w0')?.pruned_name, 'w1');
  });

  test('values that were learned anew go with nothing, and stay what they are', async (t) => {
    const learned = squareModel([pruned[0], squareLayers(4)[3], pruned[2]]);
    const { tensors } = (await compareFiles(t, [original, learned])).comparison;
    const found = tensors.find(({ name }) => name === 'w1');
    assert.deepEqual([found?.change, found?.matched_by], ['refitted', 'name']);
  });

  test('values that were only fitted anew are held against each other as ever', async (t) => {
    const fitted = squareModel(pruned.map((layer, i) => refitted(layer, 70 + i)));
    const { tensors } = (await compareFiles(t, [original, fitted])).comparison;
    const weights = tensors.filter(({ prunable }) => prunable);
    assert.ok(weights.every(({ change, matched_by }) => change === 'refitted' && matched_by === 'name'));
  });
});
