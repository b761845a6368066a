import type { SpeedTargetFigures } from './speed-figures.ts';
import { count, number } from './wording.ts';

type Asked = Pick<SpeedTargetFigures, 'name' | 'limit' | 'batch_size'>;

/** What a target of speed asks of a model: `to be 2 x as fast as the dense model`. */
export function describeSpeedAsked({ name, limit, batch_size }: Asked): string {
  return name === 'min_speedup'
    ? `to be ${number(limit)} x as fast as the dense model or faster`
    : `to take ${number(limit)} ms or less for a batch of ${count(batch_size)}`;
}

/** What was measured of the model: `2.1 x as fast as the dense model (95 % interval 2.05 to 2.16, ...)`. */
export function describeSpeedReached(speed: SpeedTargetFigures): string {
  const { name, reached, low, high, rounds, batch_size, threads, execution_provider } = speed;
  const unit =
    name === 'min_speedup'
      ? 'x as fast as the dense model, round by round'
      : `ms for a batch of ${count(batch_size)}`;
  const of = name === 'min_speedup' ? ` of a batch of ${count(batch_size)}` : '';
  const computer = `${count(threads)} ${threads === 1 ? 'thread' : 'threads'}, ${execution_provider}`;
  return `${number(reached)} ${unit} (95 % interval ${number(low)} to ${number(high)}, ${count(rounds)} runs${of}, ${computer}; ${describeOthers(speed)})`;
}

function describeOthers({ alone, other_cores }: SpeedTargetFigures): string {
  if (alone) return 'nothing else computed meanwhile';
  return other_cores === null
    ? 'whether anything else computed is not known'
    : `meanwhile something else took ${number(other_cores)} CPU cores`;
}

/** How a beta was chosen by a speed alone. */
export function describeSpeedRule(speed: SpeedTargetFigures): string {
  const [beta, tried] = [number(speed.beta), count(speed.evaluations.length)];
  const asked = describeSpeedAsked(speed);
  if (speed.largest === null)
    return `The search measured no beta of ${tried} ${asked}; EMP at beta ${beta}, the smallest,`;
  return `EMP at beta ${beta}, the largest of ${tried} tried that the search measured ${asked},`;
}

/** What to do about a speed that is missed; null where it is not. */
export function describeMissedSpeed(speed: SpeedTargetFigures): string | null {
  const { name, limit, met, beta, reached, largest } = speed;
  if (met) return null;
  const missed = `The model was asked ${describeSpeedAsked(speed)}, and measured ${describeSpeedReached(speed)}`;
  if (largest !== null && largest < beta)
    return `${missed}: the largest beta that is fast enough is ${number(largest)}, and the target of quality takes ${number(beta)}. One of the two has to give way.`;
  const isInside = name === 'min_speedup' ? reached >= limit : reached <= limit;
  if (largest === null && !isInside)
    return `${missed}, and no beta that was tried is fast enough. Ask for less, or let more of it go: include, min_density and round_to hold back.`;
  const why = isInside ? 'the median is, the whole interval is not' : 'it was when it was searched';
  return `${missed}: ${why}, for timings vary. Run the job while nothing else computes, or ask for less.`;
}
