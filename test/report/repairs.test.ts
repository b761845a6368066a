import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { renderReport } from '../../src/report/html/page.ts';
import { type Report, reportSchema } from '../../src/report/report.ts';
import { createVerdict } from '../../src/report/verdict.ts';
import type { VerdictFacts } from '../../src/report/verdict-facts.ts';
import { repairStep, undoneStep } from './repair-step.ts';
import { SAMPLE_REPORTS } from './sample-report.ts';
import { facts, labeled, regressed, unlabeled } from './verdict-facts.ts';

const textOf = (changed: Partial<VerdictFacts>) => createVerdict({ ...facts, ...changed }).text;

describe('the verdict on repairs', () => {
  test('names those that were kept with what they brought, and the others', () => {
    const repair = [
      repairStep({ name: 'batch_norm', loss_before: 0.9, loss_after: 0.6 }),
      undoneStep(),
      repairStep({ name: 'least_squares', loss_after: 0.50001 }),
    ];
    assert.match(
      textOf({ repair, evaluation: labeled({}) }),
      /75\.9 %\); repaired by batch_norm \(loss from 0\.9 to 0\.6\), least_squares \(loss from 0\.6 to 0\.5\); not repaired by bias; measured on /,
    );
    assert.match(
      textOf({ repair: [repairStep()], evaluation: regressed({}) }),
      /; repaired by bias \(mean squared error from 0\.6 to 0\.55\);/,
    );
    assert.match(
      textOf({ repair: [repairStep({ loss_before: null })], evaluation: labeled({}) }),
      /; repaired by bias \(loss from not finite to 0\.55\);/,
    );
  });

  test('speaks of drift without labels, and of nothing without evaluation data', () => {
    const drift = { loss_before: null, loss_after: null, relative_l2_before: 0.25, relative_l2_after: 0.1 };
    assert.match(
      textOf({ repair: [repairStep(drift)], evaluation: unlabeled({}) }),
      /; repaired by bias \(drift from 25\.0 % to 10\.0 %\);/,
    );
    const unmeasured = repairStep({ loss_before: null, loss_after: null });
    assert.match(textOf({ repair: [unmeasured] }), /; repaired by bias; what that costs in accuracy was not/);
  });

  test('gives the cost of a model that lost nothing and was repaired', () => {
    const total = { ...facts.total, n_keep: 12_000, sparsity: 0 };
    const evaluation = labeled({});
    assert.match(
      textOf({ total, evaluation, repair: [repairStep()] }),
      /; repaired by bias .*; measured on /,
    );
    assert.doesNotMatch(textOf({ total, evaluation, repair: [undoneStep()] }), /measured on/);
  });
});

describe('masks that a repair chose', () => {
  const moved = [
    { name: 'a', n_moved: 1200 },
    { name: '<b>', n_moved: 34 },
  ];
  const chosen = (changed: object = {}) => repairStep({ name: 'least_squares_masks', moved, ...changed });

  test('are guaranteed nothing by the verdict, unless it was undone or moved none', () => {
    assert.match(textOf({ repair: [chosen()] }), /of the importance mass; repaired by least_squares_masks/);
    const still = moved.map(({ name }) => ({ name, n_moved: 0 }));
    for (const step of [chosen({ kept: false }), chosen({ moved: still })])
      assert.match(textOf({ repair: [step] }), /of the importance mass \(guaranteed: [\d.]+ %\);/);
  });

  test('are on the page with how many weights of which tensors, and in the place of what scores guarantee', () => {
    const sample = Object.values(SAMPLE_REPORTS).find(
      ({ evaluation, total, structures }) =>
        evaluation !== null && total.threshold !== null && structures === null,
    );
    assert.ok(sample);
    const pageOf = (repair: Report['repair']) =>
      renderReport({ ...sample, repair }).replaceAll('\u00a0', ' ');
    const page = pageOf([chosen()]);
    assert.match(
      page,
      /<summary>1,234 weights kept by least_squares_masks and not by their scores<\/summary>/,
    );
    assert.match(page, /<li><bdi>a<\/bdi>: 1,200<\/li>\s*<li><bdi>&lt;b&gt;<\/bdi>: 34<\/li>/);
    assert.match(page, /above the threshold: kept, unless a repair chose others of the row/);
    assert.match(
      page,
      /A repair chose which weights of each row are kept: what is kept lies below the curve/,
    );
    // The verdict is the sample’s own.
    assert.doesNotMatch(page, /guaranteed: at least|is guaranteed|the paper.s bound/);
    const undone = pageOf([chosen({ kept: false, problem: 'the model is no better with it' })]);
    assert.match(undone, /guaranteed: at least/);
    assert.doesNotMatch(undone, /kept by least_squares_masks/);
  });
});

describe('the page on repairs', () => {
  const [sample] = Object.values(SAMPLE_REPORTS).filter(({ evaluation }) => evaluation?.dense.loss != null);
  const pageOf = (repair: Report['repair'], changed: Partial<Report> = {}) => {
    const recipe = { ...sample.recipe, repair: repair.map(({ name }) => name) };
    const report = { ...sample, recipe, repair, ...changed };
    assert.ok(reportSchema.safeParse(report).success);
    return renderReport(report).replaceAll('\u00a0', ' ');
  };

  test('has a table of them, and what each left out by its reason', () => {
    const left_out = ['a', 'b', '<c>'].map((name) => ({ name, reason: 'has no bias of its own' }));
    left_out.push({ name: 'd', reason: 'shares its bias' });
    const page = pageOf([repairStep({ left_out }), undoneStep({ name: 'least_squares' })]);
    assert.match(page, /<h2 id="repair">Repair<\/h2>/);
    assert.match(
      page,
      /<th scope="row">bias<\/th><td>3<\/td><td>4<\/td><td>0\.6000<\/td><td>0\.5500<\/td><td>−8\.3 %<\/td><td>yes<\/td>/,
    );
    assert.match(page, /<th scope="row">least_squares<\/th>.*<td>\+16\.7 %<\/td><td>no<\/td>/);
    assert.match(page, /<summary>Left out by bias<\/summary>/);
    assert.match(page, /<li><bdi>a<\/bdi> and 2 more: has no bias of its own<\/li>/);
    assert.match(page, /<li><bdi>d<\/bdi>: shares its bias<\/li>/);
    assert.match(page, /<dt>Repair<\/dt><dd><strong>bias<\/strong>: the dense layer’s mean output/);
  });

  test('says of one that found nothing that it was not measured, and of none nothing', () => {
    const nothing = { n_repaired: 0, problem: 'there is nothing that it could repair', loss_after: null };
    assert.match(
      pageOf([undoneStep(nothing)]),
      /<th scope="row">bias<\/th><td>0<\/td><td>0<\/td><td>0\.6000<\/td><td>–<\/td><td>–<\/td><td>no<\/td>/,
    );
    assert.doesNotMatch(pageOf([]), /id="repair"/);
    const unmeasured = repairStep({ loss_before: null, loss_after: null });
    assert.match(
      pageOf([unmeasured], { evaluation: null }),
      /<th scope="row">bias<\/th><td>3<\/td><td>0<\/td><td>yes<\/td>/,
    );
  });
});
