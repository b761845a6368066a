import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { renderReport } from '../../src/report/html/page.ts';
import type { SpeedTargetFigures } from '../../src/report/speed-figures.ts';
import {
  describeMissedSpeed,
  describeSpeedReached,
  describeSpeedRule,
} from '../../src/report/speed-words.ts';
import { SAMPLE_REPORTS } from './sample-report.ts';

const FASTER: SpeedTargetFigures = {
  ...{ name: 'min_speedup', limit: 2, reached: 2.1, low: 2.05, high: 2.16, met: true },
  ...{ beta: 0.5, largest: 0.5, rounds: 201, batch_size: 64, threads: 1, execution_provider: 'cpu' },
  ...{ other_cores: 0.01, alone: true },
  evaluations: [{ beta: 0.5, sparsity: 0.5, reached: 2.2, low: 2.1, high: 2.3 }],
};
const QUICK: SpeedTargetFigures = {
  ...FASTER,
  ...{ name: 'max_latency_ms', limit: 5, reached: 4.9, low: 4.8, high: 5.1, met: false },
  ...{ other_cores: 1.5, alone: false, batch_size: 1, threads: 2 },
};

describe('a target of speed in words', () => {
  test('says what was measured, of what, and what else computed', () => {
    assert.equal(
      describeSpeedReached(FASTER),
      '2.1 x as fast as the dense model, round by round (95 % interval 2.05 to 2.16, 201 runs of a batch of 64, 1 thread, cpu; nothing else computed meanwhile)',
    );
    assert.equal(
      describeSpeedReached(QUICK),
      '4.9 ms for a batch of 1 (95 % interval 4.8 to 5.1, 201 runs, 2 threads, cpu; meanwhile something else took 1.5 CPU cores)',
    );
    assert.match(
      describeSpeedReached({ ...QUICK, other_cores: null }),
      /whether anything else computed is not known\)$/,
    );
  });

  test('says how the beta was chosen, and why a target is missed', () => {
    assert.equal(
      describeSpeedRule(FASTER),
      'EMP at beta 0.5, the largest of 1 tried that the search measured to be 2 x as fast as the dense model or faster,',
    );
    assert.match(
      describeSpeedRule({ ...QUICK, largest: null }),
      /^The search measured no beta of 1 to take 5 ms or less for a batch of 1; EMP at beta 0\.5, the smallest,$/,
    );
    assert.equal(describeMissedSpeed(FASTER), null);
    const missed = (changed: Partial<SpeedTargetFigures>) =>
      describeMissedSpeed({ ...QUICK, ...changed }) ?? '';
    assert.match(missed({}), /the median is, the whole interval is not, for timings vary/);
    assert.match(missed({ reached: 6, high: 7 }), /it was when it was searched, for timings vary/);
    assert.match(missed({ reached: 6, high: 7, largest: null }), /no beta that was tried is fast enough/);
    assert.match(missed({ largest: 0.4 }), /fast enough is 0\.4, and the target of quality takes 0\.5/);
  });

  test('stands on the page', () => {
    const { channels } = SAMPLE_REPORTS;
    const { beta: _, ...recipe } = channels.recipe;
    const { evaluation } = channels;
    assert.ok(evaluation);
    const page = renderReport({
      ...channels,
      recipe: { ...recipe, target: { min_speedup: 2 } },
      evaluation: { ...evaluation, speed_target: FASTER },
    });
    assert.match(
      page.replaceAll('\u00a0', ' '),
      /the largest beta whose model the search measured to be 2 x as fast as the dense model or faster: beta 0\.5, of 1 tried; it is measured 2\.1 x as fast .*, which is within the limit/,
    );
  });
});
