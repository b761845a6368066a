import { activation } from './activation.ts';
import type { Criterion } from './criterion.ts';
import { magnitude } from './magnitude.ts';
import { random } from './random.ts';
import { saliency, saliencyRms } from './saliency.ts';
import { taylor, taylorRms } from './taylor.ts';
import { uploadedScores } from './uploaded-scores.ts';
import { wanda } from './wanda.ts';

/** The criteria by their names in a recipe. */
export const CRITERIA = {
  magnitude,
  wanda,
  activation,
  taylor,
  saliency,
  taylor_rms: taylorRms,
  saliency_rms: saliencyRms,
  random,
  scores: uploadedScores,
} as const satisfies Record<string, Criterion>;
