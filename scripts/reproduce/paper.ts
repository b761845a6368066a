/**
 * Figures of "Effective Model Pruning" (arXiv 2509.25606), Section 5.4, Tables 3 and 6, as the authors' run logs give them
 * (https://github.com/noMushroomw/Effective-model-pruning, slurm/logs).
 */
export interface ProtocolRow {
  readonly model: string;
  /** Perplexities. */
  readonly dense: number;
  readonly wanda50: number;
  readonly magnitude50: number;
  readonly empWanda: number;
  readonly empMagnitude: number;
  /** Shares of the scored weights that EMP sets to zero. */
  readonly empWandaSparsity: number;
  readonly empMagnitudeSparsity: number;
}

export const PAPER_LLAMA: readonly ProtocolRow[] = [
  {
    model: 'LLaMA 7B',
    dense: 5.679,
    wanda50: 6.644,
    magnitude50: 11.002,
    empWanda: 6.362,
    empWandaSparsity: 0.406,
    empMagnitude: 6.904,
    empMagnitudeSparsity: 0.3666,
  },
  {
    model: 'LLaMA 13B',
    dense: 5.09,
    wanda50: 5.836,
    magnitude50: 11.587,
    empWanda: 5.907,
    empWandaSparsity: 0.4068,
    empMagnitude: 6.666,
    empMagnitudeSparsity: 0.3658,
  },
  {
    model: 'LLaMA 30B',
    dense: 4.101,
    wanda50: 4.89,
    magnitude50: 5.553,
    empWanda: 4.687,
    empWandaSparsity: 0.4018,
    empMagnitude: 4.511,
    empMagnitudeSparsity: 0.366,
  },
  {
    model: 'LLaMA 65B',
    dense: 3.531,
    wanda50: 4.267,
    magnitude50: 4.724,
    empWanda: 4.06,
    empWandaSparsity: 0.3999,
    empMagnitude: 3.865,
    empMagnitudeSparsity: 0.3661,
  },
  {
    model: 'LLaMA-2 7B',
    dense: 5.47,
    wanda50: 6.41,
    magnitude50: 9.712,
    empWanda: 6.513,
    empWandaSparsity: 0.4107,
    empMagnitude: 6.561,
    empMagnitudeSparsity: 0.367,
  },
  {
    model: 'LLaMA-2 13B',
    dense: 4.881,
    wanda50: 5.591,
    magnitude50: 5.85,
    empWanda: 5.468,
    empWandaSparsity: 0.4048,
    empMagnitude: 5.162,
    empMagnitudeSparsity: 0.3662,
  },
  {
    model: 'LLaMA-2 70B',
    dense: 3.319,
    wanda50: 4.026,
    magnitude50: 4.514,
    empWanda: 3.821,
    empWandaSparsity: 0.4032,
    empMagnitude: 3.662,
    empMagnitudeSparsity: 0.3666,
  },
];

/** The sparsity at beta 1 that the paper gives for FC5. Of FC2 and FC5 no other figure of it was to be had. */
export const PAPER_FC5_SPARSITY = 0.2922;
