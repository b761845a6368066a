import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { compareFiles } from './compared-models.ts';
import { masked, type SquareLayer, squareLayers, squareModel, squareSamples } from './square-models.ts';

const layers = squareLayers(2);
const original = squareModel(layers);
const data = await squareSamples();
after(() => data[Symbol.asyncDispose]());
const { samples } = data;
const pruned = layers.map((layer) => masked(layer, 3));
const second = (change: (layer: SquareLayer) => Partial<SquareLayer>) =>
  squareModel(pruned.map((layer, i) => (i === 1 ? { ...layer, ...change(layer) } : layer)));
const text = (sentences: readonly string[]) => sentences.join(' ');

describe('a pruned model that gives no finite numbers', () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY])
    for (const labels of [samples.labels, null])
      test(`a weight that is ${value}, ${labels ? 'with' : 'without'} labels`, async (t) => {
        const broken = second(({ weights }) => ({ weights: weights.with(1, value) }));
        const { comparison } = await compareFiles(t, [original, broken], {
          evaluation: { ...samples, labels },
        });
        const { total, tensors, verdict, evaluation } = comparison;
        const found = tensors.find(({ name }) => name === 'w1');
        assert.deepEqual([found?.change, found?.not_finite, found?.values_changed], ['not_finite', 1, 0]);
        assert.deepEqual([total.not_finite, total.values_changed, total.is_mask], [1, 0, false]);
        assert.match(verdict[0], /broken: 1 weight is NaN or infinite, in w1\./);
        assert.match(verdict[1], /gives no finite numbers/);
        if (labels) assert.match(verdict[1], /Its accuracy is .* %, the original's .* %\./);
        assert.doesNotMatch(text(verdict), /fitted anew/);
        assert.equal(evaluation?.pruned.relative_l2, null);
        assert.notEqual(evaluation?.pruned_mask?.relative_l2, null);
      });

  test('a bias, which no choice is made among', async (t) => {
    const broken = second(({ bias }) => ({ bias: bias.with(0, Number.NaN) }));
    const { total, verdict } = (await compareFiles(t, [original, broken])).comparison;
    assert.equal(total.not_finite, 1);
    assert.match(verdict[0], /1 weight is NaN or infinite, in bw1\./);
  });

  test('finite weights whose sums are not, in a model without a mask', async (t) => {
    const huge = squareModel(
      [pruned[0], { ...pruned[1], weights: pruned[1].weights.map((weight) => weight * 3e38) }, layers[1]],
      { names: ['w0', 'w1', 'w2'] },
    );
    const three = squareModel([...layers, layers[1]], { names: ['w0', 'w2', 'w3'] });
    const { comparison } = await compareFiles(t, [three, huge], { evaluation: samples });
    assert.equal(comparison.total.not_finite, 0);
    assert.match(comparison.verdict[0], /gives no finite numbers/);
    assert.match(comparison.verdict.at(-1) ?? '', /cannot be told: the pruned model has no finite loss/);
  });
});
