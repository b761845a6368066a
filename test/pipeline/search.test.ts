import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { BetaPoint } from '../../src/pipeline/candidates.ts';
import { excessWithMargin, searchBeta } from '../../src/pipeline/search.ts';
import type { Target } from '../../src/recipe/target.ts';
import { NO_ERRORS } from '../../src/runtime/output-drift.ts';

const DENSE = metrics(1, 0.9);
const MOST = 14;
const ALWAYS = () => true;

function metrics(loss: number | null, accuracy: number | null) {
  return {
    loss,
    accuracy,
    perplexity: null,
    relative_l2: null,
    cosine: null,
    top1_agreement: null,
    kl: null,
    cosine_distance: null,
  };
}

/** A model whose density is `beta * densityAtOne`, or else a function of beta, and whose loss is a function of its sparsity. */
function createModel(
  density: number | ((beta: number) => number),
  lossAt: (sparsity: number) => number | null,
) {
  const densityAt = typeof density === 'number' ? (beta: number) => Math.min(1, beta * density) : density;
  const measured: BetaPoint[] = [];
  const measure = async (beta: number) => {
    const sparsity = 1 - densityAt(beta);
    const loss = lossAt(sparsity);
    const point = { beta, sparsity, ...NO_ERRORS, ...metrics(loss, loss === null ? 0 : 1.9 - loss) };
    measured.push(point);
    return point;
  };
  return { measure, measured };
}

/** Searches the smallest beta within a target. */
function searchWithin(
  target: Target,
  dense: typeof DENSE,
  measure: (beta: number) => Promise<BetaPoint>,
  isSmaller: (beta: number) => boolean,
) {
  return searchBeta({ excessOf: (point) => excessWithMargin(target, dense, point), measure, isSmaller });
}

describe('the search for the smallest beta within a target', () => {
  const cliffs = fc.double({ min: 0.02, max: 0.98, noNaN: true });
  const densities = fc.double({ min: 0.02, max: 1, noNaN: true });

  test('a cliff is found to 1.3 points of sparsity in at most 14 evaluations, the last included', async () => {
    await fc.assert(
      fc.asyncProperty(cliffs, densities, async (cliff, density) => {
        const { measure, measured } = createModel(density, (sparsity) => (sparsity <= cliff ? 1 : 2));
        const {
          isWithin: met,
          beta,
          evaluations,
        } = await searchWithin({ max_loss_increase: 0.01 }, DENSE, measure, ALWAYS);
        const chosen = evaluations.find((point) => point.beta === beta);
        assert.ok(met && chosen && chosen.loss === 1);
        assert.ok(chosen.sparsity > cliff - 0.013, `${chosen.sparsity} of ${cliff}`);
        assert.deepEqual(evaluations, measured);
        assert.ok(evaluations.length < MOST);
        assert.ok(evaluations.some((point) => point.beta === 1));
      }),
    );
  });

  test('of a loss that falls again the sparser valley is taken', async () => {
    // 15 % sparsity costs 1.2 %, 22 % costs 0.6 %, as on a 12-layer MLP.
    const lossAt = (sparsity: number) =>
      sparsity < 0.1 ? 1.001 : sparsity < 0.18 ? 1.012 : sparsity <= 0.25 ? 1.006 : 1.05;
    const { measure } = createModel(0.7, lossAt);
    const { isWithin: met, beta } = await searchWithin({ max_loss_increase: 0.01 }, DENSE, measure, ALWAYS);
    const { sparsity } = await measure(beta);
    assert.ok(met);
    assert.ok(sparsity > 0.23 && sparsity <= 0.25, `${sparsity}`);
  });

  /** Half the rows hold all their scores near one size, half of them in a few. */
  const mixedRows = (beta: number) => (Math.min(1, 0.9 * beta) + Math.min(1, 0.02 * beta)) / 2;

  test('rows that are full long before the others do not hide what is denser', async () => {
    await fc.assert(
      fc.asyncProperty(cliffs, async (cliff) => {
        const { measure } = createModel(mixedRows, (sparsity) => (sparsity <= cliff ? 1 : 2));
        const {
          isWithin: met,
          beta,
          evaluations,
        } = await searchWithin({ max_loss_increase: 0.01 }, DENSE, measure, ALWAYS);
        const chosen = evaluations.find((point) => point.beta === beta);
        assert.ok(met && chosen && chosen.loss === 1);
        assert.ok(chosen.sparsity > cliff - 0.03, `${chosen.sparsity} of ${cliff}`);
        const within = evaluations.filter(({ loss }) => loss === 1);
        assert.equal(beta, Math.min(...within.map((point) => point.beta)));
      }),
    );
  });

  for (const [title, keptAt] of [
    ['two weights', (beta: number) => (1.8 * beta < 2 ? 0.5 : 1)],
    ['everything kept at every beta', () => 1],
    ['a least density', (beta: number) => Math.max(0.7, Math.min(1, 0.8 * beta))],
  ] as const) {
    test(`models that hardly differ are not measured over and over: ${title}`, async () => {
      for (const limit of [0, 0.4, 1]) {
        const { measure, measured } = createModel(keptAt, (sparsity) => (sparsity <= limit ? 1 : 2));
        const { isWithin: met, beta } = await searchWithin(
          { max_loss_increase: 0.01 },
          DENSE,
          measure,
          ALWAYS,
        );
        assert.equal(new Set(measured.map((point) => point.beta)).size, measured.length);
        assert.ok(met);
        const best = Math.max(0, ...measured.map(({ sparsity }) => (sparsity <= limit ? sparsity : 0)));
        assert.equal(1 - keptAt(beta), best);
      }
    });
  }

  test('accuracy is a target of its own, and a drop of just as much meets it', async () => {
    const { measure } = createModel(0.6, (sparsity) => 1 + sparsity / 10);
    const { isWithin: met, beta } = await searchWithin({ max_accuracy_drop: 0.05 }, DENSE, measure, ALWAYS);
    const { sparsity } = await measure(beta);
    assert.ok(met);
    assert.ok(sparsity <= 0.5 + 1e-9 && sparsity > 0.49, `${sparsity}`);
  });

  test('a target that nothing meets is said so, with the nearest point', async () => {
    const { measure } = createModel(0.6, (sparsity) => (sparsity === 0 ? 1 : 1.2 + sparsity));
    const {
      isWithin: met,
      beta,
      evaluations,
    } = await searchWithin({ max_loss_increase: 0.01 }, DENSE, measure, ALWAYS);
    assert.equal(met, false);
    const least = Math.min(...evaluations.map(({ loss }) => loss ?? Number.POSITIVE_INFINITY));
    assert.equal(evaluations.find((point) => point.beta === beta)?.loss, least);
  });

  test('a loss that is not finite is beyond every target', async () => {
    const { measure } = createModel(0.6, (sparsity) => (sparsity > 0.3 ? null : 1));
    const { isWithin: met, beta } = await searchWithin({ max_loss_increase: 5 }, DENSE, measure, ALWAYS);
    const { sparsity, loss } = await measure(beta);
    assert.ok(met && loss === 1 && sparsity > 0.28);
  });

  test('everything within the target: nearly everything goes', async () => {
    const { measure } = createModel(0.6, () => 1);
    const { isWithin: met, beta } = await searchWithin({ max_loss_increase: 0 }, DENSE, measure, ALWAYS);
    assert.ok(met && (await measure(beta)).sparsity > 0.98);
  });

  test('a model that is no smaller than the dense one is not preferred to one that keeps everything', async () => {
    // Its counts are rounded to a half or a whole.
    const density = (beta: number) => (beta < 1 ? 0.5 : 1);
    const { measure } = createModel(density, (sparsity) => (sparsity <= 0.5 ? 1 : 2));
    const target = { max_loss_increase: 0.01 };
    const smaller = await searchWithin(target, DENSE, measure, ALWAYS);
    assert.equal((await measure(smaller.beta)).sparsity, 0.5);
    const same = await searchWithin(target, DENSE, measure, (beta) => density(beta) === 1);
    assert.ok(same.isWithin);
    assert.equal((await measure(same.beta)).sparsity, 0);
  });

  test('where nothing else is within the target one that is no smaller is taken', async () => {
    const { measure } = createModel(0.5, (sparsity) => (sparsity <= 0.6 ? 1 : 2));
    const { isWithin: met, beta } = await searchWithin(
      { max_loss_increase: 0.01 },
      DENSE,
      measure,
      () => false,
    );
    assert.ok(met);
    assert.ok((await measure(beta)).sparsity > 0.5);
  });
});
