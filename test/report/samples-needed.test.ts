import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { samplesGiven, samplesNeeded } from '../../src/report/samples-needed.ts';
import { decided } from './decided-reports.ts';
import { labeled, search } from './verdict-facts.ts';

/** 250 samples of 500, a drop of one point allowed, an error of 0.8. */
const promised = (seed: number | null, p_value = 0.25) => {
  const found = search({ max_accuracy_drop: 0.01 }, true);
  return labeled(
    { accuracy: 0.9, accuracy_drop_standard_error: 0.008 },
    {
      search: { ...found, n_samples: 250, seed, promise: { ...found.promise, n_needed: 299, p_value } },
      n_samples: 250,
    },
  );
};

const nextOf = (evaluation: ReturnType<typeof promised>) => decided({ evaluation }).decision.next[1];

describe('the samples that a promise takes', () => {
  test('are counted with both halves, where they are halved', () => {
    assert.equal(samplesNeeded(promised(0))?.atLeast, 2 * 299);
    assert.equal(samplesNeeded(promised(null))?.atLeast, 299);
    assert.deepEqual([samplesGiven(promised(0)), samplesGiven(promised(null))], [500, 250]);
  });

  test('are the same in warning and advice', () => {
    const { verdict, decision } = decided({ evaluation: promised(0) });
    const { likely } = samplesNeeded(promised(0)) ?? assert.fail();
    // 2.4 points at three errors are to be one.
    assert.equal(likely, 2900);
    const warned = verdict.warnings.find(({ code }) => code === 'evaluation_too_small')?.text ?? '';
    assert.match(warned, /About 2,900 evaluation samples in all would tell a change of 1\.00 points\.$/);
    assert.match(
      decision.next[1].text,
      /give about 2,900 evaluation samples \(fewer than 598 are refused\) and ask for confidence:$/,
    );
  });

  test('that came are enough where the test passes already', () => {
    const { text, request } = nextOf(promised(0, 0.04));
    assert.deepEqual(
      [text, request],
      ['This is an estimate. To have it shown, ask for confidence:', 'POST /v1/jobs'],
    );
  });

  test('are none where no number can show the limit', () => {
    const evaluation = promised(0);
    const { search: found } = evaluation;
    assert.ok(found);
    const impossible = { ...found, promise: { ...found.promise, n_needed: null } };
    const { text, recipe } = nextOf({ ...evaluation, search: impossible });
    assert.match(text, /no number of samples can show this limit/);
    assert.equal(recipe, null);
  });
});
