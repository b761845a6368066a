import { join } from 'node:path';
import { EmpError } from '../core/errors.ts';
import { openFileSource } from '../formats/file-source.ts';
import { elementCount } from '../formats/model.ts';
import { readNpyHeader } from '../formats/npy.ts';
import type { ArrayFile } from '../formats/sample-set.ts';
import { byName } from '../storage/records.ts';
import type { AnalysisTasks, SamplesOutline } from './analysis-tasks.ts';
import { badPart } from './received-files.ts';
import { CONSTANTS, INPUTS, LABELS, type SampleParts, SUFFIX } from './sample-files.ts';
import { SHAPES_DOCUMENT, writeDocument } from './upload-documents.ts';

const LABEL_DTYPES = /^(u?int|float)/;

/** Reads the headers of samples and adds what they say as documents. @throws EmpError for arrays that make no set of samples, naming the parts */
export async function readUploadedSamples(ask: AnalysisTasks['samples']['ask']): Promise<SamplesOutline> {
  const { upload, parts } = ask;
  const readAll = async (files: readonly string[], folder: string, part: string) => {
    const arrays: ArrayFile[] = [];
    for (const [i, file] of files.entries())
      arrays.push(await readArray(upload.files, `${folder}/${i}`, file, part));
    return arrays.sort(byName);
  };
  const inputs = await readAll(ask.inputs, INPUTS, parts.inputs);
  const constants = await readAll(ask.constants, CONSTANTS, parts.constants);
  const names = new Set(inputs.map(({ name }) => name));
  const twice = constants.find(({ name }) => names.has(name));
  if (twice)
    throw badPart(parts.constants, `has ${JSON.stringify(twice.name)}, which ${parts.inputs} has too`);
  const [labels = null] = await readAll(ask.labels === null ? [] : [ask.labels], LABELS, parts.labels);
  refuseEmpty(inputs, parts);
  if (labels) refuseUnusable(labels, parts.labels);
  const nSamples = countSamples(inputs, labels, parts);

  await writeDocument(upload, 'samples.json', { nSamples, inputs, constants, labels });
  const shapeOf = ({ name, shape, dtype }: ArrayFile) => ({ name, shape, dtype });
  const shapes = [
    ...inputs.map(shapeOf),
    ...constants.map((array) => ({ ...shapeOf(array), constant: true })),
  ];
  await writeDocument(upload, SHAPES_DOCUMENT, shapes.sort(byName));
  return { n_samples: nSamples, labels: labels && { shape: labels.shape, dtype: labels.dtype } };
}

/** `path` is relative to `root`. */
async function readArray(root: string, path: string, file: string, part: string): Promise<ArrayFile> {
  const name = file.slice(0, -SUFFIX.length);
  if (!file.endsWith(SUFFIX) || name === '') {
    throw new EmpError(
      'unsupported_media_type',
      `${part} come as .npy files, an input's named like it, not as ${file}`,
      [{ path: part, message: `must be a .npy file, is ${JSON.stringify(file)}` }],
    );
  }
  await using source = await openFileSource(join(root, path));
  try {
    const { dtype, shape, dataOffset } = await readNpyHeader(source);
    return { name, dtype, shape, path, offset: dataOffset };
  } catch (error) {
    if (!(error instanceof EmpError)) throw error;
    const message = `${JSON.stringify(file)}: ${error.message}`;
    throw new EmpError(error.code, `${part} ${message}`, [{ path: part, message }]);
  }
}

/** At least one array must have numbers in it, for several samples or for one. */
function refuseEmpty(inputs: readonly ArrayFile[], parts: SampleParts): void {
  const [first] = inputs;
  if (inputs.every(({ shape }) => shape.length === 0))
    throw badPart(
      parts.inputs,
      `${JSON.stringify(`${first.name}${SUFFIX}`)}: is a single number: axis 0 must count the samples`,
    );
  // Without numbers a file of some bytes could claim any number of samples.
  if (inputs.every(({ shape }) => elementCount(shape) === 0))
    throw badPart(
      parts.inputs,
      `is an empty set: ${JSON.stringify(first.name)} has shape [${first.shape.join(', ')}]`,
    );
}

/**
 * How many samples there are, null where only the model's axes tell: a number that every array has on an axis, unless it is a single number or has what one sample has.
 * @throws EmpError invalid_labels for labels that no array has as many samples as
 */
function countSamples(
  inputs: readonly ArrayFile[],
  labels: ArrayFile | null,
  parts: SampleParts,
): number | null {
  const arrays = inputs.filter(({ shape }) => shape.length > 0);
  const firsts = new Set(arrays.map(({ shape }) => shape[0]));
  const counting = arrays.map(({ shape }) => new Set(shape)).filter((sizes) => !sizes.has(1));
  const shared = [...(counting[0] ?? firsts)].filter((size) => counting.every((sizes) => sizes.has(size)));
  const sizes = shared.length > 0 ? shared : arrays.flatMap(({ shape }) => shape);
  const counted = labels ? sizes.filter((size) => labels.shape.includes(size)) : shared;
  if (labels && counted.length === 0) {
    const uneven = `has labels for ${labels.shape[0]} samples, ${parts.inputs} has ${arrays[0].shape[0]}`;
    throw badPart(parts.labels, uneven, 'invalid_labels');
  }
  const likely = counted.filter((size) => firsts.has(size));
  return shared.length > 0 && likely.length === 1 ? likely[0] : null;
}

/** Whether they go with the model's output is for the job to find out. */
function refuseUnusable({ name, dtype, shape }: ArrayFile, part: string): void {
  if (shape.length === 0)
    throw badPart(
      part,
      `${JSON.stringify(`${name}${SUFFIX}`)}: is a single number: axis 0 must count the samples`,
    );
  const unusable = !LABEL_DTYPES.test(dtype)
    ? `is ${dtype}: labels are integers or floats, as labels.astype('<i8') makes them`
    : elementCount(shape) === 0
      ? `has shape [${shape.join(', ')}]: there are no labels in it`
      : null;
  if (unusable) throw badPart(part, unusable, 'invalid_labels');
}
