import type { OnnxInput } from '../graph/interface.ts';
import { kindOfName } from './open-axes.ts';

type Dims = NonNullable<OnnxInput['dims']>;

/** What exporters call the axis of samples, the surest first. */
const BATCH_NAMES = [/batch/i, /^(b|bs|bsz)$/i, /^n$/i];

/**
 * The axis of every input that counts the samples, by name: the one called like a batch, else one that all inputs share, else the first where it is open. Null for an
 * input without one, such as a scalar, a state of a single sample, or positions that all samples share; inputs of unknown rank are left out.
 */
export function findSampleAxes(inputs: readonly OnnxInput[]): ReadonlyMap<string, number | null> {
  const known = inputs.flatMap(({ name, dims }) => (dims === null ? [] : [{ name, dims: dims.map(nameOf) }]));
  const names = batchNames(known.map(({ dims }) => dims));
  const inner = new Set(known.flatMap(({ dims }) => dims.slice(1)));
  const isNamedOtherwise = (dim: string) =>
    isSum(dim) || (names.size > 0 && (inner.has(dim) || !isBatchKind(dim)));
  const isFirst = ([first]: Dims) =>
    first !== undefined &&
    typeof first !== 'number' &&
    (first === null || names.has(first) || !isNamedOtherwise(first));
  const isBesideOpen = known.some(({ dims }) => isFirst(dims));
  return new Map(
    known.map(({ name, dims }): [string, number | null] => {
      const named = dims.findIndex((dim) => typeof dim === 'string' && names.has(dim));
      if (named >= 0) return [name, named];
      if (isFirst(dims)) return [name, 0];
      return [name, isBesideOpen && isLayered(dims) ? 1 : null];
    }),
  );
}

/** The axis of an output that is called as one of the inputs' that count samples; null where none is. */
export function declaredSampleAxis(output: OnnxInput, inputs: readonly OnnxInput[]): number | null {
  const axes = findSampleAxes(inputs);
  const names = new Set(inputs.map(({ name, dims }) => dims?.[axes.get(name) ?? -1]));
  const axis = (output.dims ?? []).findIndex((dim) => typeof dim === 'string' && names.has(dim));
  return axis < 0 ? null : axis;
}

/** Exporters write `?` and `-1` too for a size without a name. */
function nameOf(dim: Dims[number]): Dims[number] {
  return typeof dim === 'string' && !/[a-z]/i.test(dim) ? null : dim;
}

function batchNames(inputs: readonly Dims[]): ReadonlySet<string> {
  const names = new Set(inputs.flat().filter((dim) => typeof dim === 'string' && !isSum(dim)) as string[]);
  for (const pattern of BATCH_NAMES) {
    const found = [...names].filter((name) => pattern.test(name));
    if (found.length > 0) return new Set(found);
  }
  const [first, ...others] = inputs.filter((dims) => dims.length > 1 && dims.some(isOpen));
  if (first === undefined || others.length === 0) return new Set();
  const shared = first.filter(
    (dim): dim is string => typeof dim === 'string' && others.every((dims) => dims.includes(dim)),
  );
  const place = (name: string) => inputs.reduce((sum, dims) => sum + Math.max(0, dims.indexOf(name)), 0);
  const usable = shared.filter((name) => !isSum(name) && (place(name) === 0 || isBatchKind(name)));
  return new Set(usable.toSorted((a, b) => place(a) - place(b)).slice(0, 1));
}

/** Not called like a position or a pixel. */
function isBatchKind(name: string): boolean {
  return (kindOfName(name) ?? 'batch') === 'batch';
}

/** A name made of names: `past + 1`, `batch * heads`. */
function isSum(name: string): boolean {
  return /[+*/]|\s-\s/.test(name);
}

/** `[layers, batch, ...]` */
function isLayered([layers, batch, ...rest]: Dims): boolean {
  const isFree = batch === null || (typeof batch === 'string' && !isSum(batch) && isBatchKind(batch));
  return typeof layers === 'number' && layers > 1 && isFree && rest.length > 0;
}

function isOpen(dim: Dims[number]): boolean {
  return typeof dim !== 'number';
}
