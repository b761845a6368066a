import { targetOf } from '../recipe/target.ts';
import type { SearchFacts } from './search-report.ts';

/** A model of the front, relative to the dense one. */
export interface FrontPoint {
  readonly amount: number;
  readonly cost: number;
  readonly isWithin: boolean;
  readonly isBest: boolean;
}

interface Front {
  /** By ascending amount. */
  readonly points: readonly FrontPoint[];
  /** Of the cost, where the promise bounds that. */
  readonly limit: number | null;
  /** What they are of, for axes. */
  readonly amount: string;
  readonly cost: string;
}

type Tried = SearchFacts['front'][number];

/** What is left of the model, by the aim, against what that costs; null where nothing was measured of both. */
export function frontOf({ dense, front, best, aim, target }: SearchFacts): Front | null {
  if (dense === null || front.length === 0) return null;
  const hasLoss = dense.loss !== null && dense.loss > 0;
  const bound = target && targetOf({ target });
  const isOfAccuracy = bound?.name === 'max_accuracy_drop' && dense.accuracy !== null;
  const costOf = ({ loss, accuracy, top1_agreement = null, relative_l2 = null }: Tried): number | null => {
    if (isOfAccuracy) return accuracy === null ? null : (dense.accuracy ?? 0) - accuracy;
    if (hasLoss) return loss === null ? null : loss / (dense.loss ?? 1) - 1;
    return top1_agreement === null ? relative_l2 : 1 - top1_agreement;
  };
  const isOfSpeed = aim === 'speed' && front.every(({ speedup }) => speedup !== null);
  const amountOf = ({ speedup, parameters, compressed_bytes }: Tried): number => {
    if (isOfSpeed) return 1 / (speedup ?? 1);
    return aim === 'parameters' ? parameters / dense.parameters : compressed_bytes / dense.compressed_bytes;
  };
  const points = front
    .flatMap((tried) => {
      const cost = costOf(tried);
      const isBest = best !== null && isSame(best.recipe, tried.recipe);
      return cost === null ? [] : [{ amount: amountOf(tried), cost, isWithin: tried.within, isBest }];
    })
    .sort((a, b) => a.amount - b.amount);
  if (points.length === 0) return null;
  const hasAgreement = front.some(({ top1_agreement = null }) => top1_agreement !== null);
  const isBounded =
    isOfAccuracy ||
    (hasLoss
      ? bound?.name === 'max_loss_increase'
      : bound?.name === (hasAgreement ? 'max_disagreement' : 'max_relative_l2'));
  return {
    points,
    limit: bound && isBounded ? bound.limit : null,
    amount: isOfSpeed ? 'time of a batch' : aim === 'parameters' ? 'parameters left' : 'download left',
    cost: isOfAccuracy
      ? 'Accuracy lost'
      : hasLoss
        ? 'Loss increase'
        : hasAgreement
          ? 'Predictions that change'
          : 'Drift',
  };
}

function isSame(a: Tried['recipe'], b: Tried['recipe']): boolean {
  const of = ({ criterion, granularity, scope, repair, beta }: Tried['recipe']) =>
    JSON.stringify([criterion, granularity, scope, repair, beta]);
  return of(a) === of(b);
}
