import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import { TARGET_NAMES } from '../../src/recipe/terms.ts';
import { decisionOf } from '../../src/report/decision.ts';
import { decisionMarkdown } from '../../src/report/decision-markdown.ts';
import { renderReport } from '../../src/report/html/page.ts';
import { type Report, reportSchema } from '../../src/report/report.ts';
import { renderReportMarkdown } from '../../src/report/report-markdown.ts';
import { DECIDED, decided } from './decided-reports.ts';
import { SAMPLE_REPORTS } from './sample-report.ts';
import { labeled, search, timed, unlabeled } from './verdict-facts.ts';

const EVERY: Readonly<Record<string, Report>> = { ...SAMPLE_REPORTS, ...DECIDED };

const wordsIn = (text: string) => text.split(/\s+/).length;

/** What is read of the page's first screen, without what is below it. */
function firstScreenOf(report: Report): string {
  const page = renderReport(report);
  return page
    .slice(page.indexOf('<h1>'), page.indexOf('<section'))
    .replace(/<svg[\s\S]*?<\/svg>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replaceAll('&quot;', '"')
    .replace(/\s+/g, ' ');
}

describe('the status', () => {
  for (const [name, status, ...reasons] of [
    ['within', 'within'],
    ['shown', 'within'],
    ['estimated', 'estimated'],
    ['barely', 'not_met'],
    ['missed', 'not_met'],
    ['unshown', 'not_met'],
    ['dead', 'unsafe', 'one_answer', 'guesses'],
    ['guessing', 'unsafe', 'guesses'],
    ['denseGuesses', 'unsafe', 'dense_guesses'],
    ['notFinite', 'unsafe', 'not_finite'],
    ['doubtful', 'unsafe', 'doubtful_data'],
    ['emptied', 'unsafe', 'layer_emptied'],
    ['farOff', 'unsafe', 'far_off'],
    ['nothing', 'nothing_gained'],
    ['harmed', 'harmed'],
    ['measured', 'measured'],
    ['unlabelled', 'measured'],
    ['unmeasured', 'not_measured'],
    ['dryRun', 'not_measured'],
  ] as const) {
    test(`of "${name}" is ${status}`, () => {
      const { decision } = DECIDED[name];
      assert.deepEqual([decision.status, ...decision.reasons], [status, ...reasons]);
    });
  }

  test('is that of a guess only where accuracy and loss both are', () => {
    const statusOf = (pruned: Parameters<typeof labeled>[0]) =>
      decided({ evaluation: labeled(pruned) }).decision.reasons;
    assert.deepEqual(statusOf({ loss: 3.5, accuracy: 0.6 }), [], 'sure of itself, and often right');
    assert.deepEqual(statusOf({ loss: 0.6, accuracy: 0.12 }), [], 'of classes that are seldom');
    assert.deepEqual(statusOf({ loss: 2.2, accuracy: 0.125 }), ['guesses'], 'nearly all of the way');
  });

  test('of a promise of size says nothing of a harmful cost', () => {
    const size_target = {
      ...{ name: 'max_parameters' as const, limit: 6_000, reached: 5_000, met: true, beta: 1, largest: 1 },
      evaluations: [],
    };
    const recipe = { ...DECIDED.harmed.recipe, target: { max_parameters: 6_000 } };
    const { decision: _, ...harmed } = { ...DECIDED.harmed, size_target, recipe };
    assert.equal(decisionOf(harmed, false).status, 'harmed');
    const { decision: __, ...measured } = { ...DECIDED.measured, size_target, recipe };
    assert.equal(decisionOf(measured, false).status, 'within');
    assert.equal(
      decisionOf({ ...measured, size_target: { ...size_target, met: false } }, false).status,
      'not_met',
    );
  });
});

describe('the sentence', () => {
  test('has at most 30 words', () => {
    for (const [name, { decision }] of Object.entries(EVERY))
      assert.ok(wordsIn(decision.sentence) <= 30, `${name}: ${decision.sentence}`);
  });

  test('has at most 30 words whatever was measured and asked', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    const loss = fc.double({ min: 0, max: 1e5, noNaN: true });
    const error = fc.option(fc.double({ min: 0, max: 2, noNaN: true }), { nil: null });
    const anyPruned = fc.record({
      loss,
      accuracy: share,
      loss_increase_standard_error: error,
      accuracy_drop_standard_error: error,
      // A target without labels is judged by these, beside loss and accuracy.
      top1_agreement: share,
      kl: share,
      relative_l2: share,
      cosine_distance: share,
      disagreement_standard_error: error,
      kl_standard_error: error,
      relative_l2_standard_error: error,
      cosine_distance_standard_error: error,
    });
    const anyTarget = fc.option(
      fc.record({
        name: fc.constantFrom(...TARGET_NAMES),
        limit: share,
        confidence: fc.option(share, { nil: undefined }),
        met: fc.boolean(),
      }),
    );
    fc.assert(
      fc.property(
        anyPruned,
        anyTarget,
        fc.integer({ min: 0, max: 10_000 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 40_000 }),
        (pruned, target, kept, isConstant, compressed) => {
          const asked =
            target &&
            search(
              {
                [target.name]: target.limit,
                ...(target.confidence === undefined ? {} : { confidence: target.confidence }),
              },
              target.met,
            );
          const evaluation = timed(
            labeled(pruned, { search: asked, one_answer: isConstant, n_samples: 1_234_567 }),
            10,
            3,
          );
          const drifts = timed(
            unlabeled(
              { relative_l2: pruned.loss, top1_agreement: pruned.accuracy, cosine: 0 },
              { search: asked },
            ),
            10,
            3,
          );
          for (const each of [evaluation, drifts, null]) {
            const { sentence } = decided({ kept, compressed, evaluation: each }).decision;
            assert.ok(wordsIn(sentence) <= 30, `${wordsIn(sentence)} words: ${sentence}`);
          }
        },
      ),
    );
  });

  test('without data says that the cost is not known', () => {
    for (const report of [DECIDED.unmeasured, DECIDED.dryRun, SAMPLE_REPORTS.layers])
      assert.match(report.decision.sentence, /costs is not known/);
  });
});

describe('five questions of a reader are answered by the first screen alone', () => {
  const QUESTIONS = {
    'may I ship it?':
      /Ship it|[Dd]o not (ship|use|trust) it|The model is (dead|lost)|Measure it before you ship it|Yours to judge|Keep the dense model|The figures mean nothing|Do not trust these figures/,
    'what do I gain?':
      /Download (no difference|not written|[\d.]+ (bytes|kB|MB)).* was [\d.]+ (bytes|kB|MB).*Speed (no difference|not known|[\d.]+ × as fast)/,
    'what do I lose?': /(Loss|Mean squared error|Outputs move) (no difference|not known|not finite|[+−\d])/,
    'how sure is that?': /± |no evaluation data|NaN or infinite|no interval is known/,
    'what next?': /What to do next \S/,
  };
  for (const [name, report] of Object.entries(EVERY)) {
    test(`of "${name}"`, () => {
      const text = firstScreenOf(report);
      for (const [question, answer] of Object.entries(QUESTIONS)) assert.match(text, answer, question);
      assert.ok(text.includes(report.decision.badge));
    });
  }

  test('with what was promised, and how it was shown', () => {
    assert.match(firstScreenOf(DECIDED.shown), /5 % allowed, shown with 95 % confidence on 1,000 samples\./);
    assert.match(firstScreenOf(DECIDED.within), /5 % allowed, estimated on 1,000 samples\./);
    assert.match(
      firstScreenOf(DECIDED.missed),
      /the promise is not kept: accuracy 0\.30 points lower; loss 20\.0 ± 0\.8 % higher, 5 % allowed/,
    );
  });

  test('with what was promised, beside what else is lost', () => {
    const evaluation = labeled({ loss: 0.54 }, { search: search({ max_accuracy_drop: 0.01 }, true) });
    const { sentence } = decided({ evaluation }).decision;
    assert.match(
      sentence,
      /; loss 8\.0 % higher; accuracy 0\.30 ± 0\.20 points lower, 1 point allowed, estimated on/,
    );
  });

  test('with a clear harm that nothing promised bounds, before anything else', () => {
    const lost = { loss: 0.6, accuracy: 0.838 };
    const drifted = unlabeled({ relative_l2: 4e-4, top1_agreement: 0.585 });
    for (const [evaluation, target, begin] of [
      [labeled(lost), { max_loss_increase: 0.2 }, 'accuracy 6.20 points lower;'],
      [labeled(lost), { max_kl: 1 }, 'accuracy 6.20 points lower, loss 20.0 % higher;'],
      [drifted, { max_relative_l2: 0.01 }, 'only 58.5 % of the predictions stay;'],
    ] as const) {
      const { decision } = decided({ evaluation: { ...evaluation, search: search(target, true) } });
      assert.equal(decision.status, 'harmed');
      const words = `Do not ship it, clearly worse beyond the promise: ${begin} the promise is kept,`;
      assert.ok(decision.sentence.startsWith(words), decision.sentence);
      const [{ recipe }] = decision.next;
      assert.notDeepEqual(
        Object.keys(recipe?.target ?? {}),
        Object.keys(target),
        'what is to be bounded is the harm',
      );
    }
    // How sure a model is of predictions that are promised is no harm.
    const unsure = { ...labeled(lost), search: search({ max_accuracy_drop: 0.1 }, true) };
    assert.notEqual(decided({ evaluation: unsure }).decision.status, 'harmed');
    for (const target of [{ max_disagreement: 0.5 }, { max_cosine_distance: 0.1 }]) {
      const evaluation = { ...drifted, search: search(target, true) };
      assert.notEqual(decided({ evaluation }).decision.status, 'harmed');
    }
  });

  test('with what outputs that predict no class have lost of their variance', () => {
    const flat = (explained: number) =>
      unlabeled(
        { relative_l2: 6e-4 },
        { variance: { kept: explained, explained }, search: search({ max_relative_l2: 0.01 }, true) },
      );
    const { status, sentence } = decided({ evaluation: flat(0.2) }).decision;
    assert.equal(status, 'harmed');
    assert.match(sentence, /promise: outputs explain 20\.0 % of the dense variance; the promise is kept/);
    assert.notEqual(decided({ evaluation: flat(0.9) }).decision.status, 'harmed');
  });

  test('with a loss that has more than doubled, though few samples carry it', () => {
    const carried = labeled({ loss: 1.1, accuracy: 0.9, loss_increase_standard_error: 0.4 });
    const { status, sentence, figures } = decided({ evaluation: carried }).decision;
    assert.equal(status, 'harmed');
    assert.match(sentence, /loss 120\.0 % higher/);
    const loss = figures.find(({ name }) => name === 'loss');
    assert.deepEqual([loss?.text, loss?.is_difference], ['+120.0 %', true]);
    const doubtful = labeled({ loss: 0.9, accuracy: 0.9, loss_increase_standard_error: 0.4 });
    assert.match(decided({ evaluation: doubtful }).decision.sentence, /no difference in loss and accuracy/);
  });
});

describe('the figures', () => {
  test('are five, and valid', () => {
    for (const [name, report] of Object.entries(EVERY)) {
      assert.equal(report.decision.figures.length, 5, name);
      assert.ok(reportSchema.safeParse(report).success, name);
    }
  });

  test('inside their own noise are no difference', () => {
    const textOf = (report: Report, name: string) =>
      report.decision.figures.find((figure) => figure.name === name);
    // 2.0 % more with an error of 0.4 %, 0.3 points with one of 0.1.
    assert.equal(textOf(DECIDED.measured, 'loss')?.text, '+2.0 %');
    const noisy = decided({
      evaluation: labeled({ loss_increase_standard_error: 0.006, accuracy_drop_standard_error: 0.0016 }),
    });
    for (const name of ['loss', 'accuracy']) {
      const figure = textOf(noisy, name);
      assert.deepEqual([figure?.text, figure?.is_difference], ['no difference', false]);
      assert.ok(
        figure && figure.low! <= figure.was! && figure.was! <= figure.high!,
        'the interval holds what it was',
      );
    }
    assert.equal(textOf(DECIDED.shown, 'speed')?.text, '2.00 × as fast');
    const speed = textOf(DECIDED.within, 'speed');
    assert.deepEqual([speed?.text, speed?.is_difference, speed?.value], ['no difference', false, 10 / 9.9]);
    assert.match(
      DECIDED.within.verdict.warnings.find(({ code }) => code === 'no_speedup')?.text ?? '',
      /no difference/,
    );
  });
});

describe('what to do next', () => {
  test('is something that the service takes', () => {
    for (const [name, { decision, recipe }] of Object.entries(EVERY)) {
      assert.ok(decision.next.length > 0, name);
      for (const { text, recipe: change, request } of decision.next) {
        assert.match(text, /[.:]$/);
        if (change) {
          const { beta: _, ...rest } = recipe;
          const { later_setting: __, ...asked } = rest as Record<string, unknown>;
          const whole = {
            ...asked,
            ...('beta' in recipe && !('target' in change) ? { beta: recipe.beta } : {}),
            ...change,
            criterion: 'magnitude',
            include: [],
            exclude: [],
            granularity: 'weight',
            scope: 'layer',
            round_to: undefined,
          };
          assert.ok(recipeSchema.safeParse(whole).success, `${name}: ${JSON.stringify(change)}`);
        }
        if (request) assert.match(request, /^(GET|POST) \/v1\//);
      }
    }
  });
});

describe('a snapshot', () => {
  const screenOf = ({ decision }: Report) => decisionMarkdown(decision, null).split('\n');

  test('of a dead model: nothing of it looks calm', () => {
    assert.deepEqual(screenOf(DECIDED.dead), [
      '**✕ Unsafe.** The model is dead: it predicts the same for all 1,000 samples; 99.8 % is gone.',
      '',
      '|  | Now | Interval | Before |',
      '| --- | --- | --- | --- |',
      '| Download | 400 bytes | compressed | was 40.0 kB |',
      '| Weights left | 20 | 99.8 % are zero | was 10,000 |',
      '| Loss | +370.0 % | ± 4.0 % | 2.350, was 0.5000 |',
      '| Accuracy | 12.00 % | ± 2.00 points | was 90.00 % |',
      '| Speed | no difference | ± 3.0 % noise | 9.9 ms, was 10 ms |',
      '',
      '**Next:**',
      '',
      '1. Remove less: bound what it may cost, and keep a part of every layer: `{"target":{"max_loss_increase":0.01},"min_density":0.05}` `POST /v1/jobs`',
    ]);
    const page = renderReport(DECIDED.dead);
    assert.match(page, /<div class="decision bad void">/);
  });

  test('of one with nothing gained', () => {
    assert.deepEqual(screenOf(DECIDED.nothing), [
      '**! Nothing gained.** Keep the dense model: nothing gets smaller or faster; no difference in loss and accuracy, measured on 1,000 samples.',
      '',
      '|  | Now | Interval | Before |',
      '| --- | --- | --- | --- |',
      '| Download | no difference | compressed | 40.0 kB, was 40.0 kB |',
      '| Weights left | no difference | 0.0 % are zero | was 10,000 |',
      '| Loss | no difference | ± 0.8 % | 0.5000, was 0.5000 |',
      '| Accuracy | no difference | ± 0.20 points | 90.00 %, was 90.00 % |',
      '| Speed | no difference | ± 3.0 % noise | 9.9 ms, was 10 ms |',
      '',
      '**Next:**',
      '',
      '1. Remove more, by a smaller beta: `{"beta":0.5}` `POST /v1/jobs`',
    ]);
  });

  test('of one without labels', () => {
    assert.deepEqual(screenOf(DECIDED.unlabelled), [
      '**· Measured, not promised.** Yours to judge, no limit was set: 2.00 × smaller compressed; 96.0 % of the predictions stay, measured on 1,000 samples.',
      '',
      '|  | Now | Interval | Before |',
      '| --- | --- | --- | --- |',
      '| Download | 20.0 kB | compressed | was 40.0 kB |',
      '| Weights left | 5,000 | 50.0 % are zero | was 10,000 |',
      '| Outputs move | 12.5 % | ± 1.0 % | relative L2; no labels |',
      '| Same predictions | 96.0 % | ± 2.00 points | as the dense model; no labels |',
      '| Speed | not known | zeros in place bring none | was not measured |',
      '',
      '**Next:**',
      '',
      '1. Ship it only if you can afford what it loses: `GET /v1/jobs/{id}/artifacts/net.onnx`',
      '2. To be held to a limit, set one: `{"target":{"max_disagreement":0.01}}` `POST /v1/jobs`',
    ]);
  });
});

test('page and Markdown tell the same decision', () => {
  for (const [name, report] of Object.entries(EVERY)) {
    const [screen, text] = [firstScreenOf(report), renderReportMarkdown(report)];
    const { sentence, badge, figures } = report.decision;
    for (const part of [sentence, badge, ...figures.map((figure) => figure.text)]) {
      assert.ok(screen.includes(part.replace(/\s+/g, ' ')), `${name}: the page lacks "${part}"`);
      assert.ok(text.includes(part), `${name}: the Markdown lacks "${part}"`);
    }
  }
});
