import { EmpError, ofInput } from '../core/errors.ts';
import { descrOf, isNumberType } from '../formats/numbers.ts';
import type { ArrayFile, SampleSet } from '../formats/sample-set.ts';
import type { OnnxInput } from '../graph/interface.ts';

/** More tell nobody more. */
const MAX_FINDINGS = 20;

/**
 * Holds the arrays against the model's inputs: names, dtypes, ranks, fixed dimensions, and whether the samples fill whole batches of a fixed
 * size. What the model leaves open is not checked.
 * @param input which of the job's data they are, for the findings
 * @returns the samples under the inputs' names: the one array of a model with one input may be called anything
 * @throws EmpError `samples_mismatch` with every misfit
 */
export function checkSamples(
  samples: SampleSet,
  inputs: readonly OnnxInput[],
  input: 'calibration' | 'evaluation',
): SampleSet {
  const named = nameByInputs(samples, inputs);
  const arrays = new Map(named.inputs.map((array) => [array.name, array]));
  const known = new Set(inputs.map(({ name }) => name));
  const messages = [
    ...inputs.flatMap((each) => misfits(each, arrays.get(each.name))),
    ...named.inputs.filter(({ name }) => !known.has(name)).map(({ name }) => unknownInput(name, inputs)),
    ...unevenBatches(inputs),
  ];
  if (messages.length === 0) return named;
  const findings = messages.slice(0, MAX_FINDINGS).map((message) => ofInput(input, message));
  const more = messages.length > 1 ? ` (and ${messages.length - 1} more)` : '';
  throw new EmpError('samples_mismatch', `${input} does not fit the model: ${messages[0]}${more}`, findings);
}

function nameByInputs(samples: SampleSet, inputs: readonly OnnxInput[]): SampleSet {
  if (inputs.length !== 1 || samples.inputs.length !== 1) return samples;
  return { ...samples, inputs: [{ ...samples.inputs[0], name: inputs[0].name }] };
}

function misfits(input: OnnxInput, array: ArrayFile | undefined): string[] {
  const { dtype, dims } = input;
  const name = `input ${JSON.stringify(input.name)}`;
  if (!array) return [`${name} is missing: expected ${dtype ?? 'an array'} ${describeDims(dims)}`.trimEnd()];
  const { shape } = array;
  const found: string[] = [];
  if (dtype !== null && dtype !== array.dtype) {
    found.push(`${name} is ${array.dtype}: expected ${dtype}, ${adviceFor(dtype)}`);
  }
  if (dims === null) return found;
  const isShape = `${name} has shape ${describeDims(shape)}: expected`;
  if (dims.length !== shape.length) {
    found.push(`${isShape} ${dims.length} ${dims.length === 1 ? 'axis' : 'axes'}, ${describeDims(dims)}`);
    return found;
  }
  for (const [axis, size] of dims.entries()) {
    if (axis === 0 || typeof size !== 'number' || size === shape[axis]) continue;
    found.push(`${isShape} ${size} on axis ${axis}, ${describeDims(dims)}`);
  }
  const [batch] = dims;
  if (typeof batch === 'number' && shape[0] % batch !== 0) {
    found.push(`${isShape} a multiple of ${batch} samples, as the model takes ${batch} at a time`);
  }
  return found;
}

function adviceFor(dtype: string): string {
  if (!isNumberType(dtype))
    return 'which a .npy file cannot hold: export the model with an input of another type';
  // Bytes have no order to name, and a bool goes by one character.
  const descr = dtype === 'bool' ? '?' : descrOf(dtype).replace('|', '');
  return `as arr.astype('${descr}') makes it`;
}

function unknownInput(name: string, inputs: readonly OnnxInput[]): string {
  const known = inputs.slice(0, MAX_FINDINGS).map((input) => JSON.stringify(input.name));
  return `the model has no input ${JSON.stringify(name)}: its inputs are ${known.join(', ') || 'none'}`;
}

function unevenBatches(inputs: readonly OnnxInput[]): string[] {
  const sizes = new Set(inputs.flatMap(({ dims }) => (typeof dims?.[0] === 'number' ? dims[0] : [])));
  if (sizes.size < 2) return [];
  return [
    `the model takes ${[...sizes].join(' and ')} samples of its inputs at a time: axis 0 of all must count the same`,
  ];
}

function describeDims(dims: OnnxInput['dims']): string {
  return dims === null ? '' : `[${dims.map((size) => size ?? '?').join(', ')}]`;
}
