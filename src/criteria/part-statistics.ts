import { addValues } from '../graph/weights/index-map.ts';
import type { PartActivations } from '../graph/weights/layer-sites.ts';

/** Of every feature of a part of a weight: figures. */
export interface PartStatistics extends Pick<PartActivations, 'features'> {
  readonly figures: readonly Float64Array[];
}

/** Gives `target[i]` the factor of element `start + i`. */
export type Factors = (start: number, target: Float64Array) => void;

/** What a formula makes of the figures of every element's features, those of all parts that it belongs to added up. */
export function factorsOf(
  parts: readonly PartStatistics[],
  formula: (...figures: number[]) => number,
): Factors {
  return (start, target) => {
    const figures = parts[0].figures.map((_, index) => {
      const spread = new Float64Array(target.length);
      for (const { features, figures } of parts) addValues(features, figures[index], start, spread);
      return spread;
    });
    for (let i = 0; i < target.length; i++) target[i] = formula(...figures.map((own) => own[i]));
  };
}
