import { parseEinsum } from '../einsum-equation.ts';
import type { Shape } from './element-moves.ts';
import { createIndexMap } from './index-map.ts';
import { createRoles } from './row-layout.ts';
import { type FeatureAxis, type SlotLayout, unknownLayout } from './slot-layout.ts';

const NOT_PLAIN = 'has an equation in which the input features or output units do not adjoin';

/** A weight of an Einsum: labels of the output are units, the others are summed over. `undefined` for a vector. */
export function einsumLayout(shape: Shape, equation: string, input: number): SlotLayout | undefined {
  if (shape !== null && shape.length < 2) return undefined;
  const { terms, output } = parseEinsum(equation);
  const labels = terms[input] ?? '';
  if (shape?.length !== labels.length || !isPlain(labels) || output === undefined || output.includes('.')) {
    return unknownLayout(null, NOT_PLAIN);
  }
  const isUnit = (label: string) => output.includes(label);
  const roles = createRoles(
    shape,
    [...labels].map((label) => (isUnit(label) ? 'unit' : 'sum')),
  );
  const operand = 1 - input;
  const other = terms[operand] ?? '';
  const summed = [...labels].filter((label) => !isUnit(label));
  const units = [...labels].filter(isUnit);
  if (terms.length !== 2 || units.some((label) => other.includes(label))) {
    return unknownLayout(roles, NOT_PLAIN);
  }
  const sizes = new Map([...labels].map((label, axis) => [label, shape[axis]]));
  const source = featureAxis(summed, other, labels, sizes);
  return {
    roles,
    source: source === null ? NOT_PLAIN : { operand, ...source },
    result: featureAxis(units, output, labels, sizes) ?? NOT_PLAIN,
  };
}

/** The features where `wanted` labels stand side by side in `term`. */
function featureAxis(
  wanted: readonly string[],
  term: string,
  labels: string,
  sizes: ReadonlyMap<string, number>,
): FeatureAxis | null {
  const places = wanted.map((label) => term.indexOf(label));
  const [first, last] = [Math.min(...places), Math.max(...places)];
  const adjoin = wanted.length > 0 && first >= 0 && last - first + 1 === wanted.length;
  if (!adjoin || !isPlain(term.replace(/^\.\.\./, ''))) return null;
  const strides = new Map<string, number>();
  let size = 1;
  for (let place = last; place >= first; place--) {
    strides.set(term[place], size);
    size *= sizes.get(term[place]) ?? 1;
  }
  const axes = [...labels];
  const map = createIndexMap(
    axes.map((label) => sizes.get(label) ?? 1),
    axes.map((label) => strides.get(label) ?? 0),
  );
  return { size, trailing: term.length - 1 - last, map };
}

function isPlain(labels: string): boolean {
  return /^[a-z]+$/i.test(labels) && new Set(labels).size === labels.length;
}
