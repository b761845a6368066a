import type { Criterion } from './criterion.ts';
import { magnitude } from './magnitude.ts';
import { uploadedScores } from './uploaded-scores.ts';

/** The criteria by their names in a recipe. */
export const CRITERIA = { magnitude, scores: uploadedScores } as const satisfies Record<string, Criterion>;
