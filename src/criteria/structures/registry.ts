import { structureActivation, structureVariance, structureWanda } from './activations.ts';
import { bnGamma } from './bn-gamma.ts';
import { kanNode } from './kan-node.ts';
import { l2Norm } from './l2-norm.ts';
import { randomStructures } from './random.ts';
import type { StructureCriterion } from './structure-criterion.ts';
import { structureTaylorRms } from './taylor-rms.ts';
import { uploadedStructureScores } from './uploaded.ts';

/** The criteria of structures by their names in a recipe. */
export const STRUCTURE_CRITERIA = {
  l2_norm: l2Norm,
  bn_gamma: bnGamma,
  activation: structureActivation,
  wanda: structureWanda,
  variance: structureVariance,
  taylor_rms: structureTaylorRms,
  kan_node: kanNode,
  random: randomStructures,
  scores: uploadedStructureScores,
} as const satisfies Record<string, StructureCriterion>;
