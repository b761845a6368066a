import { medianInterval, medianOf } from '../core/median.ts';
import type { Rounds } from '../runtime/latency.ts';
import type { Evaluation } from './report.ts';
import { SPEED_CONFIDENCE } from './speed-judgement.ts';
import { number, percent } from './wording.ts';

/** Below this ratio of latencies nobody would call a model faster. */
const FASTER = 1.005;

type Speedup = Evaluation['speedups'][number];

/** How fast two models are at one of onnxruntime's graph optimization levels. */
export interface Speed extends Speedup {
  /** Median milliseconds of one batch. */
  readonly dense: number;
  readonly pruned: number;
}

/** What was measured, onnxruntime's default level first. */
export function speedsOf(evaluation: Pick<Evaluation, 'dense' | 'pruned' | 'speedups'> | null): Speed[] {
  if (evaluation === null) return [];
  const { dense, pruned, speedups } = evaluation;
  return speedups.flatMap((speedup) => {
    const latency = speedup.level === 'all' ? 'latency_ms' : 'latency_extended_ms';
    const [denseMs, prunedMs] = [dense[latency], pruned[latency]];
    return denseMs === null || prunedMs === null ? [] : [{ ...speedup, dense: denseMs, pruned: prunedMs }];
  });
}

/** Dense against pruned round by round, and beside it dense against dense: what two sessions of it differ by, or one from round to round, if that is more. */
export function compareRounds(level: Speedup['level'], { dense, pruned, again }: Rounds): Speedup {
  const ratios = dense.map((ms, round) => ms / pruned[round]);
  const [low, high] = medianInterval(ratios, SPEED_CONFIDENCE);
  const itself = medianInterval(
    dense.map((ms, round) => ms / again[round]),
    SPEED_CONFIDENCE,
  );
  const fromRoundToRound = dense.slice(1).map((ms, round) => Math.abs(Math.log(ms / dense[round])));
  const noise = Math.expm1(
    Math.max(medianOf(fromRoundToRound), ...itself.map((ratio) => Math.abs(Math.log(ratio)))),
  );
  return { level, speedup: medianOf(ratios), low, high, noise, rounds: dense.length };
}

/** Whether all of the interval is beyond what the dense model differs from itself by. */
export const isFaster = ({ speedup, low, noise }: Speedup): boolean => speedup >= FASTER && low > 1 + noise;

const isSlower = ({ speedup, high, noise }: Speedup): boolean =>
  speedup <= 1 / FASTER && high < 1 / (1 + noise);

/** Whether it is either. */
export const differsInSpeed = (speed: Speedup): boolean => isFaster(speed) || isSlower(speed);

/** `1.31 x as fast`, or that there is no difference. */
export function describeRatio(speed: Speedup): string {
  if (differsInSpeed(speed)) return `${speed.speedup.toFixed(2)} x as fast`;
  return `no difference: dense against dense varies by ${percent(speed.noise)}`;
}

/** `1.27 to 1.35`. */
export const describeInterval = ({ low, high }: Speedup): string => `${number(low)} to ${number(high)}`;
