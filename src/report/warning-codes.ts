import { z } from 'zod';

/** Every warning that a verdict may hold. Clients rely on these names. */
export const WARNING_CODES = {
  partly_reached:
    'At least 1 % of the parameters lie in matrices that the job could not reach: what it says of the rest is not of the whole model.',
  doubtful_data:
    'The evaluation data do not look like the data that the model was made for, or repeat each other or the calibration data; or onnxruntime is known to compute the model wrongly: what was measured may mean nothing.',
  non_finite_loss: 'The loss of the pruned model is NaN or infinite.',
  beta_1_harmful:
    "EMP's own answer, beta 1, was measured: accuracy more than 1 point lower, loss more than 10 % higher (both by more than two standard errors where these are known), or, without labels, under 90 % of the predictions the same.",
  harmful: 'The same of a model that was pruned by another beta or by a budget.',
  target_not_met:
    'The figures, of samples that no choice saw, are not within `target`, or do not show it with its confidence; or the model is larger than it allows.',
  variance_lost:
    'The outputs of the pruned model explain under half of the variance of the dense outputs over samples (R2), or no longer vary: beside a large mean relative L2 does not show it.',
  uniform_better:
    'The same total sparsity spread evenly measures better: loss lower by more than 0.1 % and two standard errors, or, without labels, more than 0.1 points more top-1 predictions the same.',
  evaluation_too_small:
    'The measured change is smaller than two standard errors, and these are larger than what `target` allows (without one: 1 % of the loss, 1 point of accuracy).',
  repair_not_kept:
    'A repair did not help, or there was nothing that it could repair: the model is without it.',
  input_not_used: 'Scores or calibration data came that the recipe has no use for.',
  inputs_unreached:
    'No calibration sample reached some of a tensor, as an expert that was never chosen: it is scored as if it got what the others get on average.',
  not_evaluated: 'There was no evaluation data.',
  heavy_tailed_scores: 'N_eff is under 10 % of N: a few scores hold most of the mass.',
  uniform_scores: 'N_eff is above 95 % of N: these scores hardly tell what can go.',
  layer_emptied: 'A tensor keeps none of its weights.',
  low_density: 'A tensor keeps under 5 % of its weights.',
  all_zero_tensor: 'All scores of a tensor are zero.',
  all_zero_rows: 'A tensor has rows whose scores are all zero, which are left as they are.',
  min_density_applied: '`min_density` keeps more than the threshold would.',
  counts_raised:
    'Structures: `min_density`, or that one of them has to stay, keeps more than the count would.',
  families_pooled: 'Structures: families of fewer than 8 were decided on together, with scope layer.',
  nothing_removed: 'Every weight, or structure, is kept.',
  not_smaller:
    'Structures are gone, and the files of the model are no smaller: what removal adds takes more.',
  no_speedup: 'The model has more zeros and is not faster for it.',
  not_faster:
    "Structures are gone, and the smaller model was measured to be no faster at onnxruntime's default optimization level.",
} as const;

export type WarningCode = keyof typeof WARNING_CODES;

const codes = Object.keys(WARNING_CODES) as [WarningCode, ...WarningCode[]];
const meanings = codes.map((code) => `\`${code}\`: ${WARNING_CODES[code]}`);

export const warningCodeSchema = z.enum(codes).describe(meanings.join(' '));
