import { MOST } from '../recipe/lines.ts';
import { targetOf } from '../recipe/target.ts';
import type { Decision, DecisionFigure } from './decision-schema.ts';
import { STATUSES, type Status } from './decision-statuses.ts';
import {
  accuracyFigure,
  agreementFigure,
  countFigure,
  driftFigure,
  lossFigure,
  sizeFigure,
  speedFigure,
  unknownFigure,
} from './figure-parts.ts';
import { describeUntried, isNothingFaster, NOTHING_FASTER } from './search-outcomes.ts';
import { promiseOf, type SearchFacts } from './search-report.ts';
import { count, formatNumber, number, percent } from './wording.ts';

type Best = NonNullable<SearchFacts['best']>;

/** From this loss on a change is told relative to it. */
const MAX_SHARE = 100;

/** What a search comes to: whether to ship its best model, what that gains and loses, and what to do next. */
export function searchDecision(facts: SearchFacts): Decision {
  const status = statusOf(facts);
  const { best } = facts;
  return {
    status,
    reasons: [],
    badge: isUnaimed(facts, status) ? NOTHING_FASTER : STATUSES[status].badge,
    sentence: sentenceOf(facts, status),
    figures: best?.summary ? figuresOf(facts, best.summary) : [],
    next: nextOf(facts, status),
  };
}

/** Whether it was to find a faster model, and found none. */
function isUnaimed({ aim, best }: SearchFacts, status: Status): boolean {
  return status === 'nothing_gained' && isNothingFaster(aim, best?.summary);
}

function statusOf({ status, best, target, aim }: SearchFacts): Status {
  if (status === 'failed' || status === 'canceled') return 'failed';
  if (status !== 'succeeded') return 'running';
  if (best === null) return 'not_met';
  if (best.met === false) return best.summary?.decision === 'unsafe' ? 'unsafe' : 'not_met';
  // Of a metric of the client's own the job knows nothing.
  const decision = best.summary?.decision ?? 'within';
  if (isNothingFaster(aim, best.summary) && decision !== 'unsafe') return 'nothing_gained';
  return target === null && decision !== 'unsafe' ? 'within' : decision;
}

function sentenceOf(facts: SearchFacts, decided: Status): string {
  const { status, target, error, best, nCandidates } = facts;
  const tried = `${count(nCandidates)} ${nCandidates === 1 ? 'model' : 'models'}`;
  if (status === 'canceled') return `The search was canceled after ${tried}.`;
  if (decided === 'failed') return `The search failed${error === null ? '' : ', for the reason below'}.`;
  if (decided === 'running') return `The search goes on; ${tried} tried so far.`;
  const promise = promiseOf(facts);
  if (best === null) return `Nothing to ship: none of ${tried} tried stays within ${promise}.`;
  if (isUnaimed(facts, decided)) return slowSentence(best?.summary ?? null, tried);
  if (decided === 'within' && target === null)
    return `Ship it: of ${tried} tried the sparsest within ${promise}, by the figures that you gave.`;
  // What the job of the best says of itself, unless its samples say otherwise.
  if (best.summary?.sentence !== undefined && best.summary.decision === decided) return best.summary.sentence;
  return decided === 'not_met'
    ? `Do not ship it: the best of ${tried} stays within ${promise} where it was searched, not on other samples.`
    : `Of ${tried} tried this is the best.`;
}

function slowSentence(summary: Best['summary'], tried: string): string {
  const { speedup, sparsity = 0 } = summary ?? {};
  const noise = summary?.speedup_is_difference === false ? ', which is inside its noise' : '';
  return `${NOTHING_FASTER}: the best of ${tried} tried is ${(speedup ?? 1).toFixed(2)} × as fast${noise}; ${percent(sparsity)} is gone.`;
}

function figuresOf(facts: SearchFacts, summary: NonNullable<Best['summary']>): DecisionFigure[] {
  const { n, n_keep, sparsity, dense_zstd_bytes, pruned_zstd_bytes } = summary;
  const weights = `${percent(sparsity)} gone`;
  return [
    dense_zstd_bytes === undefined
      ? unknownFigure('download', 'Download', 'an older job')
      : sizeFigure('download', 'Download', pruned_zstd_bytes ?? null, dense_zstd_bytes, 'compressed'),
    countFigure('weights', titleOfUnits(facts), n_keep, n, weights),
    ...qualityOf(summary, facts.target),
    speedOf(summary),
  ];
}

function titleOfUnits({ best }: SearchFacts): string {
  const granularity = String(best?.recipe.granularity ?? 'weight').replaceAll('_', ' ');
  return `${granularity.charAt(0).toUpperCase()}${granularity.slice(1)}s left`;
}

function qualityOf(
  summary: NonNullable<Best['summary']>,
  target: SearchFacts['target'],
): [DecisionFigure, DecisionFigure] {
  const { dense_loss, loss, dense_accuracy, accuracy, relative_l2, top1_agreement } = summary;
  const none = 'not measured';
  if (dense_loss == null) {
    if (relative_l2 == null)
      return [unknownFigure('loss', 'Loss', none), unknownFigure('accuracy', 'Accuracy', none)];
    const agreement =
      top1_agreement == null
        ? unknownFigure('agreement', 'Same predictions', none)
        : agreementFigure({ value: top1_agreement, error: null, nSamples: null });
    return [driftFigure(relative_l2, null), agreement];
  }
  const error = summary.loss_increase_standard_error ?? null;
  const change = Math.max(Math.abs((loss ?? dense_loss) - dense_loss), error ?? 0);
  const show =
    change / dense_loss <= MAX_SHARE ? (amount: number) => percent(amount / dense_loss) : formatNumber;
  return [
    lossFigure(
      'Loss',
      {
        ...{ value: loss ?? null, was: dense_loss, error },
        isPromised: target?.max_loss_increase !== undefined,
      },
      show,
    ),
    dense_accuracy == null || accuracy == null
      ? unknownFigure('accuracy', 'Accuracy', 'the loss has none')
      : accuracyFigure({
          ...{ value: accuracy, was: dense_accuracy },
          error: summary.accuracy_drop_standard_error ?? null,
          nSamples: summary.n_samples ?? null,
          isPromised: target?.max_accuracy_drop !== undefined,
        }),
  ];
}

function speedOf({
  speedup,
  speedup_low,
  speedup_high,
  speedup_is_difference,
}: NonNullable<Best['summary']>): DecisionFigure {
  if (speedup == null || speedup_low == null || speedup_high == null)
    return unknownFigure('speed', 'Speed', 'not timed');
  const isDifference = speedup_is_difference === true;
  const interval = isDifference
    ? `${number(speedup_low)} to ${number(speedup_high)}`
    : 'inside its own noise';
  const before = isDifference ? 'was 1 ×' : `${speedup.toFixed(2)} ×, was 1 ×`;
  return speedFigure({ speedup, low: speedup_low, high: speedup_high }, isDifference, interval, before);
}

function nextOf(facts: SearchFacts, status: Status): Decision['next'] {
  const { untried } = facts;
  const [first, ...others] = nextByStatus(facts, status);
  if (untried === null) return first ? [first, ...others] : [];
  const more = {
    text: `${describeUntried(untried)}. To have them tried, search again with a larger limit:`,
    recipe: { limits: { [untried.limit]: Math.min(2 * untried.allowed, MOST[untried.limit]) } },
    request: 'POST /v1/searches',
  };
  // What to do with a model that was found comes first.
  return status === 'within' || status === 'estimated' ? [first, more, ...others] : [more, first, ...others];
}

function nextByStatus({ id, best, target, aim }: SearchFacts, status: Status): Decision['next'] {
  const step = (
    text: string,
    request: string | null = null,
    recipe: Decision['next'][number]['recipe'] = null,
  ) => ({
    ...{ text, recipe, request },
  });
  const ofBest = best ? [step('Read the report of its job:', `GET /v1/jobs/${best.job}/report`)] : [];
  switch (status) {
    case 'running':
      return [step('Follow it:', `GET /v1/searches/${id}/events`)];
    case 'failed':
      return [step('Put right what it failed for, and search again:', 'POST /v1/searches')];
    case 'nothing_gained':
      return isNothingFaster(aim, best?.summary)
        ? [
            step('Keep the original model, or search for a smaller one:', 'POST /v1/searches', {
              aim: 'size',
            }),
            ...ofBest,
          ]
        : ofBest;
    case 'not_met': {
      const asked = target && targetOf({ target });
      const more = asked
        ? [
            step('Allow more, or give more evaluation samples:', 'POST /v1/searches', {
              promise: { ...target, [asked.name]: 2 * asked.limit },
            }),
          ]
        : [];
      return [...more, ...ofBest];
    }
    case 'estimated':
      return [
        step('Ship it if an estimate will do; its files are listed with it:', `GET /v1/searches/${id}`),
        ...(best
          ? [
              step(
                'Its report says how many samples would make it a promise:',
                `GET /v1/jobs/${best.job}/report`,
              ),
            ]
          : []),
      ];
    case 'within':
      return [
        step('Download it and ship it; its files are listed with it:', `GET /v1/searches/${id}`),
        ...ofBest,
      ];
    default:
      return ofBest;
  }
}
