import fc from 'fast-check';

/** Bodies stay below this, so that what an input costs is not merely its transfer. */
export const MAX_BYTES = 4 * 2 ** 20;

/** From 1,000 to 1,000,000, every order of magnitude as often as the others. */
export const size = logarithmic(1e3, 1e6);

export function logarithmic(from: number, to: number): fc.Arbitrary<number> {
  return fc
    .double({ min: Math.log(from), max: Math.log(to), noNaN: true })
    .map((exponent) => Math.round(Math.exp(exponent)));
}

/** How often something may be repeated and how long it may be, so that both together fit a body. */
export const product: fc.Arbitrary<{ count: number; length: number }> = logarithmic(1e4, MAX_BYTES / 2).chain(
  (total) =>
    logarithmic(1, total).map((count) => ({ count, length: Math.max(1, Math.floor(total / count)) })),
);

/** Distinct names of this length, or as much longer as they need to be. */
export function names(count: number, length: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i).padStart(length, 'a'));
}

export function repeat(count: number, unit: string): string {
  return unit.repeat(Math.min(count, Math.floor(MAX_BYTES / unit.length)));
}

/** Ways of having too much of something, by name: in one direction, or in two, number and length. */
export type Shapes<T> = Readonly<Record<string, (count: number, length: number) => T>>;

/** Any of the shapes in any size, with its name. */
export function shaped<T>(shapes: Shapes<T>): fc.Arbitrary<{ readonly name: string; readonly value: T }> {
  return fc.constantFrom(...Object.keys(shapes)).chain((what) => {
    const shape = shapes[what];
    if (shape.length < 2)
      return size.map((count) => ({ name: `${what}: ${count}`, value: shape(count, count) }));
    return sizes.map(({ count, length }) => ({
      name: `${what}: ${count} of ${length}`,
      value: shape(count, length),
    }));
  });
}

/** Many, long, or both. */
const sizes = fc.oneof(
  product,
  size.map((count) => ({ count, length: 8 })),
  size.map((length) => ({ count: 1, length })),
);
