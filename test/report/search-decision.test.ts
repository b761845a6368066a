import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decisionSchema } from '../../src/report/decision-schema.ts';
import { renderSearchPage } from '../../src/report/html/search-page.ts';
import { searchDecision } from '../../src/report/search-decision.ts';
import { frontOf } from '../../src/report/search-front.ts';
import { renderSearchMarkdown } from '../../src/report/search-markdown.ts';
import { isNothingFaster, untriedOf } from '../../src/report/search-outcomes.ts';
import { searchVerdict } from '../../src/report/search-report.ts';
import { SEARCHES } from './search-facts.ts';

describe('a search', () => {
  for (const [name, status] of [
    ['found', 'within'],
    ['slow', 'nothing_gained'],
    ['stopped', 'within'],
    ['missed', 'not_met'],
    ['nothing', 'not_met'],
    ['running', 'running'],
    ['failed', 'failed'],
    ['external', 'within'],
  ] as const) {
    test(`of "${name}" is ${status}, in at most 30 words, and says what to do`, () => {
      const decision = decisionSchema.parse(searchDecision(SEARCHES[name]));
      assert.equal(decision.status, status);
      assert.ok(decision.sentence.split(/\s+/).length <= 30, decision.sentence);
      assert.ok(decision.next.length > 0);
    });
  }

  test('does not tell to ship what missed the promise', () => {
    for (const name of ['missed', 'nothing'] as const)
      assert.doesNotMatch(searchDecision(SEARCHES[name]).sentence, /^Ship it/);
  });

  test('for speed that found nothing faster says so, and praises nothing else', () => {
    const { badge, sentence, next } = searchDecision(SEARCHES.slow);
    assert.equal(badge, 'Nothing faster was found');
    assert.match(sentence, /^Nothing faster was found: .* 1\.01 × as fast, which is inside its noise/);
    assert.deepEqual(next[0].recipe, { aim: 'size' });
    assert.match(searchVerdict(SEARCHES.slow), /^Nothing faster was found\. /);
    const summary = { ...SEARCHES.found.best?.summary, speedup: 1.4, speedup_is_difference: true };
    assert.equal(isNothingFaster('speed', summary), false);
    assert.equal(isNothingFaster('speed', { ...summary, speedup: 0.8 }), true, 'slower beyond the noise');
    assert.equal(isNothingFaster('size', { ...summary, speedup: 0.8 }), false);
  });

  test('that stopped at a limit says what it left, and how to have that tried', () => {
    const { next } = searchDecision(SEARCHES.stopped);
    const [ship, more] = next;
    assert.match(ship.text, /^Download it/);
    assert.match(more.text, /^It stopped at its limit of 7 models, with 3 recipes untried\./);
    assert.deepEqual(more.recipe, { limits: { max_candidates: 14 } });
    const [page, text] = [renderSearchPage(SEARCHES.stopped), renderSearchMarkdown(SEARCHES.stopped)];
    for (const source of [page, text]) assert.match(source, /with 3 recipes untried[\s\S]*not tried/);
  });

  test('knows which of its limits stopped it', () => {
    const lines = [{ status: 'succeeded' }, { status: 'not_tried' }];
    const limits = { max_candidates: 10, max_seconds: 60 };
    assert.deepEqual(untriedOf('succeeded', { max_candidates: 10 }, 8, lines), {
      ...{ n: 1, limit: 'max_candidates', allowed: 10 },
    });
    assert.equal(untriedOf('succeeded', limits, 4, lines)?.limit, 'max_seconds');
    assert.equal(untriedOf('succeeded', limits, 9, lines)?.limit, 'max_candidates');
    assert.equal(untriedOf('succeeded', limits, 9, [...lines, { status: 'canceled' }])?.n, 2);
    assert.equal(untriedOf('succeeded', limits, 9, [{ status: 'succeeded' }]), null);
    assert.equal(untriedOf('canceled', limits, 4, lines), null);
  });

  test('by a metric of the client tells its limit and direction', () => {
    for (const text of [searchDecision(SEARCHES.external).sentence, searchVerdict(SEARCHES.external)])
      assert.match(
        text,
        /the limit of your metric \(higher is better, at most 0\.01 worse than the original\)/,
      );
  });

  test('has five figures of its best, of which noise is none', () => {
    const { figures } = searchDecision(SEARCHES.found);
    assert.deepEqual(
      figures.map(({ name, text }) => [name, text]),
      [
        ['download', '16.0 kB'],
        ['weights', '4,000'],
        ['loss', '+2.0 %'],
        ['accuracy', 'no difference'],
        ['speed', 'no difference'],
      ],
    );
  });

  test('begins with badge, sentence, figures, front and what is next, in page and Markdown', () => {
    const page = renderSearchPage(SEARCHES.found);
    const text = renderSearchMarkdown(SEARCHES.found);
    for (const source of [page.slice(page.indexOf('<h1>')), text]) {
      const order = [
        'Within the promise',
        'Ship it:',
        'Download',
        'download left',
        'Download it and ship it',
      ];
      const places = order.map((part) => source.indexOf(part));
      assert.ok(!places.includes(-1), `${places}`);
      assert.deepEqual(
        places,
        places.toSorted((a, b) => a - b),
      );
    }
    assert.match(page, /needs labels &lt;b&gt;and/);
    assert.match(text, /needs labels \\<b\\>and/);
  });

  test('draws its front relative to the dense model, with the limit of the promise', () => {
    const front = frontOf(SEARCHES.found);
    assert.deepEqual(
      front?.points.map(({ amount, isBest, isWithin }) => [amount, isBest, isWithin]),
      [
        [0.2, false, false],
        [0.4, true, true],
        [0.75, false, true],
      ],
    );
    assert.equal(front?.limit, 0.05);
    assert.ok(Math.abs((front?.points[1].cost ?? 0) - 0.024) < 1e-9);
    assert.equal(frontOf(SEARCHES.failed), null);
  });
});
