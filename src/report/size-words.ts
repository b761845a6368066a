import { SIZE_TARGETS, type SizeTargetName } from '../recipe/size-targets.ts';
import type { SizeTargetFigures } from './size-figures.ts';
import { bytes, count, number } from './wording.ts';

const amountOf = (name: SizeTargetName, size: number): string =>
  SIZE_TARGETS[name].isOfBytes ? bytes(size) : count(size);

/** What a target of size allows: `10,000 parameters`, `2.50 MB compressed by zstd`. */
export function describeLimit({ name, limit }: SizeTargetFigures): string {
  const { unit } = SIZE_TARGETS[name];
  return [amountOf(name, limit), unit].filter((text) => text !== '').join(' ');
}

/** What the model takes of it. */
export function describeReached(size: SizeTargetFigures): string {
  const own = amountOf(size.name, size.reached);
  return size.met
    ? `${own} of the ${describeLimit(size)} allowed`
    : `${own}, more than the ${describeLimit(size)} allowed`;
}

/** How a beta was chosen by a size alone. */
export function describeSizeRule(size: SizeTargetFigures): string {
  const [beta, tried] = [number(size.beta), size.evaluations.length];
  if (size.largest === null)
    return `No beta of ${tried} tried brings the model to ${describeLimit(size)}; EMP at beta ${beta}, the smallest,`;
  return `EMP at beta ${beta}, the largest of ${tried} tried whose model is within ${describeLimit(size)},`;
}

/** What to do about a size that is missed; null where it is not. */
export function describeMissedSize(size: SizeTargetFigures): string | null {
  const { met, beta, largest } = size;
  if (met) return null;
  const missed = `The model takes ${describeReached(size)}`;
  if (largest === null)
    return `${missed}, and no beta that was tried makes it smaller. Allow more, or let more of it go: include, min_density and round_to hold back.`;
  return largest < beta
    ? `${missed}: the largest beta within that is ${number(largest)}, and the target of quality takes ${number(beta)}. One of the two has to give way.`
    : `${missed}: what was searched was smaller before it was repaired for good. Allow more, or less by as much.`;
}
