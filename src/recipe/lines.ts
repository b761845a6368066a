import { z } from 'zod';
import { CRITERION_NAMES, type Criterion } from './criteria.ts';
import { criteriaOf, type Recipe, recipeSchema } from './recipe.ts';
import { promiseShape, type Target } from './target.ts';
import {
  GRANULARITY_NAMES,
  type Granularity,
  REPAIR_NAMES,
  type RepairName,
  type Scope,
  TARGET_NAMES,
} from './terms.ts';
import { listMeanings } from './words.ts';

interface AimRow {
  readonly meaning: string;
  /** Of a candidate, what is to be as small as possible. */
  readonly lessens: 'compressed_bytes' | 'parameters' | 'relative_latency';
  /** Whether single weights, which leave shapes as they are, can serve it. */
  readonly takesWeights: boolean;
  /** Whether kept counts of channels stay multiples of the blocks that onnxruntime computes in. */
  readonly keepsBlocks: boolean;
}

/** What a search is to bring, within its promise. */
export const AIMS = {
  size: {
    meaning: "the fewest bytes of the model's files compressed by zstd",
    lessens: 'compressed_bytes',
    takesWeights: true,
    keepsBlocks: false,
  },
  speed: {
    meaning:
      'the least time of a batch, measured beside the dense model; only structures are removed, since zeros save onnxruntime nothing',
    lessens: 'relative_latency',
    takesWeights: false,
    keepsBlocks: true,
  },
  parameters: {
    meaning: 'the fewest parameters that are not zero',
    lessens: 'parameters',
    takesWeights: true,
    keepsBlocks: false,
  },
} as const satisfies Readonly<Record<string, AimRow>>;
export type Aim = keyof typeof AIMS;
export const AIM_NAMES = Object.keys(AIMS) as [Aim, ...Aim[]];

export const MAX_CANDIDATES = 1000;
export const DEFAULT_CANDIDATES = 120;
/** The largest limits that a search may have. */
export const MOST = { max_candidates: MAX_CANDIDATES, max_seconds: 7 * 24 * 3600 };

function some<T extends z.ZodEnum>(names: T, what: string) {
  return z
    .array(names)
    .min(1)
    .refine((given) => new Set(given).size === given.length, 'must not name anything twice')
    .optional()
    .describe(what);
}

const externalSchema = z
  .strictObject({
    direction: z.enum(['higher', 'lower']).describe('Which values are better.'),
    max_drop: z
      .number()
      .min(0)
      .max(1e9)
      .describe("By how much a value may be worse than the dense model's, in the metric's own unit."),
  })
  .describe(
    'A metric of your own: the search publishes a candidate and waits, for hours or days, until `POST /v1/searches/{id}/candidates/{k}/metric` says what it is worth; at most 14, candidate 0, the dense model, among them. What comes next follows from the answers.',
  );

const promiseSchema = z
  .strictObject({ ...promiseShape, external: externalSchema.optional() })
  .refine(
    (promise) =>
      [...TARGET_NAMES, 'external' as const].filter((name) => promise[name] !== undefined).length === 1,
    {
      message: `give one of ${TARGET_NAMES.join(', ')}, external`,
    },
  )
  .refine(({ external, confidence }) => external === undefined || confidence === undefined, {
    message: 'goes with a target, whose samples are tested here, not with a metric of your own',
    path: ['confidence'],
  })
  .describe(
    'What the model may cost: a target as in a recipe, and its `confidence`. Candidates are chosen on one half of the evaluation samples, or on the selection data; the best is reported, and its promise tested, on the other half, or on all, which no choice saw. Or `external`, a metric of your own.',
  );

/** What a client says of a search, beside the model and the data. */
export const searchShape = {
  promise: promiseSchema,
  aim: z
    .enum(AIM_NAMES)
    .default('size')
    .describe(`What is to be as small as possible. ${listMeanings(AIMS, ({ meaning }) => meaning)}.`),
  limits: z
    .strictObject({
      max_candidates: z
        .int()
        .min(1)
        .max(MOST.max_candidates)
        .default(DEFAULT_CANDIDATES)
        .describe('Models pruned and measured in all, beside the best.'),
      max_seconds: z
        .int()
        .min(1)
        .max(MOST.max_seconds)
        .optional()
        .describe(
          'After that nothing new is tried, what is being tried is given up, and the best is written.',
        ),
    })
    .prefault({})
    .describe('How much may be tried.'),
  allow: z
    .strictObject({
      // Nobody uploads scores for a search.
      criteria: some(z.enum(CRITERION_NAMES).exclude(['scores']), 'Default: those known to be worth it.'),
      granularities: some(z.enum(GRANULARITY_NAMES), 'Default: all that serve the aim.'),
      repairs: z
        .array(z.enum(REPAIR_NAMES))
        .refine((given) => new Set(given).size === given.length, 'must not name anything twice')
        .optional()
        .describe('Default: all that fit; none where the list is empty.'),
    })
    .prefault({})
    .describe('What may be tried.'),
  seed: recipeSchema.shape.seed.describe(
    'By which the evaluation samples are halved where there are no selection data; the same seed gives the same candidates.',
  ),
};

const searchSchema = z.strictObject(searchShape);
export type SearchTerms = z.output<typeof searchSchema>;
export type ExternalMetric = z.output<typeof externalSchema>;

/** The target that a promise is; null where it is of a metric of the client's own. */
export function targetOfTerms({
  promise: { external, ...target },
}: Pick<SearchTerms, 'promise'>): Target | null {
  return external === undefined ? target : null;
}

/** A recipe without its amount. */
interface Line {
  readonly criterion: Criterion;
  readonly granularity: Granularity;
  readonly scope: Scope;
  /** `cheap`: by a pass or two; `fit`: by least squares too; `masks`: which also chooses what weights are kept. */
  readonly repairs: 'none' | 'cheap' | 'fit' | 'masks';
}

/**
 * What is tried, in this order: the first needs no data and is there at once, the next three win most often on our networks; the others have to be better
 * than what is known by then.
 */
const LINES: readonly Line[] = [
  { criterion: 'magnitude', granularity: 'weight', scope: 'global', repairs: 'none' },
  { criterion: 'magnitude', granularity: 'weight', scope: 'global', repairs: 'cheap' },
  { criterion: 'magnitude', granularity: 'weight', scope: 'global', repairs: 'fit' },
  { criterion: 'obs', granularity: 'channel', scope: 'layer', repairs: 'fit' },
  { criterion: 'magnitude', granularity: 'weight', scope: 'global', repairs: 'masks' },
  { criterion: 'taylor_rms', granularity: 'channel', scope: 'global', repairs: 'fit' },
  { criterion: 'taylor_rms', granularity: 'weight', scope: 'global', repairs: 'masks' },
  { criterion: 'magnitude', granularity: 'weight', scope: 'layer', repairs: 'masks' },
  { criterion: 'wanda', granularity: 'weight', scope: 'row', repairs: 'masks' },
  { criterion: 'kan_node', granularity: 'kan_node', scope: 'global', repairs: 'none' },
  { criterion: 'obs', granularity: 'head', scope: 'layer', repairs: 'fit' },
  { criterion: 'taylor_rms', granularity: 'head', scope: 'global', repairs: 'fit' },
  { criterion: 'variance', granularity: 'channel', scope: 'layer', repairs: 'fit' },
  { criterion: 'l2_norm', granularity: 'channel', scope: 'layer', repairs: 'fit' },
  { criterion: 'l2_norm', granularity: 'head', scope: 'global', repairs: 'fit' },
];

/** Fits come before the statistics that they change. What one makes superfluous of another is measured, and undone. */
const REPAIR_ORDER: readonly RepairName[] = [
  'swaps',
  'least_squares_masks',
  'least_squares',
  'channel_variance',
  'batch_norm',
  'bias',
];
/** Biases are dangerous on deep networks, swaps lose more than fits; only who names them gets them. */
const UNUSUAL: readonly RepairName[] = ['bias', 'swaps'];
const FITS: readonly RepairName[] = ['least_squares_masks', 'least_squares'];

/**
 * The recipes, amounts aside, that a search tries, in order. Whether the model and the data are what each needs is not asked here.
 * @param hasCalibration without it nothing is repaired
 */
export function linesOf(terms: SearchTerms, hasCalibration: boolean): Recipe[] {
  const { aim, allow, seed } = terms;
  const target = targetOfTerms(terms) ?? undefined;
  const granularities = allow.granularities ?? GRANULARITY_NAMES;
  const serves = (granularity: Granularity) => granularity !== 'weight' || AIMS[aim].takesWeights;
  const usual = REPAIR_ORDER.filter((name) => !UNUSUAL.includes(name));
  const allowed = hasCalibration ? (allow.repairs ?? usual) : [];
  const recipes = new Map<string, Recipe>();
  const lines = [...LINES, ...furtherLines(allow.criteria ?? [])];
  // With a metric of the client's own one line is followed: that which wins most often.
  if (target === undefined) lines.sort((a, b) => Number(isFitted(b)) - Number(isFitted(a)));
  for (const { repairs, ...line } of lines) {
    if (!granularities.includes(line.granularity) || !serves(line.granularity)) continue;
    if (allow.criteria && !allow.criteria.some((name) => name === line.criterion)) continue;
    const round_to = AIMS[aim].keepsBlocks || line.granularity === 'weight' ? undefined : 1;
    const repair = repairsOf(repairs, line.granularity, allowed);
    const isDrawn = target !== undefined || repair.length > 0 || line.criterion === 'random';
    const drawnBy = isDrawn ? seed : undefined;
    const recipe = recipeSchema.parse({ ...line, round_to, repair, target, seed: drawnBy });
    recipes.set(JSON.stringify(recipe), recipe);
  }
  return [...recipes.values()];
}

/** Of criteria that a client names, in every granularity of which there is no line above. */
function furtherLines(criteria: readonly Criterion[]): Line[] {
  return criteria.flatMap((criterion) =>
    GRANULARITY_NAMES.filter(
      (granularity) =>
        criteriaOf(granularity).includes(criterion) &&
        !LINES.some((line) => line.criterion === criterion && line.granularity === granularity),
    ).map((granularity) => ({ criterion, granularity, scope: 'global' as const, repairs: 'fit' as const })),
  );
}

function repairsOf(
  amount: Line['repairs'],
  granularity: Granularity,
  allowed: readonly RepairName[],
): RepairName[] {
  if (amount === 'none') return [];
  const fit =
    amount === 'masks' && allowed.includes('least_squares_masks') ? 'least_squares_masks' : 'least_squares';
  const isTaken = (name: RepairName) => {
    if (name === 'swaps') return granularity === 'weight' && fit !== 'least_squares_masks';
    return !FITS.includes(name) || (amount !== 'cheap' && name === fit);
  };
  return REPAIR_ORDER.filter((name) => allowed.includes(name) && isTaken(name));
}

function isFitted({ repairs }: Line): boolean {
  return repairs === 'fit' || repairs === 'masks';
}
