import { join } from 'node:path';
import { EmpError, type InputFinding } from '../core/errors.ts';
import { openFileSource } from '../formats/file-source.ts';
import { elementCount } from '../formats/model.ts';
import { readNpyHeader } from '../formats/npy.ts';
import type { ArrayFile, SampleSet } from '../formats/sample-set.ts';
import { byName } from '../storage/records.ts';
import type { AnalysisTasks, SamplesOutline } from './analysis-tasks.ts';
import { badPart } from './received-files.ts';
import { INPUTS, LABELS, type SampleParts, SUFFIX } from './sample-files.ts';
import { SHAPES_DOCUMENT, writeDocument } from './upload-documents.ts';

const LABEL_DTYPES = /^(u?int|float)/;
const MAX_FINDINGS = 20;

/** Reads the headers of samples and adds what they say as documents. @throws EmpError for arrays that make no set of samples, naming the parts */
export async function readUploadedSamples(ask: AnalysisTasks['samples']['ask']): Promise<SamplesOutline> {
  const { upload, parts } = ask;
  const root = upload.files;
  const inputs: ArrayFile[] = [];
  for (const [i, file] of ask.inputs.entries())
    inputs.push(await readArray(root, `${INPUTS}/${i}`, file, parts.inputs));
  inputs.sort(byName);
  const labels = ask.labels === null ? null : await readArray(root, `${LABELS}/0`, ask.labels, parts.labels);
  const samples: SampleSet = { nSamples: inputs[0].shape[0], inputs, labels };
  refuseUneven(samples, parts);
  if (labels) refuseUnusable(labels, parts.labels);

  await writeDocument(upload, 'samples.json', samples);
  const shapes = inputs.map(({ name, shape, dtype }) => ({ name, shape, dtype }));
  await writeDocument(upload, SHAPES_DOCUMENT, shapes);
  return { n_samples: samples.nSamples, labels: labels && { shape: labels.shape, dtype: labels.dtype } };
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
    if (shape.length === 0)
      throw new EmpError('invalid_request', 'is a single number: axis 0 must count the samples');
    return { name, dtype, shape, path, offset: dataOffset };
  } catch (error) {
    if (!(error instanceof EmpError)) throw error;
    const message = `${JSON.stringify(file)}: ${error.message}`;
    throw new EmpError(error.code, `${part} ${message}`, [{ path: part, message }]);
  }
}

/** Axis 0 counts the samples: of every array the same, and of at least one array with numbers in it. */
function refuseUneven({ nSamples, inputs, labels }: SampleSet, parts: SampleParts): void {
  const odd = inputs.find(({ shape }) => shape[0] !== nSamples);
  if (odd) {
    const findings: InputFinding[] = inputs.slice(0, MAX_FINDINGS).map(({ name, shape }) => ({
      path: parts.inputs,
      message: `${JSON.stringify(name)} has ${shape[0]} samples on axis 0`,
    }));
    throw new EmpError(
      'invalid_request',
      `${parts.inputs} must have the same number of samples on axis 0: ${JSON.stringify(inputs[0].name)} has ${nSamples}, ${JSON.stringify(odd.name)} has ${odd.shape[0]}`,
      findings,
    );
  }
  // Without numbers a file of some bytes could claim any number of samples.
  if (inputs.every(({ shape }) => elementCount(shape) === 0)) {
    const [{ name, shape }] = inputs;
    throw badPart(parts.inputs, `is an empty set: ${JSON.stringify(name)} has shape [${shape.join(', ')}]`);
  }
  if (labels && labels.shape[0] !== nSamples) {
    const uneven = `has labels for ${labels.shape[0]} samples, ${parts.inputs} has ${nSamples}`;
    throw badPart(parts.labels, uneven, 'invalid_labels');
  }
}

/** Whether they go with the model's output is for the job to find out. */
function refuseUnusable({ dtype, shape }: ArrayFile, part: string): void {
  const unusable = !LABEL_DTYPES.test(dtype)
    ? `is ${dtype}: labels are integers or floats, as labels.astype('<i8') makes them`
    : elementCount(shape) === 0
      ? `has shape [${shape.join(', ')}]: there are no labels in it`
      : null;
  if (unusable) throw badPart(part, unusable, 'invalid_labels');
}
