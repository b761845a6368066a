import type { DecisionFigure } from './decision-schema.ts';
import type { Report } from './report.ts';
import type { WarningCode } from './warning-codes.ts';

/** Parts of a report that a warning may stand in. */
export type Place = 'cost' | 'sizes' | 'layers' | 'repair' | 'method';

type Warning = Report['verdict']['warnings'][number];

/** What a warning concerns. */
const PLACES: Readonly<Record<WarningCode, Place>> = {
  partly_reached: 'layers',
  doubtful_data: 'cost',
  non_finite_loss: 'cost',
  beta_1_harmful: 'cost',
  harmful: 'cost',
  target_not_met: 'cost',
  variance_lost: 'cost',
  uniform_better: 'cost',
  evaluation_too_small: 'cost',
  repair_not_kept: 'repair',
  input_not_used: 'method',
  inputs_unreached: 'method',
  not_evaluated: 'cost',
  heavy_tailed_scores: 'method',
  uniform_scores: 'method',
  layer_emptied: 'layers',
  low_density: 'layers',
  all_zero_tensor: 'layers',
  all_zero_rows: 'layers',
  min_density_applied: 'layers',
  counts_raised: 'layers',
  families_pooled: 'layers',
  nothing_removed: 'layers',
  not_smaller: 'sizes',
  no_speedup: 'sizes',
  not_faster: 'sizes',
};

const OF_FIGURES: Readonly<Record<DecisionFigure['name'], readonly WarningCode[]>> = {
  download: ['not_smaller'],
  disk: ['not_smaller'],
  parameters: ['partly_reached', 'not_smaller', 'nothing_removed'],
  weights: ['partly_reached', 'layer_emptied', 'low_density', 'nothing_removed'],
  loss: [
    'doubtful_data',
    'non_finite_loss',
    'beta_1_harmful',
    'harmful',
    'evaluation_too_small',
    'uniform_better',
    'not_evaluated',
  ],
  drift: ['doubtful_data', 'beta_1_harmful', 'harmful', 'uniform_better'],
  accuracy: ['beta_1_harmful', 'harmful'],
  agreement: ['beta_1_harmful', 'harmful'],
  speed: ['no_speedup', 'not_faster'],
};

/** Those that belong beside one part of a report, the gravest first. */
export function warningsAbout({ verdict }: Pick<Report, 'verdict'>, place: Place): Warning[] {
  return verdict.warnings.filter(({ code }) => PLACES[code] === place);
}

/** The kinds of warnings that bear upon a figure, and the place of the first. */
export function warningsOfFigure(
  { verdict }: Pick<Report, 'verdict'>,
  { name }: Pick<DecisionFigure, 'name'>,
): { readonly codes: readonly WarningCode[]; readonly place: Place } | null {
  const codes = OF_FIGURES[name].filter((code) => verdict.warnings.some((warning) => warning.code === code));
  return codes.length === 0 ? null : { codes, place: PLACES[codes[0]] };
}

/** `Layer emptied`. */
export const titleOfWarning = (code: WarningCode): string =>
  code.charAt(0).toUpperCase() + code.slice(1).replaceAll('_', ' ');
