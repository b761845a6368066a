import type { Family } from '../../structure/families.ts';

/**
 * How many structures of each family make a multiple of `roundTo`. Of channels it is the channels that are counted, along every axis of a weight that shrinks: where a
 * structure holds eight of them, as a group under a GroupNormalization may, any number of structures is a multiple of 8.
 */
export function roundingSteps(families: readonly Family[], roundTo: number): number[] {
  const crossed = crossedAxes(families);
  return families.map(({ kind, structures: [{ producers, consumers }] }) => {
    if (kind !== 'channel') return roundTo;
    const steps = [...producers, ...consumers].map(({ tensor, axis, positions }) =>
      crossed.has(placeOf(tensor, axis)) ? roundTo : roundTo / gcd(roundTo, positions.length),
    );
    return steps.reduce((multiple, step) => (multiple / gcd(multiple, step)) * step, 1);
  });
}

/** Axes of which a position goes with structures of several families, as with the groups of a convolution and the places within them: what one holds the others may take. */
function crossedAxes(families: readonly Family[]): ReadonlySet<string> {
  const crossed = new Set<string>();
  const owners = new Map<string, Map<number, Family>>();
  for (const family of families) {
    for (const { tensor, axis, positions } of family.structures.flatMap(({ sites }) => sites)) {
      const place = placeOf(tensor, axis);
      const own = owners.get(place) ?? new Map<number, Family>();
      owners.set(place, own);
      for (const position of positions) {
        if ((own.get(position) ?? family) !== family) crossed.add(place);
        own.set(position, family);
      }
    }
  }
  return crossed;
}

function placeOf(tensor: string, axis: number): string {
  return `${axis} ${tensor}`;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
