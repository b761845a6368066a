import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decideStructures } from '../../../src/pipeline/structures/decide.ts';
import { familyOf } from '../../criteria/structures/families.ts';

const FALLING = [9, 8, 7, 6, 5, 4, 3, 2, 1];

type Input = Omit<Parameters<typeof decideStructures>[0], 'steps'> & { readonly roundTo: number };

const RULE = { beta: 1, sparsity: null, minDensity: 0 };

function decide(
  scores: readonly (readonly number[])[],
  change: Partial<Omit<Input, 'scores' | 'families'>> = {},
) {
  const families = scores.map(({ length }, i) => familyOf(`f${i}`, length));
  const own = scores.map((family) => Float64Array.from(family));
  const steps = families.map(() => change.roundTo ?? 1);
  return decideStructures({
    families,
    scores: own,
    amount: RULE,
    scope: 'layer',
    steps,
    lasting: [],
    ...change,
  });
}

const keptOf = (decision: ReturnType<typeof decide>) =>
  decision.families.map(({ kept }) => kept.flatMap((keep, i) => (keep ? [i] : [])));

/** The definition, word by word, for scores whose sums are exact. */
function expectedKept(
  scores: readonly number[][],
  { amount, scope, roundTo }: Pick<Input, 'amount' | 'scope' | 'roundTo'>,
) {
  const all = scores.flatMap((family, f) => family.map((score, i) => ({ score, f, i })));
  const isSmall = (f: number) => scores[f].length < 8;
  const groupOf = ({ f }: { f: number }) => (scope === 'global' ? 'all' : isSmall(f) ? 'small' : `${f}`);
  const kept = scores.map((family) => family.map(() => true));
  for (const group of new Set(all.map(groupOf))) {
    const members = all.filter((each) => groupOf(each) === group);
    const sum = members.reduce((total, { score }) => total + score, 0);
    const squares = members.reduce((total, { score }) => total + score * score, 0);
    if (sum === 0) continue;
    const n = members.length;
    const wanted =
      amount.sparsity === null
        ? Math.floor((amount.beta ?? 1) * (sum ** 2 / squares) * (1 + 2 ** -40))
        : n - Math.floor(amount.sparsity * n * (1 + 2 ** -40));
    const nKeep = Math.min(n, Math.max(1, wanted));
    const isBetter = (a: (typeof members)[0], b: (typeof members)[0]) =>
      a.score > b.score || (a.score === b.score && (a.f < b.f || (a.f === b.f && a.i < b.i)));
    for (const each of members)
      kept[each.f][each.i] = members.filter((other) => isBetter(other, each)).length < nKeep;
  }
  return scores.map((family, f) => {
    const counted = kept[f].filter(Boolean).length;
    const least = Math.max(1, counted, Math.ceil(amount.minDensity * family.length - 1e-9));
    const n = Math.min(family.length, Math.ceil(least / roundTo) * roundTo);
    const rest = [...family.keys()].filter((i) => !kept[f][i]).sort((a, b) => family[b] - family[a] || a - b);
    for (const i of rest.slice(0, n - counted)) kept[f][i] = true;
    return kept[f].flatMap((keep, i) => (keep ? [i] : []));
  });
}

const score = fc.integer({ min: 0, max: 12 });
const scores = fc.array(fc.array(score, { minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 5 });
const amount = fc.oneof(
  fc.constantFrom(0.2, 0.7, 1, 1.6, 50).map((beta) => ({ beta, sparsity: null })),
  fc.constantFrom(0, 0.25, 0.5, 0.99).map((sparsity) => ({ beta: null, sparsity })),
);
const choice = fc.record({
  amount: fc
    .tuple(amount, fc.constantFrom(0, 0.25, 0.5, 0.9, 1))
    .map(([amount, minDensity]) => ({ ...amount, minDensity })),
  scope: fc.constantFrom('layer' as const, 'global' as const),
  roundTo: fc.constantFrom(1, 2, 4, 8),
});

describe('EMP on structures', () => {
  test('keeps what the definition says', () => {
    fc.assert(
      fc.property(scores, choice, (given, options) => {
        assert.deepEqual(keptOf(decide(given, options)), expectedKept(given, options));
      }),
      { numRuns: 2000 },
    );
  });

  test('says of every family what it keeps, and of all no less mass than is guaranteed', () => {
    fc.assert(
      fc.property(scores, choice, (given, options) => {
        const { families, preservedMass, preservedMassBound } = decide(given, options);
        let [mass, total] = [0, 0];
        for (const [
          f,
          { scores: own, kept, nKeep, nEff, threshold, preservedMass, isRaised },
        ] of families.entries()) {
          const left = given[f].filter((_, i) => kept[i]);
          const sum = given[f].reduce((all, each) => all + each, 0);
          assert.deepEqual([...own], given[f]);
          assert.equal(nKeep, left.length);
          assert.equal(threshold, Math.min(...left));
          assert.ok(given[f].every((each, i) => kept[i] || each <= threshold));
          assert.equal(nKeep % options.roundTo === 0 || nKeep === given[f].length, true);
          const squares = given[f].reduce((all, each) => all + each * each, 0);
          assert.ok(sum === 0 ? nEff === null : Math.abs(nEff! / (sum ** 2 / squares) - 1) < 1e-12);
          const share = left.reduce((all, each) => all + each, 0) / sum;
          assert.ok(sum === 0 ? preservedMass === null : Math.abs(preservedMass! - share) < 1e-12);
          assert.equal(typeof isRaised, 'boolean');
          mass += left.reduce((all, each) => all + each, 0);
          total += sum;
        }
        assert.ok(Math.abs(preservedMass - (total === 0 ? 1 : mass / total)) < 1e-12);
        assert.ok(preservedMass >= preservedMassBound - 1e-12, `${preservedMass} ${preservedMassBound}`);
      }),
      { numRuns: 2000 },
    );
  });

  test('equal scores all stay; of those at the threshold the first do', () => {
    assert.deepEqual(keptOf(decide([Array(11).fill(0.1)])), [[...Array(11).keys()]]);
    const ties = decide([[5, 1, 1, 5, 1, 1, 1, 1, 1, 1]], { amount: { ...RULE, beta: null, sparsity: 0.5 } });
    assert.deepEqual(keptOf(ties), [[0, 1, 2, 3, 4]]);
    const across = decide([Array(9).fill(2), Array(9).fill(2)], {
      scope: 'global',
      amount: { ...RULE, beta: null, sparsity: 0.5 },
    });
    assert.deepEqual(keptOf(across), [[...Array(9).keys()], [0]]);
  });

  test('families of fewer than 8 are decided on together in scope layer, and named', () => {
    // By itself each of the small ones has an N_eff just below 4, and would lose one.
    const small = [1, 1, 1, 0.9];
    const decision = decide([small, FALLING, small, small, small]);
    assert.deepEqual(decision.pooled, ['f0', 'f2', 'f3', 'f4']);
    const removed = decision.families.map(({ kept }) => kept.filter((keep) => !keep).length);
    assert.deepEqual(removed, [0, 2, 0, 0, 1]);
    assert.deepEqual(decide([small, FALLING]).pooled, [], 'one alone is not pooled');
    assert.deepEqual(decide([small, small], { scope: 'global' }).pooled, []);
    assert.equal(decision.global, null);
  });

  test('round_to rounds up, and never beyond what there is', () => {
    const falling = Array.from({ length: 20 }, (_, i) => 2 ** -i);
    const counts = [1, 2, 4, 8, 16, 32].map((roundTo) => decide([falling], { roundTo }).families[0].nKeep);
    assert.deepEqual(counts, [2, 2, 4, 8, 16, 20]);
    const { isRaised } = decide([falling], { roundTo: 8 }).families[0];
    assert.equal(isRaised, false, 'rounding is what was asked for');
  });

  test('min_density, and that one has to stay, raise a count, which is said', () => {
    const falling = Array.from({ length: 10 }, (_, i) => 2 ** -i);
    const dense = decide([falling], { amount: { ...RULE, minDensity: 0.45 } }).families[0];
    assert.deepEqual([dense.nKeep, dense.isRaised], [5, true]);
    const emptied = decide([falling, falling.map((each) => each * 1e-6)], { scope: 'global' });
    assert.deepEqual(
      emptied.families.map(({ nKeep, isRaised }) => [nKeep, isRaised]),
      [
        [2, false],
        [1, true],
      ],
    );
    assert.deepEqual(keptOf(emptied)[1], [0], 'the highest of its own');
  });

  test('scores that are all zero have no N_eff: left as they are alone, counted for nothing with others', () => {
    const zeros = Array(9).fill(0);
    const [alone] = decide([zeros]).families;
    assert.deepEqual([alone.nKeep, alone.nEff, alone.preservedMass, alone.threshold], [9, null, null, 0]);
    assert.equal(decide([zeros]).preservedMassBound, 1);
    const together = decide([zeros, Array(9).fill(1)], { scope: 'global' });
    assert.deepEqual(
      together.families.map(({ nKeep, nEff }) => [nKeep, nEff]),
      [
        [1, null],
        [9, 9],
      ],
    );
  });

  test('scope global has one N_eff and one threshold', () => {
    const { global } = decide(
      [
        [4, 1, 1],
        [3, 3],
      ],
      { scope: 'global' },
    );
    assert.deepEqual(global, { nEff: 144 / 36, threshold: 1 });
    assert.equal(decide([[1, 1]]).global, null);
  });

  test('scores near the ends of the range of numbers', () => {
    const plain = decide([FALLING, FALLING], { scope: 'global' });
    for (const scale of [1e307, 1e300, 1e-310]) {
      const scaled = FALLING.map((each) => each * scale);
      const { families, preservedMass, preservedMassBound } = decide([scaled, scaled], { scope: 'global' });
      assert.deepEqual(
        families.map(({ kept }) => kept),
        plain.families.map(({ kept }) => kept),
      );
      assert.ok(Math.abs(preservedMass - plain.preservedMass) < 1e-12, `${preservedMass}`);
      assert.ok(Math.abs(preservedMassBound - plain.preservedMassBound) < 1e-12, `${preservedMassBound}`);
      for (const [i, family] of families.entries())
        assert.ok(Math.abs(family.preservedMass! - plain.families[i].preservedMass!) < 1e-12);
    }
  });

  test('scores that are not finite are refused by family and index', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(
        () =>
          decide([
            [1, 2],
            [1, 1, bad, bad],
          ]),
        {
          code: 'non_finite_score',
          message: `f1: structure 2 has the score ${bad}`,
          findings: [{ path: 'f1', message: `structure 2 has the score ${bad}` }],
        },
      );
    }
  });
});
