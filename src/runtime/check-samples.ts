import { EmpError, type ErrorCode, ofInput, type SampleInput } from '../core/errors.ts';
import { descrOf, isNumberType } from '../formats/numbers.ts';
import type { ArrayFile, GivenSamples, SampleSet } from '../formats/sample-set.ts';
import type { OnnxInput } from '../graph/interface.ts';
import { declaredSampleAxis } from './sample-axes.ts';
import { type FedInput, isReadable, layOutSamples, pairInputs, readConstant } from './sample-layout.ts';

/** More tell nobody more. */
const MAX_FINDINGS = 20;

/**
 * Holds the arrays against the model's inputs: names, dtypes, ranks, fixed sizes, the axes that count the samples, and whether these fill whole batches of a fixed
 * size. What the model leaves open is not checked.
 * @param data which of the job's data they are, for the findings
 * @returns the samples under the inputs' names, with the axes that count them: the one array of a model with one input may be called anything
 * @throws EmpError `samples_mismatch` with every misfit; `invalid_labels` for labels without an axis of as many samples
 */
export function checkSamples(
  given: GivenSamples,
  inputs: readonly OnnxInput[],
  data: SampleInput,
): SampleSet {
  const named = nameByInputs(given, inputs);
  const { sampled, constants } = pairInputs(named, inputs);
  const arrays = [...named.inputs, ...(named.constants ?? [])];
  const known = new Set(inputs.map(({ name }) => name));
  const misfits = new Map([
    ...sampled.map((fed): [string, string[]] => [fed.input.name, isReadable(fed) ? [] : shapeMisfits(fed)]),
    ...constants.map((fed): [string, string[]] => [
      fed.input.name,
      readConstant(fed) ? [] : [constantMisfit(fed)],
    ]),
  ]);
  const dtypes = new Map(arrays.map(({ name, dtype }) => [name, dtype]));
  const messages = [
    ...inputs.flatMap((input) => [
      ...dtypeMisfits(input, dtypes.get(input.name)),
      ...(misfits.get(input.name) ?? [missing(input)]),
    ]),
    ...arrays.filter(({ name }) => !known.has(name)).map(({ name }) => unknownInput(name, inputs)),
  ];
  const layout = messages.length === 0 ? layOutSamples(sampled) : null;
  if (layout === null) {
    throw refusal('samples_mismatch', data, messages.length > 0 ? messages : [disagreement(sampled)]);
  }
  const { nSamples } = layout;
  if (named.labels && !named.labels.shape.includes(nSamples)) {
    throw refusal('invalid_labels', data, [labelMisfit(named.labels, nSamples)]);
  }
  const shared = [...layout.constants, ...constants.flatMap((fed) => readConstant(fed) ?? [])];
  return {
    nSamples,
    inputs: layout.inputs,
    ...(shared.length > 0 ? { constants: shared } : {}),
    labels: named.labels && placeLabels(named.labels, nSamples),
  };
}

/**
 * Refuses labels that count their samples neither on axis 0 nor, as far as the model declares it, where an output does.
 * @throws EmpError `invalid_labels`
 */
export function refuseUncountedLabels(
  { labels, nSamples }: SampleSet,
  inputs: readonly OnnxInput[],
  outputs: readonly OnnxInput[],
  data: SampleInput,
): void {
  if (!labels || labels.shape[0] === nSamples) return;
  const axes = outputs.map((output) => declaredSampleAxis(output, inputs));
  if (axes.some((axis) => axis === null || labels.shape[axis] === nSamples)) return;
  throw refusal('invalid_labels', data, [labelMisfit(labels, nSamples)]);
}

function labelMisfit({ shape }: ArrayFile, nSamples: number): string {
  return `labels have shape ${describeDims(shape)}: expected ${nSamples}, the number of samples, on axis 0`;
}

/** The first axis that can count the samples; which one does is settled by the output. */
function placeLabels(labels: ArrayFile, nSamples: number): NonNullable<SampleSet['labels']> {
  const axis = labels.shape.indexOf(nSamples);
  return axis > 0 ? { ...labels, axis } : labels;
}

function refusal(code: ErrorCode, data: SampleInput, messages: readonly string[]): EmpError {
  const findings = messages.slice(0, MAX_FINDINGS).map((message) => ofInput(data, message));
  const more = messages.length > 1 ? ` (and ${messages.length - 1} more)` : '';
  return new EmpError(code, `${data} does not fit the model: ${messages[0]}${more}`, findings);
}

function nameByInputs(samples: GivenSamples, inputs: readonly OnnxInput[]): GivenSamples {
  if (inputs.length !== 1 || samples.inputs.length !== 1 || samples.constants?.length) return samples;
  const [array] = samples.inputs;
  return array.name === inputs[0].name
    ? samples
    : { ...samples, inputs: [{ ...array, name: inputs[0].name }] };
}

function missing({ name, dtype, dims }: OnnxInput): string {
  return `input ${JSON.stringify(name)} is missing: expected ${dtype ?? 'an array'} ${describeDims(dims)}`.trimEnd();
}

function dtypeMisfits({ name, dtype }: OnnxInput, found: string | undefined): string[] {
  if (dtype === null || found === undefined || dtype === found) return [];
  return [`input ${JSON.stringify(name)} is ${found}: expected ${dtype}, ${adviceFor(dtype)}`];
}

function adviceFor(dtype: string): string {
  if (!isNumberType(dtype))
    return 'which a .npy file cannot hold: export the model with an input of another type';
  // Bytes have no order to name, and a bool goes by one character.
  const descr = dtype === 'bool' ? '?' : descrOf(dtype).replace('|', '');
  return `as arr.astype('${descr}') makes it`;
}

/** What keeps an array from being samples of an input: of one that no axis counts, axis 0 is taken for it. */
function shapeMisfits({ input: { name, dims }, axis, array: { shape } }: FedInput): string[] {
  if (dims === null) return [];
  const isShape = `input ${JSON.stringify(name)} has shape ${describeDims(shape)}: expected`;
  if (dims.length !== shape.length) {
    const axes = `${dims.length} ${dims.length === 1 ? 'axis' : 'axes'}, ${describeDims(dims)}`;
    return [
      `${isShape} ${axes}${axis === null ? ', the same for all samples, or as many on an axis in front' : ''}`,
    ];
  }
  const counted = axis ?? 0;
  const where = axis ? `, where axis ${axis} counts the samples` : '';
  const found = dims.flatMap((size, place) =>
    place === counted || typeof size !== 'number' || size === shape[place]
      ? []
      : [`${isShape} ${size} on axis ${place}, ${describeDims(dims)}${where}`],
  );
  const batch = dims[counted];
  if (batch === 0)
    found.push(
      `input ${JSON.stringify(name)} of the model takes no samples at a time: export it with a dynamic axis ${counted}`,
    );
  else if (typeof batch === 'number' && shape[counted] % batch !== 0) {
    found.push(`${isShape} a multiple of ${batch} samples, as the model takes ${batch} at a time`);
  }
  return found;
}

function constantMisfit({ input: { name, dims }, axis, array: { shape } }: FedInput): string {
  const wanted = describeDims(dims?.map((size, place) => (place === axis ? 1 : size)) ?? null);
  return `constant ${JSON.stringify(name)} has shape ${describeDims(shape)}: expected ${wanted}, the same for all samples`;
}

function unknownInput(name: string, inputs: readonly OnnxInput[]): string {
  const known = inputs.slice(0, MAX_FINDINGS).map((input) => JSON.stringify(input.name));
  return `the model has no input ${JSON.stringify(name)}: its inputs are ${known.join(', ') || 'none'}`;
}

/** Why arrays that each fit their input make no samples together. */
function disagreement(fed: readonly FedInput[]): string {
  const isFixed = fed.every(({ axis, input }) => axis === null && typeof input.dims?.[0] === 'number');
  const sizes = new Set(fed.map(({ input }) => input.dims?.[0]));
  const firsts = new Set(fed.map(({ array }) => array.shape[0]));
  if (isFixed && sizes.size > 1 && firsts.size === 1) {
    return `the model takes ${[...sizes].join(' and ')} samples of its inputs at a time: axis 0 of all must count the same`;
  }
  const counts = fed
    .slice(0, MAX_FINDINGS)
    .map(({ input, axis, array }) => describeCount(input, axis, array));
  if (counts.length === 0) return 'no array has samples: all are the same for every sample';
  return `the arrays have no number of samples in common: ${counts.join(', ')}`;
}

function describeCount({ name }: OnnxInput, axis: number | null, { shape }: ArrayFile): string {
  const count = axis === null ? `shape ${describeDims(shape)}` : `${shape[axis]} on axis ${axis}`;
  return `${JSON.stringify(name)} has ${count}`;
}

function describeDims(dims: OnnxInput['dims']): string {
  return dims === null ? '' : `[${dims.map((size) => size ?? '?').join(', ')}]`;
}
