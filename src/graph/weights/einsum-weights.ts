import { parseEinsum } from '../einsum-equation.ts';
import type { Shape } from './element-moves.ts';
import { createIndexMap } from './index-map.ts';
import { createRoles } from './row-layout.ts';
import { type FeatureAxis, type SlotLayout, unknownLayout } from './slot-layout.ts';

const NOT_PLAIN = 'has an equation that does not tell its input features or output units';

/** A weight of an Einsum: labels of the output are units, the others are summed over. `undefined` for a vector. */
export function einsumLayout(shape: Shape, equation: string, input: number): SlotLayout | undefined {
  if (shape !== null && shape.length < 2) return undefined;
  const { terms, output } = parseEinsum(equation);
  const labels = terms[input] ?? '';
  if (shape?.length !== labels.length || !isPlain(labels) || output === undefined) {
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
  if (terms.length !== 2) return unknownLayout(roles, NOT_PLAIN);
  const sizes = new Map([...labels].map((label, axis) => [label, shape[axis]]));
  const stacked = units.filter((label) => other.includes(label));
  if (stacked.length > 0) {
    const own = units.filter((label) => !stacked.includes(label));
    const apart = (wanted: readonly string[], term: string) =>
      stackedAxis(stacked, wanted, term, labels, sizes);
    const source = apart(summed, other);
    const result = apart(own, output);
    return {
      roles,
      source: source === null ? NOT_PLAIN : { operand, ...source },
      result: result ?? NOT_PLAIN,
    };
  }
  const side = (wanted: readonly string[], term: string) =>
    featureAxis(wanted, term, labels, sizes) ?? stackedAxis([], wanted, term, labels, sizes);
  const source = side(summed, other);
  return {
    roles,
    source: source === null ? NOT_PLAIN : { operand, ...source },
    result: side(units, output) ?? NOT_PLAIN,
  };
}

/** Matrices that data choose, in the last two axes of an Einsum's input: the labels before are those of the choice. */
export function chosenEinsumLayout(shape: Shape, equation: string, input: number): SlotLayout {
  const { terms, output } = parseEinsum(equation);
  const labels = terms[input] ?? '';
  if (shape?.length !== 2 || !isPlain(labels) || output === undefined) return unknownLayout(null, NOT_PLAIN);
  const [choice, own] = [[...labels.slice(0, -2)], [...labels.slice(-2)]];
  const isUnit = (label: string) => output.includes(label);
  const roles = createRoles(
    shape,
    own.map((label) => (isUnit(label) ? 'unit' : 'sum')),
  );
  const isMatrix = own.some(isUnit) && own.some((label) => !isUnit(label));
  const other = terms[1 - input] ?? '';
  if (terms.length !== 2 || !isMatrix || own.some((label) => isUnit(label) && other.includes(label)))
    return unknownLayout(roles, NOT_PLAIN);
  const side = (wanted: string, term: string) => {
    if (!isPlain(term) || !term.includes(wanted)) return null;
    const present = choice.filter((label) => term.includes(label));
    const missing = choice.flatMap((label, axis) => (term.includes(label) ? [] : [axis]));
    const axis = own.indexOf(wanted);
    return {
      size: shape[axis],
      trailing: 0,
      map: createIndexMap(shape, [1 - axis, axis]),
      arranged: { equation: `${term}->${present.join('')}${wanted}`, missing },
    };
  };
  const [unit, summed] = isUnit(own[0]) ? own : own.toReversed();
  const source = side(summed, other);
  const result = choice.every(isUnit) ? side(unit, output) : null;
  return {
    roles,
    source: source === null ? NOT_PLAIN : { operand: 1 - input, ...source },
    result: result ?? NOT_PLAIN,
  };
}

/** The features where each of several matrices, told apart by `stacked` labels, has `wanted` ones of its own; null where `term` lacks one. */
function stackedAxis(
  stacked: readonly string[],
  wanted: readonly string[],
  term: string,
  labels: string,
  sizes: ReadonlyMap<string, number>,
): FeatureAxis | null {
  const order = [...stacked, ...wanted];
  if (wanted.length === 0 || !isPlain(term) || !order.every((label) => term.includes(label))) return null;
  const sizeOf = (label: string) => sizes.get(label) ?? 1;
  const strides = new Map<string, number>();
  let size = 1;
  for (const label of order.toReversed()) {
    strides.set(label, size);
    size *= sizeOf(label);
  }
  const axes = [...labels];
  return {
    size,
    trailing: 0,
    map: createIndexMap(
      axes.map(sizeOf),
      axes.map((label) => strides.get(label) ?? 0),
    ),
    matrices: stacked.map(sizeOf),
    arranged: { equation: `${term}->${order.join('')}`, missing: [] },
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
