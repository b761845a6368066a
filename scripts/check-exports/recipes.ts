import type { Recipe } from '../../src/recipe/recipe.ts';
import type { Granularity } from '../../src/recipe/terms.ts';

const ALL_REPAIRS = ['bias', 'least_squares', 'batch_norm'] as const;

/** One way of pruning a model. */
export interface Trial {
  readonly name: string;
  readonly recipe: Partial<Recipe>;
  readonly data: 'none' | 'calibration' | 'both';
}

const WEIGHTS: readonly Trial[] = [
  { name: 'magnitude', recipe: { criterion: 'magnitude', scope: 'layer' }, data: 'none' },
  { name: 'wanda', recipe: { criterion: 'wanda', scope: 'row' }, data: 'calibration' },
  { name: 'taylor', recipe: { criterion: 'taylor', scope: 'global' }, data: 'calibration' },
  {
    name: 'wanda, repaired',
    recipe: { criterion: 'wanda', scope: 'layer', repair: [...ALL_REPAIRS] },
    data: 'both',
  },
];

/** Scores of random weights are nearly flat, and EMP's own count of them is nearly all. */
const AMOUNT = { scope: 'layer', beta: 0.7 } as const;

const STRUCTURES: readonly Trial[] = [
  { name: 'l2_norm', recipe: { criterion: 'l2_norm', ...AMOUNT }, data: 'none' },
  { name: 'wanda', recipe: { criterion: 'wanda', ...AMOUNT }, data: 'calibration' },
  { name: 'taylor_rms', recipe: { criterion: 'taylor_rms', ...AMOUNT }, data: 'calibration' },
  {
    name: 'variance, repaired',
    recipe: { criterion: 'variance', ...AMOUNT, repair: [...ALL_REPAIRS] },
    data: 'both',
  },
];

/** Every way that is tried of a granularity. */
export function trialsOf(granularity: Granularity): Trial[] {
  if (granularity === 'weight') return [...WEIGHTS];
  return STRUCTURES.map(({ name, recipe, data }) => ({
    name: `${granularity} ${name}`,
    recipe: { ...recipe, granularity, round_to: 1 },
    data,
  }));
}

/** Whether the artifact is the dense model but for what was pruned. */
export function isExact({ recipe: { repair } }: Trial): boolean {
  return repair === undefined;
}
