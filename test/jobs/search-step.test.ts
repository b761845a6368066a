import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import type { JobFailure } from '../../src/jobs/job.ts';
import { bestOf, foundOf, type LineJob, type LineState, offeredOf } from '../../src/jobs/search-lines.ts';
import { nextStep } from '../../src/jobs/search-step.ts';
import { linesOf, type SearchTerms, searchShape } from '../../src/recipe/lines.ts';

const schema = z.strictObject(searchShape);
const termsOf = (terms: object = {}) => schema.parse({ promise: { max_loss_increase: 0.01 }, ...terms });
const recipe = linesOf(termsOf(), true)[0];

const jobOf = (id: string, rest: Partial<LineJob> = {}): LineJob => ({
  id,
  status: 'succeeded',
  started_at: null,
  finished_at: '2026-01-01T00:00:00.000Z',
  error: null,
  summary: null,
  ...rest,
});
const waiting = (): LineState => ({ recipe, job: null, exploration: null });
const running = (id: string): LineState => ({
  recipe,
  job: jobOf(id, { status: 'running', finished_at: null }),
  exploration: null,
});
const failed = (id: string, errors: JobFailure['errors'] = []): LineState => ({
  recipe,
  job: jobOf(id, { status: 'failed', error: { code: 'invalid_request', detail: `no ${id}`, errors } }),
  exploration: null,
});
const LIMIT = 0.01;
const ERROR = 0.001;
/** A model that is within the promise by so many standard errors. */
const measuredAt = (bytes: number, beta: number, margin: number) => ({
  beta,
  compressed_bytes: bytes,
  is_within: margin >= 0,
  loss: 1 + LIMIT - (margin + 1e-6) * ERROR,
  loss_increase_standard_error: ERROR,
});
function lineOf(id: string, candidates: readonly object[]): LineState {
  return { recipe, job: jobOf(id), exploration: { dense: { loss: 1 }, candidates } as never };
}
function done(id: string, candidates: readonly [bytes: number, isWithin: boolean][]): LineState {
  return lineOf(
    id,
    candidates.map(([bytes, isWithin], i) => measuredAt(bytes, 1 / (i + 1), isWithin ? 5 : -5)),
  );
}

/** Runs a search to its end; `size` is what the best candidate of a line has. */
function runAll(sizes: readonly number[], order: readonly number[], terms = termsOf()) {
  const lines: LineState[] = sizes.map(waiting);
  const told: [line: number, bar: number | null, most: number][] = [];
  for (let turn = 0; turn < 1000; turn++) {
    const step = nextStep(terms, lines, [], false);
    if (step.kind === 'explore')
      for (const { index, terms: line } of step.lines) {
        told.push([index, line.bar, line.most]);
        lines[index] = running(`job ${index}`);
      }
    else if (step.kind === 'wait') {
      const atWork = lines.flatMap(({ job }, i) => (job?.finished_at === null ? i : []));
      const next = atWork.sort((a, b) => order[a] - order[b])[0];
      lines[next] = done(`job ${next}`, [[sizes[next], true]]);
    } else return { step, told, lines };
  }
  return assert.fail('no end');
}

describe('what is to be done next for a search', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 14 });

  test('whatever ends first, the same is tried against the same, and the best is written', () => {
    fc.assert(
      fc.property(sizes, fc.infiniteStream(fc.integer()), (given, random) => {
        const order = given.map(() => random.next().value as number);
        const [one, other] = [runAll(given, order), runAll(given, [...given.keys()])];
        assert.deepEqual(one.told, other.told);
        assert.deepEqual(one.step, other.step);
        assert.equal(one.told.length, given.length);
        const least = given.indexOf(Math.min(...given));
        assert.deepEqual(one.step, { kind: 'write', attempt: 0, line: least, beta: 1 });
      }),
    );
  });

  test('every line is held against the best of the rounds before its own', () => {
    const { told } = runAll([50, 40, 60, 30, 20, 10, 5], [...Array(7).keys()]);
    const bars = told.map(([, bar]) => bar);
    assert.deepEqual(bars.slice(0, 3), [null, 50, 40]);
    assert.ok(bars.slice(3).every((bar) => bar !== null && bar <= 40));
  });

  test('no more is tried than may be', () => {
    for (const max_candidates of [1, 4, 12]) {
      const terms = termsOf({ limits: { max_candidates } });
      const { told, lines } = runAll([9, 8, 7, 6, 5, 4, 3], [...Array(7).keys()], terms);
      const tried = lines.reduce((sum, { exploration }) => sum + (exploration?.candidates.length ?? 0), 0);
      assert.ok(tried <= max_candidates);
      assert.ok(told.every(([, , most]) => most >= 1 && most <= max_candidates));
    }
  });

  test('when time is up what runs is given up, and the best that is known is written', () => {
    const lines = [done('a', [[9, true]]), running('b'), waiting()];
    assert.deepEqual(nextStep(termsOf(), lines, [], true), { kind: 'stop', jobs: ['b'] });
    const stopped = [lines[0], failed('b'), waiting()];
    assert.deepEqual(nextStep(termsOf(), stopped, [], true), { kind: 'write', attempt: 0, line: 0, beta: 1 });
  });

  test('data that are wrong for one line are wrong for all; a line that fails otherwise is passed over', () => {
    for (const input of ['evaluation', 'selection'] as const) {
      const data = failed('a', [{ path: input, message: 'is one-hot', input }]);
      const step = nextStep(termsOf(), [data, waiting()], [], false);
      assert.deepEqual(step, { kind: 'end', status: 'failed', error: data.job?.error });
    }
    assert.equal(nextStep(termsOf(), [failed('a'), waiting()], [], false).kind, 'explore');
    const all = nextStep(termsOf(), [failed('a'), failed('b')], [], false);
    assert.deepEqual(all, { kind: 'end', status: 'failed', error: failed('a').job?.error });
  });

  test('what the first line could not do within the limits of a job, no other is tried for', () => {
    const beyond = (id: string): LineState => ({
      recipe,
      job: jobOf(id, {
        status: 'failed',
        error: { code: 'limit_exceeded', detail: 'more than 3600 s', errors: [] },
      }),
      exploration: null,
    });
    const step = nextStep(termsOf(), [beyond('a'), waiting()], [], false);
    assert.deepEqual(step, { kind: 'end', status: 'failed', error: beyond('a').job?.error });
    const later = nextStep(termsOf(), [done('a', [[9, true]]), beyond('b'), waiting()], [], false);
    assert.equal(later.kind, 'explore');
  });

  test('nothing within the promise is an answer, not a failure', () => {
    const step = nextStep(termsOf(), [done('a', [[9, false]]), failed('b')], [], false);
    assert.deepEqual(step, { kind: 'end', status: 'succeeded', error: null });
  });

  test('the search ends with the job of its best model', () => {
    const lines = [done('a', [[9, true]])];
    const after = (job: LineJob) => nextStep(termsOf(), lines, [job], false);
    assert.equal(after(jobOf('best', { status: 'running', finished_at: null })).kind, 'wait');
    assert.deepEqual(after(jobOf('best')), { kind: 'end', status: 'succeeded', error: null });
    const canceled = after(jobOf('best', { status: 'canceled' }));
    assert.ok(canceled.kind === 'end' && canceled.status === 'failed' && canceled.error?.code === 'canceled');
  });

  test('lines are held to a margin, and against what keeps it, unless there is a confidence', () => {
    const lines = [lineOf('a', [measuredAt(9, 0.9, 1.5), measuredAt(7, 0.7, 0.5)]), waiting()];
    const told = (terms: SearchTerms) => {
      const step = nextStep(terms, lines, [], false);
      return step.kind === 'explore' && [step.lines[0].terms.bar, step.lines[0].terms.margin];
    };
    assert.deepEqual(told(termsOf()), [9, 1]);
    assert.deepEqual(told(termsOf({ promise: { max_loss_increase: LIMIT, confidence: 0.95 } })), [7, 0]);
  });

  test('where the best misses its promise on other samples, the best that is further within is written; four times at most', () => {
    const lines = [
      lineOf('a', [measuredAt(5, 0.5, 0.5), measuredAt(6, 0.6, 1.4), measuredAt(9, 0.9, 4)]),
      lineOf('b', [measuredAt(7, 0.7, 1.9), measuredAt(8, 0.8, 2.1)]),
      lineOf('c', [measuredAt(4, 0.4, 0.2), measuredAt(3, 0.3, -1)]),
    ];
    const missed = jobOf('missed', { summary: { met: false } as never });
    const after = (...written: LineJob[]) => nextStep(termsOf(), lines, written, false);
    assert.deepEqual(
      [after(), after(missed), after(missed, missed), after(missed, missed, missed)],
      [
        { kind: 'write', attempt: 0, line: 2, beta: 0.4 },
        { kind: 'write', attempt: 1, line: 0, beta: 0.5 },
        { kind: 'write', attempt: 2, line: 1, beta: 0.7 },
        { kind: 'write', attempt: 3, line: 0, beta: 0.9 },
      ],
    );
    const end = { kind: 'end', status: 'succeeded', error: null };
    assert.deepEqual(after(missed, missed, missed, missed), end);
    assert.deepEqual(after(missed, jobOf('kept', { summary: { met: true } as never })), end);
    const unsafe = jobOf('unsafe', { summary: { met: true, decision: 'unsafe' } as never });
    assert.deepEqual(after(unsafe), after(missed), 'a model that is dead on other samples misses it too');
    const terms = termsOf({ promise: { max_loss_increase: LIMIT, confidence: 0.95 } });
    assert.deepEqual(nextStep(terms, lines, [missed], false), end);
  });

  test('one that fell gives way to what is within by as much, and to what is best of a line that is not known', () => {
    const lines = [
      lineOf('a', [measuredAt(4, 0.4, 0.2), measuredAt(5, 0.5, 0.6), measuredAt(6, 0.6, 0.8)]),
      lineOf('b', [measuredAt(7, 0.7, 0.95), measuredAt(8, 0.8, 1.05), measuredAt(9, 0.9, 2.5)]),
    ];
    const missedBy = (errors: number) =>
      jobOf('missed', { summary: { met: false, beyond_limit: errors * ERROR } as never });
    const betas = [[], [0.5], [0.3], [0.84], [0.5, 0.2], [0.3, 0.1, 0.01], [0.3, 3], [9]].map((missed) => {
      const step = nextStep(termsOf(), lines, missed.map(missedBy), false);
      return step.kind === 'write' ? step.beta : step.kind;
    });
    assert.deepEqual(betas, [0.4, 0.6, 0.5, 0.7, 0.8, 0.9, 0.8, 0.7]);
  });

  test('where all miss, the one is offered that missed by least and is no danger', () => {
    const written = (beyond_limit: number | null, met: boolean, decision = 'not_met') =>
      jobOf(`${beyond_limit}`, { summary: { met, beyond_limit, decision } as never });
    const [near, far, dead] = [written(0.1, false), written(0.3, false), written(0.01, false, 'unsafe')];
    assert.equal(offeredOf([far, near, dead]), near);
    assert.equal(offeredOf([near, far]), near);
    assert.equal(offeredOf([near, written(-0.1, true)])?.id, '-0.1');
    assert.equal(offeredOf([]), null);
    const unknown = written(null, false);
    assert.equal(offeredOf([near, unknown]), near);
    assert.equal(offeredOf([unknown, jobOf('runs')])?.id, 'runs');
  });

  test('one that is further within already is not written twice', () => {
    const lines = [done('a', [[9, true]])];
    const missed = jobOf('missed', { summary: { met: false } as never });
    assert.equal(nextStep(termsOf(), lines, [missed], false).kind, 'end');
  });

  test('of equal candidates the first line is taken, and of a line the densest', () => {
    const lines = [
      done('a', [
        [9, false],
        [7, true],
        [7, true],
      ]),
      done('b', [[7, true]]),
    ];
    const best = bestOf(foundOf(termsOf(), lines));
    assert.deepEqual([best?.line, best?.candidate], [0, 1]);
  });
});
