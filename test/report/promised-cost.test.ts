import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { promiseWords } from '../../src/cli/result-words.ts';
import { decisionMarkdown } from '../../src/report/decision-markdown.ts';
import { STATUSES } from '../../src/report/decision-statuses.ts';
import { renderReport } from '../../src/report/html/page.ts';
import { describePromised, isOnlyEstimated } from '../../src/report/promised-cost.ts';
import { ERRORS } from '../../src/report/wording.ts';
import { DECIDED, decided } from './decided-reports.ts';
import { labeled, search } from './verdict-facts.ts';

const lossFigureOf = ({ decision }: (typeof DECIDED)['barely']) =>
  decision.figures.find(({ name }) => name === 'loss');

describe('what is promised', () => {
  test('is told with its change and its interval, inside the noise too', () => {
    const { decision, evaluation } = DECIDED.barely;
    // 2.6 % more with a standard error of 1.7 %, of a loss of 0.5.
    assert.match(decision.sentence, /loss 2\.6 ± 3\.4 % higher, 2 % allowed/);
    assert.doesNotMatch(decision.sentence, /no difference/);
    const figure = lossFigureOf(DECIDED.barely);
    assert.deepEqual([figure?.text, figure?.interval, figure?.is_difference], ['+2.6 %', '± 3.4 %', false]);
    assert.match(
      promiseWords(evaluation, false) ?? '',
      /^not kept: .*loss 2\.6 ± 3\.4 % higher, 2 % allowed$/,
    );
  });

  test('of accuracy is a change in points, with what it was beside it', () => {
    const evaluation = labeled({}, { search: search({ max_accuracy_drop: 0.01 }, true) });
    const figure = decided({ evaluation }).decision.figures.find(({ name }) => name === 'accuracy');
    assert.deepEqual([figure?.text, figure?.before], ['−0.30 points', '89.70 %, was 90.00 %']);
  });

  test('is nothing that a figure of something else would tell', () => {
    const figure = lossFigureOf(
      decided({ evaluation: labeled({ loss: 0.513, loss_increase_standard_error: 0.0085 }) }),
    );
    assert.deepEqual([figure?.text, figure?.before], ['no difference', '0.5130, was 0.5000 (+2.6 %)']);
  });

  test('without a confidence is an estimate where its interval reaches beyond the limit', () => {
    const of = (accuracy: number, error: number | null, confidence?: number) =>
      labeled(
        { accuracy, accuracy_drop_standard_error: error },
        { search: search({ max_accuracy_drop: 0.01, ...(confidence && { confidence }) }, true) },
      );
    const [clear, unclear] = [0.004 / ERRORS, 0.006 / ERRORS];
    assert.equal(isOnlyEstimated(of(0.895, clear)), false);
    assert.equal(isOnlyEstimated(of(0.895, unclear)), true);
    assert.equal(isOnlyEstimated(of(0.895, null)), true, 'a single sample');
    assert.equal(isOnlyEstimated(of(0.895, unclear, 0.95)), false, 'shown by a test');
    assert.equal(isOnlyEstimated(labeled()), false, 'nothing is promised');
  });

  test('that is an estimate says so in sentence, badge and on the command line', () => {
    const { decision, evaluation } = DECIDED.estimated;
    assert.equal(STATUSES[decision.status].tone, 'warn');
    assert.match(decision.badge, /by estimate/);
    assert.match(
      decision.sentence,
      /^Ship it if an estimate will do: .*accuracy unchanged \(± 1\.60 points\), 1 point allowed; 250 samples cannot exclude more\.$/,
    );
    assert.equal(
      promiseWords(evaluation, true),
      'kept, by estimate alone: accuracy unchanged (± 1.60 points), 1 point allowed; on 250 samples that no choice saw, which cannot exclude more',
    );
    for (const text of [renderReport(DECIDED.estimated), decisionMarkdown(decision, null)])
      assert.ok(text.includes(decision.badge));
    assert.match(renderReport(DECIDED.estimated), /± is two standard errors/);
  });

  test('where no sample changed is held to be certain by nobody: the rule of three', () => {
    const unchanged = (n_samples: number) =>
      labeled(
        { accuracy: 0.9, accuracy_drop_standard_error: 0 },
        { search: search({ max_accuracy_drop: 0.01 }, true), n_samples },
      );
    assert.equal(isOnlyEstimated(unchanged(250)), true);
    assert.equal(isOnlyEstimated(unchanged(600)), false);
    assert.equal(
      describePromised({ max_accuracy_drop: 0.01 }, unchanged(250)),
      'accuracy unchanged (± 1.20 points), 1 point allowed',
    );
    const figure = decided({ evaluation: unchanged(250) }).decision.figures.find(
      ({ name }) => name === 'accuracy',
    );
    assert.equal(figure?.interval, '± 1.20 points (the same in all 250 samples)');
    assert.ok(Math.abs((figure?.high ?? 0) - 0.9 - 3 / 250) < 1e-12);
  });
});
