import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { CRITERION_NAMES } from '../../src/recipe/criteria.ts';
import { AIM_NAMES, linesOf, searchShape } from '../../src/recipe/lines.ts';
import { criteriaOf } from '../../src/recipe/recipe.ts';
import type { RepairName } from '../../src/recipe/terms.ts';

const schema = z.strictObject(searchShape);
const linesFor = (terms: object, hasCalibration = true) =>
  linesOf(schema.parse({ promise: { max_loss_increase: 0.01 }, ...terms }), hasCalibration);

describe('the lines of a search', () => {
  for (const aim of AIM_NAMES) {
    test(`for ${aim}: each is a recipe of its own, with the promise as its target`, () => {
      const promise = { max_disagreement: 0.02, confidence: 0.9 };
      const lines = linesFor({ aim, promise, seed: 7 });
      assert.ok(lines.length > 3);
      assert.equal(new Set(lines.map((line) => JSON.stringify(line))).size, lines.length);
      for (const { target, seed, criterion, granularity, beta } of lines) {
        assert.deepEqual([target, seed, beta], [promise, 7, undefined]);
        assert.ok(criteriaOf(granularity).includes(criterion));
      }
    });
  }

  test('zeros make nothing faster: for speed only structures go, in blocks', () => {
    for (const { granularity, round_to } of linesFor({ aim: 'speed' })) {
      assert.notEqual(granularity, 'weight');
      assert.equal(round_to, undefined);
    }
    assert.ok(
      linesFor({ aim: 'size' }).some(
        ({ granularity, round_to }) => granularity === 'channel' && round_to === 1,
      ),
    );
  });

  test('the first needs nothing but the model, and without calibration data nothing is repaired', () => {
    const [first] = linesFor({});
    assert.deepEqual([first.criterion, first.repair], ['magnitude', []]);
    assert.ok(linesFor({}, false).every(({ repair }) => repair.length === 0));
    assert.ok(linesFor({}).some(({ repair }) => repair.includes('least_squares')));
  });

  test('swaps are tried where they are named, of weights, and never beside masks that are chosen in a fit', () => {
    const repairsOf = (repairs?: RepairName[]) =>
      linesFor({ allow: { repairs } }).map(({ granularity, repair }) => ({ granularity, repair }));
    assert.ok(repairsOf().every(({ repair }) => !repair.includes('swaps')));
    const named = repairsOf(['swaps', 'least_squares', 'least_squares_masks']);
    for (const { granularity, repair } of named)
      if (repair.includes('swaps')) assert.equal(granularity, 'weight');
    const all = new Set(named.map(({ repair }) => repair.join()));
    assert.deepEqual([...all].toSorted(), [
      '',
      'least_squares',
      'least_squares_masks',
      'swaps',
      'swaps,least_squares',
    ]);
  });

  test('what is allowed is what is tried: criteria without a line of their own get one in every granularity', () => {
    assert.throws(() => linesFor({ allow: { criteria: ['scores'] } }), /Invalid option/);
    for (const criterion of CRITERION_NAMES.filter((name) => name !== 'scores')) {
      const lines = linesFor({ allow: { criteria: [criterion] } });
      assert.ok(lines.length > 0, criterion);
      assert.ok(lines.every((line) => line.criterion === criterion));
    }
    const heads = linesFor({ allow: { granularities: ['head'], repairs: ['bias'] } });
    assert.ok(heads.length > 0 && heads.every(({ granularity }) => granularity === 'head'));
    assert.ok(heads.every(({ repair }) => repair.every((name) => name === 'bias')));
    assert.deepEqual(linesFor({ aim: 'speed', allow: { granularities: ['weight'] } }), []);
  });
});
