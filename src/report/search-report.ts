import type { Target } from '../recipe/target.ts';
import { describeTarget } from './cost.ts';
import {
  describeMetricLimit,
  describeUntried,
  isNothingFaster,
  type MetricLimit,
  NOTHING_FASTER,
  type Untried,
} from './search-outcomes.ts';
import type { Summary } from './summary.ts';
import { accuracy, bytes, count, number, percent, times } from './wording.ts';

type Recipe = Readonly<Record<string, unknown>>;

/** What a search came to, as its report tells it. */
export interface SearchFacts {
  readonly id: string;
  readonly status: string;
  /** Null where the metric is the client's own. */
  readonly target: Target | null;
  /** That metric's limit. */
  readonly external: MetricLimit | null;
  readonly aim: string;
  /** Why it failed; null where it did not. */
  readonly error: string | null;
  readonly dense: SearchPoint | null;
  /** What no other candidate beats both in size and in cost, the smallest first. */
  readonly front: readonly (SearchPoint & {
    readonly recipe: Recipe;
    readonly within: boolean;
    readonly speedup: number | null;
    /** Whether that is beyond its noise; null where it is not known. */
    readonly speedup_is_difference: boolean | null;
    /** Absent or null where they were not measured. */
    readonly top1_agreement?: number | null;
    readonly relative_l2?: number | null;
  })[];
  readonly nCandidates: number;
  readonly best: {
    readonly recipe: Recipe;
    readonly job: string;
    readonly met: boolean | null;
    /** Better models that missed the promise on the samples that no candidate saw. */
    readonly nMissed: number;
    readonly summary: BestSummary | null;
  } | null;
  /** What its limits left untried; null where nothing was. */
  readonly untried: Untried | null;
  readonly lines: readonly {
    readonly recipe: Recipe;
    readonly status: string;
    readonly error: string | null;
  }[];
  readonly leftOut: readonly { readonly recipe: Recipe; readonly reason: string }[];
  readonly doubts: readonly string[];
}

/** Of a summary; one of an earlier version may lack some. */
export type BestSummary = Pick<Summary, 'n' | 'n_keep' | 'sparsity'> & {
  readonly [name in Exclude<
    keyof Summary,
    'n' | 'n_keep' | 'sparsity' | 'n_eff' | 'preserved_mass' | 'preserved_mass_bound'
  >]?: Summary[name] | undefined;
};

interface SearchPoint {
  readonly parameters: number;
  readonly compressed_bytes: number;
  readonly macs: number | null;
  readonly loss: number | null;
  readonly accuracy: number | null;
}

/** A table of texts, under a title. */
export interface TextTable {
  readonly title: string;
  readonly caption: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Whether the last column holds sentences. */
  readonly endsInWords: boolean;
}

const NONE = '-';

/** The answer, in a sentence or two. */
export function searchVerdict(facts: SearchFacts): string {
  const stopped = facts.untried === null ? '' : ` ${describeUntried(facts.untried)}.`;
  const slow = isNothingFaster(facts.aim, facts.best?.summary) ? `${NOTHING_FASTER}. ` : '';
  return `${slow}${outcome(facts)}${stopped}`;
}

/** What may be lost, in words. */
export function promiseOf({ target, external }: Pick<SearchFacts, 'target' | 'external'>): string {
  if (target !== null) return describeTarget(target);
  return `the limit of your metric${external === null ? '' : ` (${describeMetricLimit(external)})`}`;
}

function outcome(facts: SearchFacts): string {
  const { status, target, error, best, nCandidates } = facts;
  const promise = promiseOf(facts);
  if (status === 'failed') return `The search failed: ${error}`;
  if (status === 'canceled') return 'The search was canceled.';
  if (status !== 'succeeded') return `The search goes on; ${count(nCandidates)} models were tried so far.`;
  if (best === null)
    return `None of ${count(nCandidates)} models tried stays within ${promise}. Allow more, or give more samples.`;
  const { pruned_zstd_bytes, dense_zstd_bytes, loss, dense_loss } = best.summary ?? {};
  const size =
    pruned_zstd_bytes != null && dense_zstd_bytes != null
      ? `, compressed ${times(dense_zstd_bytes, pruned_zstd_bytes)} times smaller (${bytes(dense_zstd_bytes)} to ${bytes(pruned_zstd_bytes)})`
      : '';
  const cost = loss != null && dense_loss != null ? `; loss ${number(dense_loss)} to ${number(loss)}` : '';
  const kept =
    target === null
      ? `is the sparsest within ${promise}`
      : best.met
        ? `stays within ${promise} on samples that no candidate saw`
        : `stays within ${promise} where it was searched, and not on samples that no candidate saw`;
  const missed =
    best.nMissed > 0
      ? ` ${best.nMissed === 1 ? 'A better one' : `${count(best.nMissed)} better ones`} missed it there, so these samples were looked at ${count(best.nMissed + 1)} times.`
      : '';
  return `The best model, by ${describeLine(best.recipe)}, ${kept}${size}${cost}.${missed}`;
}

/** What was found, and what was tried. */
export function searchTables({ dense, front, lines, leftOut }: SearchFacts): TextTable[] {
  const left = [
    ...lines.map(({ recipe, status, error }) => [
      describeLine(recipe),
      status.replaceAll('_', ' '),
      error ?? (status === 'not_tried' ? 'the search stopped before' : NONE),
    ]),
    ...leftOut.map(({ recipe, reason }) => [describeLine(recipe), 'left out', reason]),
  ];
  return [
    {
      title: 'The front',
      caption: 'Nothing else that was tried is both smaller and better',
      endsInWords: false,
      head: [
        'recipe',
        'beta',
        'within',
        'gone',
        'compressed',
        'parameters',
        'MACs',
        'speed',
        'loss',
        'accuracy',
      ],
      rows: [
        ...front.map(({ recipe, within, speedup, speedup_is_difference, ...point }) => [
          describeLine(recipe),
          typeof recipe.beta === 'number' ? number(recipe.beta) : NONE,
          within ? 'yes' : 'no',
          dense ? percent(1 - point.parameters / dense.parameters) : NONE,
          ...figuresOf(point, speedup, speedup_is_difference),
        ]),
        ...(dense ? [['the model itself', NONE, 'yes', percent(0), ...figuresOf(dense, null, null)]] : []),
      ],
    },
    {
      title: 'The lines',
      caption: 'Those that were tried, and those that were not',
      endsInWords: true,
      head: ['line', 'job', 'why not'],
      rows: left,
    },
  ];
}

/** A recipe without its amount. */
function describeLine({ criterion, granularity, scope, repair }: Recipe): string {
  const repairs = Array.isArray(repair) && repair.length > 0 ? `, ${repair.join(' + ')}` : '';
  return `${criterion} of each ${granularity}, scope ${scope}${repairs}`;
}

function figuresOf(point: SearchPoint, speedup: number | null, isDifference: boolean | null): string[] {
  return [
    bytes(point.compressed_bytes),
    count(point.parameters),
    point.macs === null ? NONE : count(point.macs),
    speedup === null ? NONE : describeSpeedup(speedup, isDifference),
    point.loss === null ? NONE : number(point.loss),
    point.accuracy === null ? NONE : accuracy(point.accuracy),
  ];
}

function describeSpeedup(speedup: number, isDifference: boolean | null): string {
  const measured = `${number(speedup)} times`;
  return isDifference === false ? `no difference (${measured})` : measured;
}
