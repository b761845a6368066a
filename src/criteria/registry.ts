import { activation } from './activation.ts';
import type { Criterion } from './criterion.ts';
import { magnitude } from './magnitude.ts';
import { uploadedScores } from './uploaded-scores.ts';
import { wanda } from './wanda.ts';

/** The criteria by their names in a recipe. */
export const CRITERIA = {
  magnitude,
  wanda,
  activation,
  scores: uploadedScores,
} as const satisfies Record<string, Criterion>;
