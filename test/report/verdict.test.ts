import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createVerdict } from '../../src/report/verdict.ts';
import type { VerdictFacts } from '../../src/report/verdict-facts.ts';
import { WARNING_CODES } from '../../src/report/warning-codes.ts';
import { NOT_MEASURED } from '../../src/runtime/model-metrics.ts';
import { NO_ERRORS } from '../../src/runtime/output-drift.ts';
import { channelFacts, facts, labeled, regressed, search, timed, unlabeled } from './verdict-facts.ts';

const textOf = (changed: Partial<VerdictFacts>) => createVerdict({ ...facts, ...changed }).text;

describe('the sentence', () => {
  test('says what goes, what it holds and what gets smaller', () => {
    assert.equal(
      textOf({}),
      'EMP removes 3,000 of 12,000 weights (25.0 %); what stays holds 93.8 % of the importance mass (guaranteed: 75.9 %); ' +
        'what that costs in accuracy was not measured; the model keeps its 48.0 kB, compressed by zstd it goes from 44.0 kB ' +
        'to 33.0 kB (1.33 x smaller), and zeros in place do not make onnxruntime faster.',
    );
  });

  test('names the rule', () => {
    assert.match(textOf({ beta: 0.5 }), /^EMP at beta 0\.5 removes 3,000 /);
    assert.match(textOf({ beta: null }), /^The fixed budget removes 3,000 /);
  });

  test('begins with what was out of reach, and warns of it first', () => {
    const tensors = [
      { name: 'experts', dtype: 'float32', n: 80_000 },
      { name: 'packed_weight', dtype: 'uint8', n: 8_000 },
    ];
    const { text, warnings } = createVerdict({
      ...facts,
      untouched: { n: 90_000, share: 0.88, n_tensors: 9, tensors },
    });
    assert.match(
      text,
      /^88\.0 % of the parameters were out of reach and stay as they are; of the rest: EMP removes 3,000 of /,
    );
    assert.deepEqual(warnings[0], {
      code: 'partly_reached',
      text: "88.0 % of the model's parameters (90,000) lie in matrices that this job could not reach, and stay as they are: experts (float32, 80,000), packed_weight (uint8, 8,000) and 7 more.",
    });
    assert.match(textOf({ untouched: { n: 5, share: 0.009, n_tensors: 1, tensors: [] } }), /^EMP removes/);
  });

  test('of a dry run speaks of what would be', () => {
    const dry = { ...facts.sizes, pruned_bytes: null, pruned_zstd_bytes: null };
    assert.match(
      textOf({ sizes: dry }),
      /^EMP would remove 3,000 .*; this was a dry run, no model was written\.$/,
    );
  });

  test('does not call larger smaller', () => {
    assert.match(
      textOf({ sizes: { ...facts.sizes, pruned_zstd_bytes: 45_000 } }),
      /to 45\.0 kB \(larger\), and/,
    );
    assert.match(
      textOf({ sizes: { ...facts.sizes, pruned_zstd_bytes: 44_000 } }),
      /to 44\.0 kB \(no smaller\), and/,
    );
    assert.match(
      textOf({ sizes: { ...facts.sizes, zstd_estimated: true } }),
      /from about 44\.0 kB to about 33\.0 kB/,
    );
  });

  test('does not round almost all to all, or almost nothing to nothing', () => {
    const few = {
      ...facts.total,
      n_keep: 11_999,
      sparsity: 1 / 12_000,
      preserved_mass: 0.99999,
      preserved_mass_bound: 0.99998,
    };
    assert.match(
      textOf({ total: few }),
      /1 of 12,000 weights \(< 0\.1 %\); what stays holds > 99\.9 % .*guaranteed: 99\.9 %/,
    );
  });

  test('claims no cost where nothing is removed', () => {
    const none = createVerdict({ ...facts, total: { ...facts.total, n_keep: 12_000, sparsity: 0 } });
    assert.match(none.text, /^EMP removes none of 12,000 weights; the model keeps its/);
    assert.ok(none.warnings.some(({ code }) => code === 'nothing_removed'));
  });

  test('gives what it costs in loss and accuracy, with standard errors', () => {
    assert.match(
      textOf({ evaluation: labeled() }),
      /; measured on 1,000 samples: loss from 0\.5 to 0\.51 \(2\.0 % more, standard error 0\.4 %\) and accuracy from 90\.00 % to 89\.70 % \(0\.30 points lower, standard error 0\.10 points\); the model keeps/,
    );
    assert.match(
      textOf({ evaluation: labeled({ loss: 0.4999, accuracy: 0.905 }) }),
      /loss from 0\.5 to 0\.4999 \(< 0\.1 % less, .* to 90\.50 % \(0\.50 points higher,/,
    );
    const once = labeled({ loss_increase_standard_error: null, accuracy_drop_standard_error: null });
    assert.match(
      textOf({ evaluation: { ...once, n_samples: 1, n_positions: 1 } }),
      /measured on 1 sample: loss from 0\.5 to 0\.51 \(2\.0 % more\) and accuracy .* \(0\.30 points lower\);/,
    );
  });

  test('of sequences adds perplexity and positions', () => {
    const evaluation = labeled({ loss: Math.log(11), perplexity: 11 }, { n_samples: 8, n_positions: 1_016 });
    const dense = { ...evaluation.dense, loss: Math.log(10), perplexity: 10 };
    assert.match(
      textOf({ evaluation: { ...evaluation, dense } }),
      /measured on 8 samples \(1,016 positions\): loss from 2\.303 to 2\.398 \(4\.1 % more, .*, perplexity from 10 to 11\) and accuracy/,
    );
  });

  test('of labels that are numbers names the loss, and no accuracy where there is none', () => {
    assert.match(
      textOf({ evaluation: regressed() }),
      /; measured on 1,000 samples \(3,000 numbers\): mean squared error from 0\.5 to 0\.51 \(2\.0 % more, standard error 0\.4 %\); the model keeps/,
    );
    assert.match(
      textOf({ evaluation: regressed({ loss: null, loss_increase_standard_error: null }) }),
      /: mean squared error from 0\.5 to a value that is not finite; the model keeps/,
    );
    const exact = { ...regressed().dense, loss: 0 };
    assert.match(
      textOf({ evaluation: regressed({}, { dense: exact }) }),
      /: mean squared error from 0 to 0\.51 \(0\.51 more, standard error 0\.002\);/,
    );
    assert.match(
      textOf({ evaluation: labeled({}, { loss_kind: 'binary_cross_entropy', n_positions: 5_000 }) }),
      /\(5,000 numbers\): binary cross-entropy from 0\.5 to 0\.51 .* and accuracy from 90\.00 % to 89\.70 %/,
    );
  });

  test('without labels gives how far the outputs move', () => {
    const drift = { relative_l2: 0.032, cosine: 0.99999, top1_agreement: 0.98 };
    assert.match(
      textOf({ evaluation: unlabeled(drift) }),
      /measured on 1,000 samples without labels: the outputs move by 3\.2 % \(relative L2, cosine 0\.9999\) and 98\.0 % of the predictions stay the same;/,
    );
    assert.match(
      textOf({ evaluation: unlabeled({ ...drift, top1_agreement: null }) }),
      /labels: the outputs move by 3\.2 % \(relative L2, cosine 0\.9999\);/,
    );
    assert.match(
      textOf({ evaluation: unlabeled({ top1_agreement: 0 }) }),
      /labels: 0\.0 % of the predictions stay the same;/,
    );
    assert.match(textOf({ evaluation: unlabeled({}) }), /how far the outputs move has no finite figure;/);
  });

  test('shows a loss that is not finite, and one that was zero', () => {
    assert.match(
      textOf({ evaluation: labeled({ loss: null, loss_increase_standard_error: null }) }),
      /: loss from 0\.5 to a value that is not finite and accuracy from 90\.00 % to/,
    );
    const evaluation = labeled();
    const zero = { ...evaluation, dense: { ...evaluation.dense, loss: 0 } };
    assert.match(textOf({ evaluation: zero }), /loss from 0 to 0\.51 \(0\.51 more, standard error 0\.002\)/);
    const tiny = { ...evaluation, dense: { ...evaluation.dense, loss: 1e-6 } };
    assert.match(
      textOf({ evaluation: tiny }),
      /loss from 0\.000001 to 0\.51 \(0\.51 more, standard error 0\.002\)/,
    );
    const faint = { ...evaluation, dense: { ...evaluation.dense, loss: 0.0001 } };
    assert.match(
      textOf({ evaluation: faint }),
      /loss from 0\.0001 to 0\.51 \(0\.5099 more, standard error 0\.002\)/,
    );
  });

  test('of a search names the target, the beta and whether it was met', () => {
    const met = labeled({}, { search: search({ max_loss_increase: 0.025 }, true) });
    assert.match(
      textOf({ beta: 0.5, evaluation: met }),
      /^EMP at beta 0\.5, the smallest of 2 tried that stays within a loss increase of 2\.5 %, removes 3,000 of 12,000 weights/,
    );
    const missed = (max_accuracy_drop: number) =>
      textOf({ beta: 0.5, evaluation: labeled({}, { search: search({ max_accuracy_drop }, false) }) });
    assert.match(
      missed(0.001),
      /^No beta of 2 tried stays within an accuracy drop of 0\.1 points; EMP at beta 0\.5, the nearest, removes 3,000 .* lower, standard error/,
    );
    assert.match(missed(0.01), /an accuracy drop of 1 point;/);
    const dry = { ...facts.sizes, pruned_bytes: null, pruned_zstd_bytes: null };
    assert.match(textOf({ beta: 0.5, evaluation: met, sizes: dry }), /2\.5 %, would remove 3,000 /);
  });

  test('of a target of size names it, the beta and what the model takes', () => {
    const size = {
      name: 'max_parameters',
      limit: 9500,
      reached: 9400,
      met: true,
      beta: 0.5,
      largest: 0.5,
    } as const;
    const evaluations = [1, 0.5].map((beta) => ({ beta, sparsity: 1 - beta, size: 9000 }));
    const of = (changed: Partial<NonNullable<VerdictFacts['size_target']>>) =>
      textOf({ beta: 0.5, size_target: { ...size, evaluations, ...changed } });
    assert.match(
      of({}),
      /^EMP at beta 0\.5, the largest of 2 tried whose model is within 9,500 parameters, removes .*; it takes 9,400 of the 9,500 parameters allowed\.$/,
    );
    assert.match(
      of({ name: 'max_compressed_bytes', limit: 9000, met: false, largest: null }),
      /^No beta of 2 tried brings the model to 9\.00 kB compressed by zstd; EMP at beta 0\.5, the smallest, removes .*; it takes 9\.40 kB, more than the 9\.00 kB compressed by zstd allowed\.$/,
    );
    const evaluation = labeled({}, { search: search({ max_loss_increase: 0.025 }, true) });
    const text = textOf({ beta: 0.5, evaluation, size_target: { ...size, evaluations } });
    assert.match(
      text,
      /^EMP at beta 0\.5, the smallest of 2 tried .*; it takes 9,400 of the 9,500 parameters allowed\.$/,
    );
  });

  test('of a promise says what is shown, and without one how often chance would do as well', () => {
    const target = { max_loss_increase: 0.025, confidence: 0.95 };
    const { promise, ...rest } = search(target, true);
    const shown = labeled({}, { search: { ...rest, promise: { ...promise, certified: 0.0213 } } });
    assert.match(
      textOf({ beta: 0.5, evaluation: shown }),
      /stays within a loss increase of 2\.5 % with confidence 95 %, .* measured on 1,000 samples that no choice saw: .*; shown with confidence 95 %: a loss increase of 2\.13 % at most \(of no sample is more than 1 counted\);/,
    );
    const third = { ...promise, certified: 0.0213, uses: 3 };
    assert.match(
      textOf({ beta: 0.5, evaluation: labeled({}, { search: { ...rest, promise: third } }) }),
      /counted\), the 3\. promise on these samples, of which all hold together with confidence 85 %;/,
    );
    const missed = labeled({}, { search: search(target, false) });
    assert.match(
      textOf({ beta: 0.5, evaluation: missed }),
      /^No beta is shown to stay within .* with confidence 95 %; EMP at beta 0\.5, the mildest that was tested, removes/,
    );
    const estimated = labeled({}, { search: search({ max_loss_increase: 0.025 }, true) });
    assert.match(
      textOf({ beta: 0.5, evaluation: estimated }),
      /; an estimate: were the true cost just above the limit, samples would look as good as these with a chance of at most 25\.0 %;/,
    );
    const found = { ...search({ max_loss_increase: 0.025 }, false), found: true };
    assert.match(
      textOf({ beta: 0.5, evaluation: labeled({}, { search: found }) }),
      /^EMP at beta 0\.5, within a loss increase of 2\.5 % on the samples that it was searched on and not on others, removes/,
    );
  });

  describe('of structures', () => {
    const { structures } = channelFacts;
    assert.ok(structures);
    const structuresText = (changed: Partial<VerdictFacts>) => textOf({ ...channelFacts, ...changed });

    test('counts them and says what the smaller model saves', () => {
      assert.equal(
        structuresText({}),
        'EMP removes 16 of 64 channels (25.0 %); what stays holds 93.8 % of the importance mass (guaranteed: 75.9 %); ' +
          'what that costs in accuracy was not measured; the model goes from 48.0 kB to 30.0 kB (7,500 of 12,000 parameters), ' +
          'and whether it is faster was not measured.',
      );
      assert.match(structuresText({ granularity: 'kan_node' }), /^EMP removes 16 of 64 KAN nodes \(/);
      assert.match(
        structuresText({ granularity: 'head', beta: null }),
        /^The fixed budget removes 16 of 64 heads \(/,
      );
    });

    test('says of a model that is no smaller that it is not', () => {
      const sizes = { ...channelFacts.sizes, pruned_bytes: channelFacts.sizes.dense_bytes };
      assert.match(
        structuresText({ sizes }),
        /; the model gets no smaller: it goes from 48\.0 kB to 48\.0 kB \(/,
      );
    });

    test('gives both latencies, faster or not', () => {
      assert.match(
        structuresText({ evaluation: timed(labeled(), 12.4121, 9.5, 19.131, 12) }),
        /parameters\), and a batch is measured to take 9\.5 ms in place of 12\.41 \(1\.31 x as fast\), or at onnxruntime's optimization level extended 12 ms in place of 19\.13 \(1\.59 x as fast\)\.$/,
      );
      assert.match(
        structuresText({ evaluation: timed(labeled(), 10, 12.5) }),
        /and a batch is measured to take 12\.5 ms in place of 10 \(0\.80 x as fast\)\.$/,
      );
      assert.match(structuresText({ evaluation: labeled() }), /and whether it is faster was not measured\.$/);
      const quiet = timed(labeled(), 10, 9.6);
      const noisy = { ...quiet, speedups: quiet.speedups.map((speedup) => ({ ...speedup, noise: 0.05 })) };
      assert.match(structuresText({ evaluation: quiet }), /\(1\.04 x as fast\)\.$/);
      assert.match(
        structuresText({ evaluation: noisy }),
        /9\.6 ms in place of 10 \(no difference: dense against dense varies by 5\.0 %\)\.$/,
      );
    });

    test('of a dry run, or of a model that keeps all of them, promises no smaller one', () => {
      const dry = { ...channelFacts.sizes, pruned_bytes: null, pruned_zstd_bytes: null };
      assert.match(
        structuresText({
          sizes: dry,
          structures: { ...structures, parameters: { dense: 12_000, pruned: null } },
        }),
        /^EMP would remove 16 of 64 channels .*; this was a dry run, no model was written\.$/,
      );
      assert.equal(
        structuresText({
          total: { ...channelFacts.total, n_keep: 64, sparsity: 0 },
          evaluation: timed(labeled(), 10, 10.1),
        }),
        'EMP removes none of 64 channels; the model keeps its 12,000 parameters.',
      );
    });
  });

  test('never claims that pruning is free: where weights go it says what that costs, or that nobody knows', () => {
    const figure = fc.option(fc.double({ min: 0, max: 1e6, noNaN: true }), { nil: null });
    const share = fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: null });
    const metrics = { loss: figure, accuracy: share, perplexity: figure };
    const drift = {
      relative_l2: figure,
      cosine: share,
      top1_agreement: share,
      kl: figure,
      cosine_distance: figure,
    };
    const errors = { loss_increase_standard_error: figure, accuracy_drop_standard_error: share };
    const evaluation = fc
      .record({
        dense: fc.record(metrics),
        pruned: fc.record({ ...metrics, ...drift, ...errors }),
        uniform: fc.option(fc.record({ ...metrics, ...drift }), { nil: null }),
        searched: fc.option(fc.boolean(), { nil: null }),
        loss_kind: fc.constantFrom('cross_entropy', 'binary_cross_entropy', 'mean_squared_error', null),
      })
      .map(({ dense, pruned, uniform, searched, loss_kind }) => ({
        ...labeled({ ...pruned, latency_ms: 2 }, { loss_kind }),
        dense: { ...NOT_MEASURED, ...dense, latency_ms: 1, latency_extended_ms: null },
        uniform: uniform && { ...NO_ERRORS, sparsity: 0.25, ...uniform },
        search: searched === null ? null : search({ max_loss_increase: 0.01 }, searched),
      }));
    const subject = fc.constantFrom(facts, channelFacts);
    const beta = fc.constantFrom(1, 0.5, null);
    fc.assert(
      fc.property(subject, fc.option(evaluation, { nil: null }), beta, (base, evaluated, chosen) => {
        const { text, warnings } = createVerdict({ ...base, evaluation: evaluated, beta: chosen });
        const all = [text, ...warnings.map((warning) => warning.text)].join(' ');
        assert.doesNotMatch(all, /no cost|cost-free|for free|lossless|without loss|harmless|NaN|Infinity/i);
        assert.match(
          text,
          evaluated ? /; measured on 1,000 samples/ : /; what that costs .* was not measured;/,
        );
        assert.match(
          text,
          base === facts
            ? /zeros in place do not make onnxruntime faster\.$/
            : /a batch is measured to take .* as fast\)\.$|whether it is faster was not measured\.$/,
        );
        if (evaluated && evaluated.dense.loss !== null)
          assert.match(text, /: (loss|binary cross-entropy|mean squared error) from \S+ to /);
        for (const { code } of warnings) assert.ok(Object.hasOwn(WARNING_CODES, code), code);
      }),
    );
  });
});
