import { addValues } from '../graph/weights/index-map.ts';
import type { PartActivations } from '../graph/weights/layer-sites.ts';

/** Of every feature of a part of a weight: figures. */
export interface PartStatistics extends Pick<PartActivations, 'features'> {
  readonly figures: readonly Float64Array[];
}

/** Gives `target[i]` the factor of element `start + i`. */
export type Factors = (start: number, target: Float64Array) => void;

/** Makes a factor of figures, of which there are two or three. */
type Formula = (first: number, second: number, third: number) => number;

/** What a formula makes of the figures of every element's features, those of all parts that it belongs to added up. */
export function factorsOf(parts: readonly PartStatistics[], formula: Formula): Factors {
  const [only, ...others] = parts;
  if (others.length === 0) {
    const factors = applied(only.figures, formula);
    return (start, target) => addValues(only.features, factors, start, target.fill(0));
  }
  return (start, target) => {
    const figures = only.figures.map((_, index) => {
      const spread = new Float64Array(target.length);
      for (const part of parts) addValues(part.features, part.figures[index], start, spread);
      return spread;
    });
    target.set(applied(figures, formula));
  };
}

function applied(
  [first, second, third = second]: readonly Float64Array[],
  formula: Formula,
): Float64Array<ArrayBuffer> {
  return Float64Array.from(first, (value, i) => formula(value, second[i], third[i]));
}
