import { elementCount } from '../formats/model.ts';
import { eachPosition, type FittableLayer } from '../repair/fittable-layers.ts';
import type { Site } from '../structure/families.ts';

/**
 * The columns of a layer's matrix that structures are, given by positions along axes of the stored weight; those of all groups are counted through.
 * @param sites of each structure
 * @returns null where a column is not one structure's alone, or only in part, or structures are different numbers of columns
 */
export function matrixColumns(
  layer: FittableLayer,
  shape: readonly number[],
  sites: readonly (readonly Pick<Site, 'axis' | 'positions'>[])[],
): number[][] | null {
  const { groups, units, features } = layer;
  const owners = new Int32Array(groups * features).fill(-1);
  const counts = new Int32Array(groups * features);
  let isApart = true;
  for (const axis of new Set(sites.flat().map((site) => site.axis))) {
    const ownerAt = new Int32Array(shape[axis]).fill(-1);
    for (const [structure, own] of sites.entries())
      for (const { positions } of own.filter((site) => site.axis === axis))
        for (const position of positions) ownerAt[position] = structure;
    const inner = elementCount(shape.slice(axis + 1));
    eachPosition(layer, elementCount(shape), (element, place) => {
      const owner = ownerAt[Math.floor(element / inner) % shape[axis]];
      if (owner < 0) return;
      const column = Math.floor(place / (units * features)) * features + (place % features);
      isApart &&= owners[column] === -1 || owners[column] === owner;
      owners[column] = owner;
      counts[column]++;
    });
  }
  const columns = sites.map((): number[] => []);
  for (const [column, owner] of owners.entries()) if (owner >= 0) columns[owner].push(column);
  const isWhole = owners.every((owner, column) => owner < 0 || counts[column] === units);
  const isEven = columns.every(({ length }) => length === columns[0].length && length > 0);
  return isApart && isWhole && isEven ? columns : null;
}
