import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { VerdictFacts } from '../../src/report/verdict-facts.ts';
import { WARNING_CODES, type WarningCode } from '../../src/report/warning-codes.ts';
import { warningsOf } from '../../src/report/warnings.ts';
import { NOT_MEASURED } from '../../src/runtime/model-metrics.ts';
import { NO_ERRORS } from '../../src/runtime/output-drift.ts';
import { repairStep, undoneStep } from './repair-step.ts';
import {
  channelFacts,
  facts,
  family,
  labeled,
  regressed,
  search,
  tensor,
  timed,
  unlabeled,
} from './verdict-facts.ts';

const seen = new Set<WarningCode>();

/** The warnings' texts, one below the other; none: null. */
function warning(code: WarningCode, changed: Partial<VerdictFacts>): string | null {
  const texts = warningsOf({ ...facts, ...changed }).flatMap((found) =>
    found.code === code ? found.text : [],
  );
  if (texts.length > 0) seen.add(code);
  return texts.length > 0 ? texts.join('\n') : null;
}

/** Points around a boundary: at it there is no warning. */
const [BELOW, ABOVE] = [1 - 1e-6, 1 + 1e-6];

after(() => {
  assert.deepEqual([...seen].sort(), Object.keys(WARNING_CODES).sort(), 'every code is tested');
});

test('partly_reached: one parameter of a hundred that lie in matrices', () => {
  const partly = (share: number) => {
    const tensors = [{ name: 'experts.0', dtype: 'int32', n: 30 }];
    return warning('partly_reached', { untouched: { n: 50, share, n_tensors: 3, tensors } });
  };
  assert.equal(partly(0.01 * BELOW), null);
  assert.match(partly(0.01) ?? '', /^1\.0+ % .*\(50\).*: experts\.0 \(int32, 30\) and 2 more\.$/);
});

describe('harm', () => {
  const certain = { loss_increase_standard_error: 0, accuracy_drop_standard_error: 0 };

  for (const [code, beta] of [
    ['beta_1_harmful', 1],
    ['harmful', 2],
    ['harmful', null],
  ] as const) {
    const other = code === 'harmful' ? 'beta_1_harmful' : 'harmful';
    const harm = (pruned: Parameters<typeof labeled>[0]) =>
      warning(code, { beta, evaluation: labeled(pruned) });

    test(`${code} at ${beta === null ? 'a budget' : `beta ${beta}`}: more than 1 point of accuracy or 10 % of loss`, () => {
      assert.equal(harm({ ...certain, accuracy: 0.89 }), null);
      assert.match(
        harm({ ...certain, accuracy: 0.889 }) ?? '',
        /accuracy from 90\.00 % to 88\.90 % \(1\.10 points lower/,
      );
      assert.equal(harm({ ...certain, loss: 0.55 }), null);
      assert.match(harm({ ...certain, loss: 0.5501 }) ?? '', /loss from 0\.5 to 0\.5501 \(10\.0 % more/);
      assert.match(harm({ ...certain, loss: null }) ?? '', /a value that is not finite/);
      assert.equal(
        warning(other, { beta, evaluation: labeled({ ...certain, loss: 5, accuracy: 0.1 }) }),
        null,
      );
    });

    test(`${code} at ${beta === null ? 'a budget' : `beta ${beta}`}: not within two standard errors`, () => {
      const accuracy = (error: number) =>
        harm({ ...certain, accuracy: 0.85, accuracy_drop_standard_error: error });
      assert.equal(accuracy(0.025 * ABOVE), null);
      assert.ok(accuracy(0.025 * BELOW));
      const loss = (error: number) => harm({ ...certain, loss: 0.75, loss_increase_standard_error: error });
      assert.equal(loss(0.125), null);
      assert.ok(loss(0.125 * BELOW));
      assert.ok(harm({ accuracy: 0.85, accuracy_drop_standard_error: null }));
    });

    test(`${code} at ${beta === null ? 'a budget' : `beta ${beta}`}: without labels under 90 % agreement`, () => {
      const agreement = (top1_agreement: number | null) =>
        warning(code, { beta, evaluation: unlabeled({ relative_l2: 0.4, top1_agreement }) });
      assert.equal(agreement(0.9), null);
      assert.equal(agreement(null), null);
      assert.match(agreement(0.899) ?? '', /89\.9 % of the predictions stay the same/);
    });
  }

  test('of beta 1 is told where beta 1 was measured beside another amount', () => {
    const beta_1 = { ...NOT_MEASURED, ...NO_ERRORS, sparsity: 0.6, loss: 0.9, accuracy: 0.7 };
    const text = warning('beta_1_harmful', { beta: 2, evaluation: labeled({}, { beta_1 }) });
    assert.equal(
      text,
      "EMP's own answer, beta 1, is measured to be harmful: at 60.0 % sparsity, loss from 0.5 to 0.9 (80.0 % more) and accuracy from " +
        '90.00 % to 70.00 % (20.00 points lower). Set target to have the beta searched that stays within it, or a beta above 1.',
    );
    assert.equal(warning('harmful', { beta: 2, evaluation: labeled({}, { beta_1 }) }), null);
    const searched = labeled({}, { beta_1, search: search({ max_loss_increase: 0.05 }, true) });
    assert.doesNotMatch(warning('beta_1_harmful', { beta: 0.5, evaluation: searched }) ?? '', /Set target/);
    assert.equal(warning('beta_1_harmful', { beta: 2, evaluation: labeled({}, { beta_1: null }) }), null);
  });

  test('comes with what to do about it', () => {
    const evaluation = labeled({ accuracy: 0.5 });
    assert.match(
      warning('beta_1_harmful', { evaluation }) ?? '',
      /at 25\.0 % sparsity.* Set target .* or a beta above 1\.$/,
    );
    assert.match(warning('harmful', { evaluation, beta: 0.5 }) ?? '', /Set a larger beta, or target/);
    assert.match(warning('harmful', { evaluation, beta: null }) ?? '', /Set a smaller budget, or target/);
  });

  test('a loss that is not finite', () => {
    assert.match(warning('non_finite_loss', { evaluation: labeled({ loss: null }) }) ?? '', /is not finite/);
    assert.equal(warning('non_finite_loss', { evaluation: labeled() }), null);
    assert.equal(warning('non_finite_loss', { evaluation: unlabeled({}) }), null);
    assert.equal(warning('non_finite_loss', {}), null);
  });
});

describe('search', () => {
  test('a target that no beta met', () => {
    const searched = (met: boolean) =>
      warning('target_not_met', {
        beta: 0.5,
        evaluation: labeled({}, { search: search({ max_loss_increase: 0.01 }, met) }),
      });
    assert.equal(searched(true), null);
    assert.match(
      searched(false) ?? '',
      /^No beta that was tried stays within a loss increase of 1 %; the model is pruned at the nearest, 0\.5: loss from 0\.5 to 0\.51 /,
    );
    assert.equal(warning('target_not_met', { evaluation: labeled() }), null);
  });
});

describe('a promise', () => {
  test('that was met where it was searched alone, or is not shown', () => {
    const found = { ...search({ max_loss_increase: 0.01 }, false), found: true };
    assert.match(
      warning('target_not_met', { beta: 0.5, evaluation: labeled({}, { search: found }) }) ?? '',
      /^Beta 0\.5 stays within a loss increase of 1 % on the samples that it was searched on, and not on the others: loss/,
    );
    const promised = search({ max_loss_increase: 0.01, confidence: 0.95 }, false);
    assert.match(
      warning('target_not_met', { beta: 0.5, evaluation: labeled({}, { search: promised }) }) ?? '',
      /^1,000 samples that no choice saw do not show that any beta stays within a loss increase of 1 % with confidence 95 %; .* mildest that was tested, 0\.5: .* Give more samples, allow more/,
    );
  });

  test('that more samples would show says how many', () => {
    // 0.005 below the limit at a standard error of 0.002: 1.2 times the distance that is all but sure, and two halves.
    const promised = { search: search({ max_loss_increase: 0.03, confidence: 0.95 }, false) };
    assert.match(
      warning('target_not_met', { beta: 0.5, evaluation: labeled({}, promised) }) ?? '',
      /Give more samples \(about 2,900 evaluation samples in all would show it, were the cost as measured\)/,
    );
  });

  test('data that are doubtful', () => {
    assert.equal(
      warning('doubtful_data', { doubts: ['Evaluation data: all are the same.'] }),
      'Evaluation data: all are the same.',
    );
    assert.equal(warning('doubtful_data', {}), null);
  });
});

describe('uniform', () => {
  const uniform = { ...NOT_MEASURED, ...NO_ERRORS, sparsity: 0.25 };

  test('is better by more than 0.1 % of loss and two standard errors', () => {
    const against = (loss: number | null, error: number | null = 0) =>
      warning('uniform_better', {
        evaluation: labeled(
          { loss: 0.5, loss_increase_standard_error: error },
          { uniform: { ...uniform, loss } },
        ),
      });
    assert.equal(against(0.6), null);
    assert.equal(against(0.4995), null);
    assert.ok(against(0.4994));
    assert.equal(against(0.4, 0.05 * ABOVE), null);
    assert.ok(against(0.4, 0.05 * BELOW));
    assert.ok(against(0.4, null));
    assert.equal(against(null), null);
    assert.match(
      against(0.4) ?? '',
      /a loss of 0\.4 against 0\.5\. A budget of sparsity 0\.25, with scope row/,
    );
  });

  test('is better than what is not finite', () => {
    const evaluation = labeled({ loss: null }, { uniform: { ...uniform, loss: 7 } });
    assert.match(
      warning('uniform_better', { evaluation }) ?? '',
      /a loss of 7 against one that is not finite/,
    );
  });

  test('without labels is better by more than 0.1 points of agreement', () => {
    const against = (top1_agreement: number | null) =>
      warning('uniform_better', {
        evaluation: unlabeled({ top1_agreement: 0.95 }, { uniform: { ...uniform, top1_agreement } }),
      });
    assert.equal(against(0.951), null);
    assert.match(against(0.952) ?? '', /95\.2 % of the predictions stay the same against 95\.0 %/);
    assert.equal(against(null), null);
  });

  test('is not compared where it was not measured', () => {
    assert.equal(warning('uniform_better', { evaluation: labeled() }), null);
    assert.equal(warning('uniform_better', {}), null);
  });
});

test('variance_lost: less than half of it explained, or one answer', () => {
  const lost = (kept: number, explained: number | null, one_answer = false) =>
    warning('variance_lost', { evaluation: unlabeled({}, { variance: { kept, explained }, one_answer }) });
  assert.match(lost(0.3, -2) ?? '', /have 30\.0 % of the variance .* explain 0\.0 % of it/);
  assert.deepEqual([lost(0.3, 0.5), lost(0.5, null)], [null, null]);
  assert.ok(lost(0.3, 0.5 * BELOW) && lost(0, null, true));
});

describe('an evaluation set too small to tell', () => {
  /** The dense loss is 0.5, so 1 % of it is 0.005. */
  const loss = (loss_increase_standard_error: number, change: number, changed = {}) =>
    warning('evaluation_too_small', {
      evaluation: labeled(
        { loss: 0.5 + change, loss_increase_standard_error, accuracy_drop_standard_error: 0 },
        changed,
      ),
    });
  const accuracy = (accuracy_drop_standard_error: number, change: number, changed = {}) =>
    warning('evaluation_too_small', {
      evaluation: labeled(
        { accuracy: 0.9 - change, accuracy_drop_standard_error, loss_increase_standard_error: 0 },
        changed,
      ),
    });

  test('without a target: two standard errors above 1 % of the loss', () => {
    assert.equal(loss(0.0025, 0), null);
    assert.ok(loss(0.0025 * ABOVE, 0));
    assert.equal(
      loss(0.01, 0.001),
      '1,000 samples are too few to tell: the loss changed by 0.2 % with a standard error of 2.0 %. ' +
        // Two standard errors, 0.02, are four times 0.005: sixteen times the samples.
        'About 16,000 samples would tell a change of 1.0 %.',
    );
  });

  test('without a target: two standard errors above 1 point of accuracy', () => {
    assert.equal(accuracy(0.005, 0), null);
    assert.ok(accuracy(0.005 * ABOVE, 0));
    assert.match(
      accuracy(0.01, -0.003) ?? '',
      /the accuracy changed by 0\.30 points with a standard error of 1\.00 points\. About 4,000 samples would tell a change of 1\.00 points\./,
    );
  });

  test('not where the change is clear all the same', () => {
    assert.equal(loss(0.0625, 0.125), null);
    assert.ok(loss(0.0625, 0.125 * BELOW));
    assert.ok(loss(0.0625, -0.125 * BELOW));
    assert.equal(loss(0.0625, -0.125), null);
  });

  test('by the target where there is one, and by what it limits', () => {
    const within = (target: Parameters<typeof search>[0]) => ({ search: search(target, true) });
    assert.equal(loss(0.0125, 0, within({ max_loss_increase: 0.05 })), null);
    assert.match(loss(0.0125 * ABOVE, 0, within({ max_loss_increase: 0.05 })) ?? '', /a change of 5\.0 %/);
    assert.equal(loss(0.1, 0, within({ max_accuracy_drop: 0.05 })), null);
    assert.equal(accuracy(0.1, 0, within({ max_loss_increase: 0.05 })), null);
    assert.ok(accuracy(0.026, 0, within({ max_accuracy_drop: 0.05 })));
    assert.match(
      loss(0.001, 0, within({ max_loss_increase: 0 })) ?? '',
      /No evaluation set can tell so small a change: allow more\.$/,
    );
    assert.equal(loss(0, 0, within({ max_loss_increase: 0 })), null);
  });

  test('of both figures says both, and the samples for both', () => {
    const evaluation = labeled({
      loss: 0.5,
      accuracy: 0.9,
      loss_increase_standard_error: 0.005,
      accuracy_drop_standard_error: 0.01,
    });
    assert.match(
      warning('evaluation_too_small', { evaluation }) ?? '',
      /the loss .* and the accuracy .* About 4,000 samples would tell a change of 1\.0 % and 1\.00 points\.$/,
    );
  });

  test('one sample has no standard error', () => {
    const none = { loss_increase_standard_error: null, accuracy_drop_standard_error: null };
    assert.match(warning('evaluation_too_small', { evaluation: labeled(none) }) ?? '', /^A single sample/);
    assert.match(warning('evaluation_too_small', { evaluation: regressed(none) }) ?? '', /^A single sample/);
    const broken = regressed({ ...none, loss: null });
    assert.equal(warning('evaluation_too_small', { evaluation: broken }), null);
    assert.equal(warning('evaluation_too_small', { evaluation: unlabeled({ relative_l2: 0.1 }) }), null);
    assert.equal(warning('evaluation_too_small', {}), null);
  });
});

test('of squared errors, where there is no accuracy, every warning names them', () => {
  const harmful = regressed(
    { loss: 0.75 },
    { uniform: { ...NOT_MEASURED, ...NO_ERRORS, sparsity: 0.25, loss: 0.6 } },
  );
  assert.equal(
    warning('beta_1_harmful', { evaluation: harmful }),
    "EMP's own answer, beta 1, is measured to be harmful: at 25.0 % sparsity, mean squared error from 0.5 to 0.75 (50.0 % more, standard error 0.4 %)." +
      ' Set target to have the beta searched that stays within it, or a beta above 1.',
  );
  assert.equal(warning('beta_1_harmful', { evaluation: regressed({ loss: 0.55 }) }), null);
  assert.match(
    warning('uniform_better', { evaluation: harmful }) ?? '',
    /a mean squared error of 0\.6 against 0\.75\./,
  );
  assert.match(
    warning('evaluation_too_small', { evaluation: regressed({ loss_increase_standard_error: 0.01 }) }) ?? '',
    /^1,000 samples \(3,000 numbers\) are too few to tell: the mean squared error changed by 2\.0 % with a standard error of 2\.0 %\./,
  );
  const missed = regressed({}, { search: search({ max_loss_increase: 0.01 }, false) });
  assert.match(
    warning('target_not_met', { beta: 0.5, evaluation: missed }) ?? '',
    /within a loss increase of 1 %; .*: mean squared error from 0\.5 to 0\.51 /,
  );
  const broken = regressed({ loss: null, loss_increase_standard_error: null });
  assert.ok(warning('non_finite_loss', { evaluation: broken }));
});

test('what no calibration sample reached', () => {
  const told = warning('inputs_unreached', { unreached: new Map([['experts', 0.25]]) });
  assert.match(told ?? '', /^No calibration sample reached 25\.0 % of the layer of experts: .* by magnitude/);
  const whole = warning('inputs_unreached', { unreached: new Map([['w', 1]]) });
  assert.match(whole ?? '', /^No calibration sample reached the layer of w: /);
  assert.equal(warning('inputs_unreached', {}), null);
});

test('data that came and were not used', () => {
  const reason = 'criterion magnitude takes no calibration data';
  assert.equal(
    warning('input_not_used', { unused: [{ input: 'calibration', reason }] }),
    `The calibration data that came were not used: ${reason}.`,
  );
  assert.equal(warning('input_not_used', {}), null);
});

test('not evaluated', () => {
  assert.match(warning('not_evaluated', {}) ?? '', /Preserved mass is not accuracy/);
  assert.equal(warning('not_evaluated', { evaluation: labeled() }), null);
});

test('no speed is promised where a model with zeros is written, and latencies are told', () => {
  assert.match(warning('no_speedup', {}) ?? '', /^Expect no speed: .* like any other number\.$/);
  assert.match(
    warning('no_speedup', { evaluation: timed(labeled(), 7.5, 7.8812) }) ?? '',
    /7\.5 ms a batch dense, 7\.881 ms pruned\.$/,
  );
  assert.equal(warning('no_speedup', { total: { ...facts.total, n_keep: 12_000 } }), null);
  assert.equal(warning('no_speedup', { sizes: { ...facts.sizes, pruned_bytes: null } }), null);
});

describe('structures', () => {
  const ofChannels = (code: WarningCode, changed: Partial<VerdictFacts> = {}) =>
    warning(code, { ...channelFacts, ...changed });
  const measured = (...latencies: number[]) => ({ evaluation: timed(labeled(), ...latencies) });

  test('that are gone make no model faster by themselves: what was measured is told', () => {
    assert.equal(
      ofChannels('not_faster', measured(10, 9.97)),
      'The smaller model is measured to be no faster: 10 ms a batch dense, 9.97 ms pruned, no difference: dense against dense varies by 0.1 %.',
    );
    assert.equal(ofChannels('not_faster', measured(10, 9.9)), null);
    const { evaluation } = measured(10, 9.6);
    const speedups = evaluation.speedups.map((speedup) => ({ ...speedup, noise: 0.05 }));
    assert.equal(
      ofChannels('not_faster', { evaluation: { ...evaluation, speedups } }),
      'The smaller model is measured to be no faster: 10 ms a batch dense, 9.6 ms pruned, no difference: dense against dense varies by 5.0 %.',
    );
    assert.equal(ofChannels('not_faster', measured(10, 9.9, 10, 11)), null, 'level all is the default');
    assert.equal(ofChannels('not_faster', { evaluation: labeled() }), null);
    assert.equal(ofChannels('not_faster'), null);
    const none = { ...channelFacts.total, n_keep: 64 };
    assert.equal(ofChannels('not_faster', { ...measured(10, 11), total: none }), null);
    assert.equal(warning('not_faster', measured(10, 11)), null, 'of weights');
    assert.equal(ofChannels('no_speedup', measured(10, 11)), null, 'of structures');
  });

  test('that are gone and leave the files as large', () => {
    const sizes = { ...channelFacts.sizes, dense_bytes: 2000, pruned_bytes: 2000 };
    assert.equal(
      ofChannels('not_smaller', { sizes }),
      'The pruned model is no smaller: it takes 2,000 bytes, the dense one 2,000. Remove more, or keep the dense model.',
    );
    assert.equal(ofChannels('not_smaller', { sizes: { ...sizes, pruned_bytes: 1999 } }), null);
    assert.equal(ofChannels('not_smaller', { sizes: { ...sizes, pruned_bytes: null } }), null, 'a dry run');
    assert.equal(warning('not_smaller', { sizes }), null, 'of weights');
    const none = { ...channelFacts.total, n_keep: 64 };
    assert.equal(ofChannels('not_smaller', { sizes, total: none }), null);
  });

  test('that are no faster by default may be at level extended, which is proposed where it wins', () => {
    assert.match(
      ofChannels('not_faster', measured(10, 11, 15, 9)) ?? '',
      /no faster: 10 ms a batch dense, 11 ms pruned\. At onnxruntime's optimization level extended it is 1\.67 x as fast, 15 ms a batch dense, 9 ms pruned; open it with graphOptimizationLevel extended\.$/,
    );
    assert.match(
      ofChannels('not_faster', measured(10, 11, 15, 10.5)) ?? '',
      /extended it is 1\.43 x as fast, 15 ms a batch dense, 10\.5 ms pruned\.$/,
    );
    assert.match(
      ofChannels('not_faster', measured(10, 11, 15, 16)) ?? '',
      /At onnxruntime's optimization level extended neither: 15 ms a batch dense, 16 ms pruned\.$/,
    );
  });

  test('of uneven counts are proposed to be rounded, where they are channels', () => {
    const uneven = { ...measured(10, 11), uneven: ['fc0.weight'] };
    assert.match(
      ofChannels('not_faster', uneven) ?? '',
      / multiples of 8 \(round_to\) suit onnxruntime better\.$/,
    );
    assert.doesNotMatch(ofChannels('not_faster', { ...uneven, granularity: 'head' }) ?? '', /round_to/);
  });

  test('whose count was raised', () => {
    assert.equal(
      ofChannels('counts_raised', { raised: ['a', 'b'] }),
      "min_density, or that one channel has to stay, keeps more than EMP's count in a, b.",
    );
    assert.equal(ofChannels('min_density_applied', { raised: ['a'] }), null);
    assert.equal(warning('counts_raised', { raised: ['a'] }), null, 'of weights');
    assert.equal(ofChannels('counts_raised'), null);
  });

  test('of small families', () => {
    const pooled = Array.from({ length: 48 }, (_, i) => `h.${i}`);
    assert.match(
      ofChannels('families_pooled', { granularity: 'head', pooled }) ?? '',
      /^Families of few heads share one N_eff, .*: h\.0, h\.1, .* h\.9 and 38 more\.$/,
    );
    assert.match(ofChannels('families_pooled', { pooled: ['a', 'b'] }) ?? '', /few channels .*: a, b\.$/);
    assert.equal(ofChannels('families_pooled'), null);
  });

  test('that are all kept', () => {
    assert.equal(
      ofChannels('nothing_removed', {
        granularity: 'kan_node',
        total: { ...channelFacts.total, n_keep: 64 },
      }),
      'Every KAN node is kept: the scores are flat, beta is large, or counts were rounded up (round_to).',
    );
    assert.equal(ofChannels('nothing_removed'), null);
  });

  test('spread evenly are compared where they are as sparse, which rounding may prevent', () => {
    const against = (sparsity: number) => {
      const uniform = { ...NOT_MEASURED, ...NO_ERRORS, sparsity, loss: 0.4 };
      return ofChannels('uniform_better', { evaluation: labeled({}, { uniform }) });
    };
    assert.match(against(0.25) ?? '', /A budget of sparsity 0\.25, with scope layer, prunes so\.$/);
    assert.ok(against(0.246));
    assert.ok(against(0.4));
    assert.equal(against(0.24), null);
  });

  test('are counted as what they are, of few the fraction of N_eff too', () => {
    assert.match(
      ofChannels('low_density', { groups: [{ ...family, n_keep: 3 }] }) ?? '',
      /^conv\.weight keeps only 3 of 64 channels; min_density sets a floor\.$/,
    );
    assert.match(
      ofChannels('all_zero_tensor', { groups: [{ ...family, n_keep: 1, n_eff: null }] }) ?? '',
      /it keeps 1 of 64 channels\.$/,
    );
    assert.match(
      ofChannels('uniform_scores', { total: { ...channelFacts.total, n_eff: 63.4219 } }) ?? '',
      /^N_eff is 63\.42 of 64 \(99\.1 %\)/,
    );
  });
});

describe('scores', () => {
  const global = (n_eff: number) => ({ total: { ...facts.total, n_eff } });
  const perTensor = (...sizes: (number | null)[]) => ({
    total: { ...facts.total, n_eff: null },
    groups: sizes.map((n_eff) => ({ ...tensor, n_eff })),
  });

  test('heavy-tailed under 10 %, by the whole vector or by the tensors', () => {
    assert.equal(warning('heavy_tailed_scores', global(1_200)), null);
    assert.match(
      warning('heavy_tailed_scores', global(1_199)) ?? '',
      /^N_eff is 1,199 of 12,000 \(10\.0 %\): a few scores hold most of the mass/,
    );
    assert.equal(warning('heavy_tailed_scores', perTensor(600, 1_800)), null);
    assert.match(
      warning('heavy_tailed_scores', perTensor(600, 1_700)) ?? '',
      /^N_eff is 2,300 of 24,000 \(9\.6 %\)/,
    );
  });

  test('nearly uniform above 95 %', () => {
    assert.equal(warning('uniform_scores', global(11_400)), null);
    assert.match(
      warning('uniform_scores', global(11_401)) ?? '',
      /^N_eff is 11,401 of 12,000 \(95\.0 %\): .*uniform/,
    );
    assert.equal(warning('uniform_scores', perTensor(12_000, 10_800)), null);
    assert.ok(warning('uniform_scores', perTensor(12_000, 10_801)));
  });

  test('tensors of zeros count for neither', () => {
    assert.equal(warning('heavy_tailed_scores', perTensor(1_800, null)), null);
    assert.ok(warning('uniform_scores', perTensor(11_500, null)));
    assert.equal(warning('heavy_tailed_scores', perTensor(null)), null);
    assert.equal(warning('uniform_scores', perTensor(null)), null);
  });
});

describe('tensors', () => {
  const kept = (n_keep: number, n_eff: number | null = 9_000.5) => ({
    groups: [{ ...tensor, n_keep, n_eff }],
  });

  test('emptied', () => {
    assert.match(warning('layer_emptied', kept(0)) ?? '', /^a\.weight keeps none of 12,000 weights/);
    assert.equal(warning('layer_emptied', kept(1)), null);
    assert.equal(warning('layer_emptied', kept(0, null)), null);
  });

  test('nearly emptied', () => {
    assert.match(warning('low_density', kept(599)) ?? '', /keeps only 599 of 12,000/);
    assert.equal(warning('low_density', kept(600)), null);
    assert.equal(warning('low_density', kept(0)), null);
  });

  test('of zeros are left as they are only where they are a group of their own', () => {
    assert.match(warning('all_zero_tensor', kept(12_000, null)) ?? '', /is left as it is/);
    assert.match(warning('all_zero_tensor', kept(0, null)) ?? '', /count for nothing/);
    assert.equal(warning('all_zero_tensor', kept(0)), null);
    assert.equal(warning('low_density', kept(12, null)), null);
  });

  test('with rows of zeros, one or more', () => {
    const rows = (n: number) => warning('all_zero_rows', { zeroRows: new Map([['a', n]]) });
    assert.equal(rows(1), 'a has a row of zero scores: it has no N_eff and is left as it is.');
    assert.equal(rows(1200), 'a has 1,200 rows of zero scores: they have no N_eff and are left as they are.');
    assert.equal(warning('all_zero_rows', {}), null);
  });

  test('without a repair', () => {
    const evaluation = labeled({});
    const nothing = { n_repaired: 0, problem: 'there is nothing that it could repair', loss_after: null };
    assert.equal(
      warning('repair_not_kept', { evaluation, repair: [undoneStep(), repairStep()] }),
      'The model is without the repair bias: the model is no better with it (loss from 0.6 to 0.7).',
    );
    assert.equal(
      warning('repair_not_kept', { evaluation, repair: [undoneStep(nothing)] }),
      'The model is without the repair bias: there is nothing that it could repair.',
    );
    assert.equal(warning('repair_not_kept', { evaluation, repair: [repairStep()] }), null);
  });

  test('that min_density kept denser', () => {
    assert.match(warning('min_density_applied', { raised: ['a', 'b'] }) ?? '', / in a, b\.$/);
    assert.equal(warning('min_density_applied', {}), null);
  });

  test('nothing removed', () => {
    assert.ok(warning('nothing_removed', { total: { ...facts.total, n_keep: 12_000 } }));
    assert.equal(warning('nothing_removed', {}), null);
  });
});

test('the gravest come first', () => {
  const evaluation = labeled(
    { loss: null, accuracy: 0.1 },
    { search: search({ max_loss_increase: 0 }, false) },
  );
  const codes = warningsOf({ ...facts, evaluation, ...{ groups: [{ ...tensor, n_keep: 0 }] } });
  assert.deepEqual(
    codes.map(({ code }) => code),
    ['non_finite_loss', 'beta_1_harmful', 'target_not_met', 'layer_emptied', 'no_speedup'],
  );
});
