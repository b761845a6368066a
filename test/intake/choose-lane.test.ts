import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseLane } from '../../src/intake/choose-lane.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';

const SMALL = { nParameters: 2 ** 28 };
const laneOf = (recipe: object, inventory = SMALL, evaluation: object | null = null) =>
  chooseLane(recipeSchema.parse(recipe), inventory, evaluation);

test('what is scored by the files of a model of moderate size is short', () => {
  for (const recipe of [
    {},
    { dry_run: true },
    { criterion: 'scores' },
    { criterion: 'random', scope: 'row' },
  ])
    assert.equal(laneOf(recipe), 'short');
  assert.equal(laneOf({}, { nParameters: 2 ** 28 + 1 }), 'long');
});

test('what writes many models to find one of a size is long', () => {
  assert.equal(laneOf({ target: { max_parameters: 100 } }), 'long');
});

test('what runs the model is long, in a dry run too', () => {
  const recipes = [
    { criterion: 'wanda', dry_run: true },
    { criterion: 'taylor' },
    { hessian_probes: 1 },
    { repair: ['bias'] },
    { criterion: 'l2_norm', granularity: 'channel' },
  ];
  for (const recipe of recipes) assert.equal(laneOf(recipe), 'long', JSON.stringify(recipe));
  assert.equal(laneOf({ target: { max_loss_increase: 0.1 } }, SMALL, {}), 'long');
  assert.equal(laneOf({}, SMALL, {}), 'long');
});
