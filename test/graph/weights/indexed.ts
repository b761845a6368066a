import fc from 'fast-check';

/** An array with shape, holding of each element its index in the stored tensor. */
export interface Indexed {
  readonly shape: readonly number[];
  readonly elements: readonly number[];
}

export const size = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);

export function coordinates(flat: number, shape: readonly number[]): number[] {
  const result = Array(shape.length).fill(0);
  let rest = flat;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    result[axis] = rest % shape[axis];
    rest = Math.floor(rest / shape[axis]);
  }
  return result;
}

export function flatIndex(position: readonly number[], shape: readonly number[]): number {
  return position.reduce((flat, coordinate, axis) => flat * shape[axis] + coordinate, 0);
}

function transpose({ shape, elements }: Indexed, perm: readonly number[]): Indexed {
  const turned = perm.map((axis) => shape[axis]);
  return {
    shape: turned,
    elements: elements.map((_, flat) => {
      const position = coordinates(flat, turned);
      const source: number[] = [];
      for (const [axis, from] of perm.entries()) source[from] = position[axis];
      return elements[flatIndex(source, shape)];
    }),
  };
}

const prime = fc.constantFrom(1, 2, 3, 4, 6);

/** A stored tensor, and steps that lead from it to a layer. */
export const storedTensor = {
  shape: fc.array(prime, { minLength: 1, maxLength: 3 }),
  steps: fc.array(fc.record({ kind: fc.constantFrom('transpose', 'split', 'join'), seed: fc.nat(1000) }), {
    maxLength: 4,
  }),
};

/** The tensor at the layer, and the Transposes on the way with the shapes they give. */
export function follow(shape: readonly number[], steps: readonly { kind: string; seed: number }[]) {
  let value: Indexed = { shape, elements: Array.from({ length: size(shape) }, (_, i) => i) };
  const perms: { perm: number[] | null; shape: readonly number[] }[] = [];
  for (const { kind, seed } of steps) {
    const rank = value.shape.length;
    if (kind === 'transpose') {
      const perm = Array.from({ length: rank }, (_, i) => i).sort(
        (a, b) => (((a + 1) * seed) % 7) - (((b + 1) * seed) % 7),
      );
      value = transpose(value, perm);
      perms.push({ perm, shape: value.shape });
    } else if (kind === 'join' && rank > 1) {
      const axis = seed % (rank - 1);
      const joined = value.shape.toSpliced(axis, 2, value.shape[axis] * value.shape[axis + 1]);
      value = { ...value, shape: joined };
    } else if (kind === 'split' && rank < 6) {
      const axis = seed % rank;
      const factor = value.shape[axis] % 2 === 0 ? 2 : value.shape[axis] % 3 === 0 ? 3 : 1;
      value = { ...value, shape: value.shape.toSpliced(axis, 1, factor, value.shape[axis] / factor) };
    }
  }
  return { value, perms };
}
