/** The repairs by their names in a recipe. */
export const REPAIR_NAMES = ['batch_norm', 'bias', 'least_squares'] as const;
export type RepairName = (typeof REPAIR_NAMES)[number];
