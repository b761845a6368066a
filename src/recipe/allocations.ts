import type { Granularity, Scope } from './terms.ts';

/** What shares among the tensors what scope and amount keep in all. */
export const ALLOCATIONS = {
  scope: { meaning: 'the scope itself' },
  auto: {
    meaning:
      'whichever of three rules leaves the model nearest to the dense one on the calibration data, without labels: scope `layer` at one beta for all tensors, scope `global`, and LAMP',
  },
} as const satisfies Readonly<Record<string, { readonly meaning: string }>>;
export type Allocation = keyof typeof ALLOCATIONS;
export const ALLOCATION_NAMES = Object.keys(ALLOCATIONS) as [Allocation, ...Allocation[]];

/** What `auto` chooses from; of rules that come to the same the first. */
export const SHARING_RULES = {
  global: { meaning: 'one threshold for the scores of all tensors' },
  layer: { meaning: 'the same multiple of its own N_eff for every tensor' },
  lamp: {
    meaning:
      'one threshold for the LAMP scores of all tensors: the square of a score by the sum of the squares that are no smaller in its tensor (Lee et al., arXiv 2010.07611)',
  },
} as const satisfies Readonly<Record<string, { readonly meaning: string }>>;
export type SharingRule = keyof typeof SHARING_RULES;
export const SHARING_RULE_NAMES = Object.keys(SHARING_RULES) as [SharingRule, ...SharingRule[]];

/** What of a recipe is said of how a total is shared. */
interface Sharing {
  readonly allocation: Allocation;
  readonly allocation_moves: number;
  readonly granularity: Granularity;
  readonly scope: Scope;
  readonly budget?: object | undefined;
}

/** Why there is no total that tensors could share, or nothing to be moved. */
export function* sharingContradictions({
  allocation,
  allocation_moves,
  granularity,
  scope,
  budget,
}: Sharing): Generator<[name: 'allocation' | 'allocation_moves', message: string], void> {
  if (allocation === 'scope') {
    if (allocation_moves > 0)
      yield ['allocation_moves', 'goes with allocation auto, of whose best rule it moves weights'];
    return;
  }
  if (granularity !== 'weight')
    yield ['allocation', `auto shares weights among tensors, and the granularity is ${granularity}`];
  if (scope === 'row')
    yield [
      'allocation',
      'auto shares a total among tensors, and scope row decides in every row: give layer or global',
    ];
  if (scope === 'layer' && budget !== undefined)
    yield [
      'allocation',
      'auto shares a total, and a budget of scope layer is a share of every tensor: give scope global',
    ];
}
