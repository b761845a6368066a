import type { ModelTensor } from '../formats/model.ts';
import type { Family, Site, Structure } from '../structure/families.ts';
import type { CriterionContext } from './context.ts';

/** Figures of a stored tensor's positions along an axis. */
export type PositionFigures = (tensor: ModelTensor, axis: number) => Promise<Float64Array>;

/**
 * For every structure the sum, over `sitesOf` it and their positions, of figures that are read once for every tensor and axis.
 */
export async function sumOverSites(
  families: readonly Family[],
  sitesOf: (structure: Structure) => readonly Site[],
  figuresOf: PositionFigures,
  { model: { inventory } }: Pick<CriterionContext, 'model'>,
): Promise<Float64Array[]> {
  const tensors = new Map(inventory.tensors.map((tensor) => [tensor.name, tensor]));
  const known = new Map<string, Float64Array>();
  for (const { tensor, axis } of families.flatMap(({ structures }) => structures.flatMap(sitesOf))) {
    const key = keyOf(tensor, axis);
    const stored = tensors.get(tensor);
    if (stored && !known.has(key)) known.set(key, await figuresOf(stored, axis));
  }
  return families.map(({ structures }) =>
    Float64Array.from(structures, (structure) => {
      let sum = 0;
      for (const { tensor, axis, positions } of sitesOf(structure)) {
        const figures = known.get(keyOf(tensor, axis));
        for (const position of positions) sum += figures?.[position] ?? 0;
      }
      return sum;
    }),
  );
}

const keyOf = (tensor: string, axis: number) => `${axis} ${tensor}`;
