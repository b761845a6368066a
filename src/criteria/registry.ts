import type { StructureCriterion, WeightCriterion } from '../recipe/criteria.ts';
import type { StructureScorer, WeightScorer } from './context.ts';

/** The code of a criterion of weights: `score` of the file named like its row, with dashes for underscores. */
export function weightScorer(criterion: WeightCriterion): Promise<WeightScorer<WeightCriterion>> {
  return load('weights', criterion);
}

/** Likewise of structures. */
export function structureScorer(criterion: StructureCriterion): Promise<StructureScorer<StructureCriterion>> {
  return load('structures', criterion);
}

async function load(folder: string, criterion: string) {
  const { score } = await import(`./${folder}/${criterion.replaceAll('_', '-')}.ts`);
  return score;
}
