import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { searchLine, type Tried } from '../../src/pipeline/line-search.ts';

const MOST = 10;

/** Of sparsity, one standard error of what it costs. */
const ERROR = 0.02;

/** A line whose density is `beta * densityAtOne`, whose amount is a function of what is left, and that is within up to a sparsity. */
function createLine(densityAtOne: number, cliff: number, amountOf: (density: number) => number) {
  const weighings: number[] = [];
  const attempts: number[] = [];
  const weighed = (beta: number) => {
    const density = Math.min(1, beta * densityAtOne);
    return { beta, sparsity: 1 - density, amount: amountOf(density) };
  };
  return {
    weighings,
    attempts,
    async weigh(beta: number) {
      weighings.push(beta);
      return weighed(beta);
    },
    async attempt(beta: number): Promise<Tried> {
      attempts.push(beta);
      const found = weighed(beta);
      return { ...found, errorsWithin: (cliff - found.sparsity) / ERROR };
    },
  };
}

describe('a line of a search', () => {
  /** Models of which less than 2 % goes are not worth a look. */
  const shares = fc.double({ min: 0.05, max: 0.97, noNaN: true });
  /** Bytes of zeros and what goes with them: never proportional to what is left. */
  const amountOf = (density: number) => 100 + 900 * density ** 1.3;
  const smallest = (tried: readonly Tried[]) =>
    Math.min(...tried.flatMap(({ errorsWithin, amount }) => (errorsWithin >= 0 ? amount : [])));

  test('without anything known it comes within a few percent of the best, in few models', async () => {
    await fc.assert(
      fc.asyncProperty(shares, shares, async (cliff, density) => {
        const line = createLine(density, cliff, amountOf);
        const tried = await searchLine({ ...line, bar: null, most: MOST, margin: 0 });
        assert.ok(tried.length <= MOST);
        assert.equal(tried.length, line.attempts.length);
        const kept = Math.min(
          ...tried.flatMap(({ errorsWithin, sparsity }) => (errorsWithin >= 0 ? 1 - sparsity : [])),
        );
        // What is nowhere near beta 1 may take more models than there are.
        if (tried.length < MOST) assert.ok(kept <= (1 - cliff) * 1.031 + 1e-9, `${kept} of ${1 - cliff}`);
      }),
    );
  });

  test('one that cannot beat what is known is left after one model, which is just as small', async () => {
    await fc.assert(
      fc.asyncProperty(shares, shares, async (cliff, density) => {
        const bar = amountOf(1 - cliff);
        const line = createLine(density, cliff, amountOf);
        const tried = await searchLine({ ...line, bar, most: MOST, margin: 0 });
        assert.ok(tried.length <= 1);
        for (const { amount, errorsWithin } of tried) {
          assert.ok(errorsWithin < 0);
          assert.ok(amount <= bar * 0.99 && amount >= bar * 0.9, `${amount} for ${bar}`);
        }
      }),
    );
  });

  test('one that beats it is followed, and nothing as large as what is known is measured', async () => {
    await fc.assert(
      fc.asyncProperty(
        shares,
        shares,
        fc.double({ min: 1.2, max: 3, noNaN: true }),
        async (cliff, density, over) => {
          const bar = Math.min(amountOf(1 - cliff) * over, amountOf(1));
          fc.pre(amountOf(1 - cliff) < 0.95 * bar);
          const line = createLine(density, cliff, amountOf);
          const tried = await searchLine({ ...line, bar, most: MOST, margin: 0 });
          assert.ok(tried.every(({ amount }) => amount < bar));
          assert.ok(tried.length > 1 || bar < 130, `${tried.length} for ${bar}`);
          assert.ok(smallest(tried) < bar);
        },
      ),
    );
  });

  test('with a margin it is found as without one, and what is within by the margin too', async () => {
    await fc.assert(
      fc.asyncProperty(shares, shares, async (cliff, density) => {
        fc.pre(cliff > 3 * ERROR);
        const tried = await searchLine({
          ...createLine(density, cliff, amountOf),
          ...{ bar: null, most: 2 * MOST, margin: 1 },
        });
        fc.pre(tried.length < 2 * MOST);
        for (const [margin, limit] of [
          [0, cliff],
          [1, cliff - ERROR],
        ]) {
          const kept = tried.flatMap((one) => (one.errorsWithin >= margin ? 1 - one.sparsity : []));
          assert.ok(Math.min(...kept) <= (1 - limit) * 1.031 + 1e-9, `${Math.min(...kept)} of ${1 - limit}`);
        }
      }),
    );
  });

  test('one that is within what is known, but not by the margin, is followed without it, one beyond is left', async () => {
    const cliff = 0.6;
    const search = (errors: number) => {
      const bar = amountOf(1 - cliff + errors * ERROR) / 0.99;
      return searchLine({ ...createLine(0.5, cliff, amountOf), bar, most: MOST, margin: 1 });
    };
    const followed = await search(0.5);
    assert.ok(followed[0].errorsWithin > 0 && followed[0].errorsWithin < 1);
    const sparsest = Math.max(...followed.map((one) => (one.errorsWithin >= 0 ? one.sparsity : 0)));
    assert.ok(1 - sparsest <= (1 - cliff) * 1.031, `${sparsest}`);
    assert.equal((await search(-0.5)).length, 1);
  });

  test('one that gets no smaller at all costs no model', async () => {
    const line = createLine(0.5, 0.9, () => 1000);
    assert.deepEqual(await searchLine({ ...line, bar: 500, most: MOST, margin: 1 }), []);
    assert.ok(line.weighings.length <= 12);
  });

  test('counts that are rounded to the same are not measured again and again', async () => {
    const rounded = createLine(0.5, 0.4, (density) => 100 * Math.round(density * 4));
    const attempt = async (beta: number) => {
      const { amount, errorsWithin } = await rounded.attempt(beta);
      return { beta, amount, sparsity: 1 - amount / 400, errorsWithin: amount > 200 ? errorsWithin : -1 };
    };
    const tried = await searchLine({ ...rounded, attempt, bar: null, most: MOST, margin: 0 });
    const amounts = tried.map(({ amount }) => amount);
    assert.ok(amounts.length - new Set(amounts).size <= 1, String(amounts));
  });

  test('no more models are measured than may be', async () => {
    for (const most of [1, 2, 5]) {
      const line = createLine(0.6, 0.3, amountOf);
      assert.equal((await searchLine({ ...line, bar: null, most, margin: 1 })).length, most);
    }
  });
});
