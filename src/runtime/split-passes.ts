/**
 * What passes over the samples are made for, in its order: each takes as much as fits, and one item at least, however large.
 * @param mostSize of what one pass takes together, in the unit of `sizeOf`
 */
export function splitPasses<T>(
  items: Iterable<T>,
  sizeOf: (item: T) => number,
  mostSize: number,
  mostItems = Number.POSITIVE_INFINITY,
): T[][] {
  const passes: T[][] = [];
  let size = 0;
  for (const item of items) {
    const own = sizeOf(item);
    const pass = passes.at(-1);
    if (pass && pass.length < mostItems && size + own <= mostSize) {
      pass.push(item);
      size += own;
    } else {
      passes.push([item]);
      size = own;
    }
  }
  return passes;
}
