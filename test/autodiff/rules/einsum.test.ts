import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EINSUM_RULES } from '../../../src/autodiff/rules/einsum.ts';
import { checkRule, describeRules, type RuleCase, type ShapeMode } from '../rule-check.ts';
import { describeSecondOrder } from '../second-order-check.ts';

const SHARED_BATCH = 'a label is both the batch and not';

function equation(text: string, ...shapes: number[][]): RuleCase {
  const inputs = shapes.map((shape) => ({ shape }));
  return { operator: 'Einsum', name: `"${text}"`, inputs, attributes: { equation: text } };
}

const CASES: RuleCase[] = [
  equation('bij,jk->bki', [2, 3, 4], [4, 5]),
  equation('bhid,bhjd->bhij', [2, 2, 3, 4], [2, 2, 5, 4]),
  equation('bhij,bhjd->bihd', [2, 2, 3, 5], [2, 2, 5, 4]),
  equation('i,j->ij', [3], [4]),
  equation('ij,ij->', [2, 3], [2, 3]),
  { ...equation('ij,jk', [2, 3], [3, 4]), skips: { batch: SHARED_BATCH } },
  equation('b j i , j k -> b i', [2, 3, 4], [3, 5]),
  equation('ij->ji', [2, 3]),
  equation('ba', [2, 3]),
  equation('bij->bj', [2, 3, 4]),
  equation('ij->', [2, 3]),
  equation('bij,k->bk', [2, 3, 4], [5]),
  { ...equation('ij,jk,kl->il', [2, 3], [3, 4], [4, 5]), skips: { batch: SHARED_BATCH } },
  equation('...ij->...ji', [2, 3, 4]),
  equation('i...j->...ij', [2, 3, 4, 5]),
  equation('...ij,...jk->...ik', [2, 3, 4], [2, 4, 5]),
  { ...equation('...ij,jk', [2, 3, 4], [4, 5]), skips: { batch: SHARED_BATCH } },
  equation('b...i,i->b...', [2, 3, 4], [4]),
  equation('...i->i...', [2, 3]),
];

describeRules('einsum', EINSUM_RULES, CASES);
describeSecondOrder('second derivatives of einsum', CASES);

describe('einsum, what has no gradient', () => {
  const refused: [RuleCase, RegExp, ShapeMode?][] = [
    [equation('...i,...j->...ij', [1, 3], [2, 4]), /label "A" has sizes 1 and 2/],
    [{ ...equation('ii->i', [3, 3]), skips: { batch: SHARED_BATCH } }, /repeats a label within a term/],
    [equation('ij,jk->ik', [2, 1], [3, 4]), /label "j" has sizes 1 and 3/],
    [equation('bi,bj->bij', [2, 3], [1, 4]), /label "b" has sizes varies and 1/, 'batch'],
  ];
  for (const [at, reason, mode = 'static'] of refused) {
    test(`${at.name}`, async () => {
      await assert.rejects(checkRule(EINSUM_RULES, at, mode), reason);
    });
  }
});
