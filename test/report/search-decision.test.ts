import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decisionSchema } from '../../src/report/decision-schema.ts';
import { renderSearchPage } from '../../src/report/html/search-page.ts';
import { searchDecision } from '../../src/report/search-decision.ts';
import { frontOf } from '../../src/report/search-front.ts';
import { renderSearchMarkdown } from '../../src/report/search-markdown.ts';
import { SEARCHES } from './search-facts.ts';

describe('a search', () => {
  for (const [name, status] of [
    ['found', 'within'],
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
