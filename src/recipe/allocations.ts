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
