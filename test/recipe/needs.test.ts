import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EmpError } from '../../src/core/errors.ts';
import { CRITERION_NAMES, type Criterion, type Need, scoringOf } from '../../src/recipe/criteria.ts';
import { type GivenInputs, refuseUnmetNeeds, unusedInputs } from '../../src/recipe/needs.ts';
import { criteriaOf, recipeSchema } from '../../src/recipe/recipe.ts';
import { GRANULARITY_NAMES, type Granularity, kindOf } from '../../src/recipe/terms.ts';

const NOTHING: GivenInputs = {
  inventory: { format: 'onnx' },
  scores: null,
  calibration: null,
  selection: null,
  evaluation: null,
};
const UNLABELLED = { labels: null };
const LABELLED = { labels: {} };
const ALL: GivenInputs = { ...NOTHING, scores: {}, calibration: LABELLED, evaluation: LABELLED };

function refusalOf(recipe: object, given: GivenInputs): EmpError | null {
  try {
    refuseUnmetNeeds(recipeSchema.parse(recipe), given);
    return null;
  } catch (error) {
    assert.ok(error instanceof EmpError, String(error));
    assert.equal(error.code, 'invalid_request');
    return error;
  }
}

/** Every criterion with every granularity that it scores, and what its row says that it needs. */
const SCORED: [Granularity, Criterion, readonly Need[]][] = GRANULARITY_NAMES.flatMap((granularity) =>
  criteriaOf(granularity).map((criterion): [Granularity, Criterion, readonly Need[]] => [
    granularity,
    criterion,
    scoringOf(criterion, kindOf(granularity))?.needs ?? [],
  ]),
);

describe('what a criterion needs', () => {
  test('every criterion scores something', () => {
    assert.deepEqual(new Set(SCORED.map(([, criterion]) => criterion)), new Set(CRITERION_NAMES));
  });

  for (const [granularity, criterion, needs] of SCORED) {
    const recipe = { granularity, criterion };
    test(`${criterion} of a ${granularity}`, () => {
      assert.equal(refusalOf(recipe, ALL), null);
      const bare = refusalOf(recipe, NOTHING);
      const missing = needs.find((need) => need === 'calibration' || need === 'scores');
      if (missing === undefined) assert.equal(bare, null);
      else {
        assert.deepEqual(bare?.findings, [
          { path: '/recipe/criterion', message: `is ${criterion}, and ${missing} is missing` },
          { path: missing, message: `is missing, and the criterion is ${criterion}`, input: missing },
        ]);
      }
      const unlabelled = refusalOf(recipe, { ...ALL, calibration: UNLABELLED });
      if (!needs.includes('labels')) assert.equal(unlabelled, null);
      else {
        const says = `is ${criterion} and needs calibration data with labels, and calibration has no labels`;
        assert.deepEqual(unlabelled?.findings, [
          { path: '/recipe/criterion', message: says },
          {
            path: 'calibration',
            message: `has no labels, and the criterion is ${criterion}`,
            input: 'calibration',
          },
        ]);
      }
    });

    test(`${criterion} of a ${granularity} of a model without a graph`, () => {
      const { evaluation: _, ...given } = ALL;
      const refusal = refusalOf(recipe, {
        ...given,
        evaluation: null,
        inventory: { format: 'safetensors' },
      });
      const runs = needs.some((need) => need === 'graph' || need === 'calibration');
      const isFound = granularity === 'channel' || granularity === 'head';
      if (!runs && !isFound) assert.equal(refusal, null);
      else {
        const paths = [isFound ? '/recipe/granularity' : [], runs ? '/recipe/criterion' : [], 'model'].flat();
        assert.deepEqual(
          refusal?.findings.map(({ path }) => path),
          paths,
        );
      }
    });
  }
});

describe('what the rest of a recipe needs', () => {
  for (const [recipe, given, paths] of [
    [{ hessian_probes: 3 }, NOTHING, ['/recipe/hessian_probes', 'calibration']],
    [
      { hessian_probes: 3 },
      { ...NOTHING, calibration: UNLABELLED },
      ['/recipe/hessian_probes', 'calibration'],
    ],
    [{ repair: ['bias'] }, NOTHING, ['/recipe/repair', 'calibration']],
    [{ repair: ['bias'] }, { ...NOTHING, calibration: UNLABELLED }, null],
    [{ allocation: 'auto' }, NOTHING, ['/recipe/allocation', 'calibration']],
    [{ allocation: 'auto' }, { ...NOTHING, calibration: UNLABELLED }, null],
    [
      { allocation: 'auto' },
      { ...NOTHING, calibration: UNLABELLED, inventory: { format: 'safetensors' } },
      ['/recipe/allocation', 'model'],
    ],
    [{ sweep_betas: [1] }, NOTHING, ['/recipe/sweep_betas', 'evaluation']],
    [{ sweep_betas: [1] }, { ...NOTHING, evaluation: UNLABELLED }, null],
    [{ sweep_betas: [] }, NOTHING, null],
    [
      { target: { max_loss_increase: 0 } },
      { ...NOTHING, evaluation: UNLABELLED },
      ['/recipe/target', 'evaluation'],
    ],
    [{ target: { max_accuracy_drop: 0 } }, { ...NOTHING, evaluation: LABELLED }, null],
    [
      { target: { max_accuracy_drop: 0 } },
      { ...NOTHING, selection: UNLABELLED, evaluation: LABELLED },
      ['/recipe/target', 'selection'],
    ],
    [
      { target: { max_accuracy_drop: 0 } },
      { ...NOTHING, selection: LABELLED },
      ['/recipe/target', 'evaluation'],
    ],
    [{ target: { max_kl: 0.1 } }, { ...NOTHING, selection: UNLABELLED, evaluation: LABELLED }, null],
    [{}, { ...NOTHING, selection: UNLABELLED }, null],
    [{ target: { max_disagreement: 0.1 } }, NOTHING, ['/recipe/target', 'evaluation']],
    [{ target: { max_disagreement: 0.1 } }, { ...NOTHING, evaluation: UNLABELLED }, null],
    [{ target: { max_relative_l2: 0.1 } }, { ...NOTHING, evaluation: LABELLED }, null],
    [{}, { ...ALL, inventory: { format: 'safetensors' } }, ['evaluation', 'model']],
    [{}, { ...ALL, evaluation: null, inventory: { format: 'safetensors' } }, null],
  ] as [object, GivenInputs, string[] | null][]) {
    test(`${JSON.stringify(recipe)} with ${JSON.stringify(given)}`, () => {
      const refusal = refusalOf(recipe, given);
      assert.deepEqual(refusal?.findings.map(({ path }) => path) ?? null, paths);
    });
  }
});

describe('data that a recipe has no use for', () => {
  for (const [recipe, unused, selection = null] of [
    [
      {},
      [
        ['scores', 'criterion magnitude takes no scores'],
        ['calibration', 'criterion magnitude takes no calibration data'],
      ],
    ],
    [{ criterion: 'wanda' }, [['scores', 'criterion wanda takes no scores']]],
    [{ criterion: 'scores' }, [['calibration', 'criterion scores takes no calibration data']]],
    [{ criterion: 'scores', repair: ['bias'] }, []],
    [{ criterion: 'scores', repair: ['bias'] }, [['selection', 'there is no target to search']], LABELLED],
    [{ criterion: 'scores', repair: ['bias'], target: { max_kl: 0.1 } }, [], LABELLED],
    [{ hessian_probes: 1 }, [['scores', 'criterion magnitude and hessian_probes take no scores']]],
    [
      { hessian_trace: 1 },
      [
        ['scores', /./],
        ['calibration', /./],
      ],
    ],
  ] as [object, [string, string | RegExp][], GivenInputs['selection']?][]) {
    test(`${JSON.stringify(recipe)}${selection ? ' with selection data' : ''}`, () => {
      const found = unusedInputs(recipeSchema.parse(recipe), { ...ALL, selection });
      assert.deepEqual(
        found.map(({ input }) => input),
        unused.map(([input]) => input),
      );
      for (const [i, [, reason]] of unused.entries()) {
        if (typeof reason === 'string') assert.equal(found[i]?.reason, reason);
        else assert.match(found[i]?.reason ?? '', reason);
      }
      assert.deepEqual(unusedInputs(recipeSchema.parse(recipe), NOTHING), []);
    });
  }
});
