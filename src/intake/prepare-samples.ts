import { join } from 'node:path';
import { EmpError, type InputFinding } from '../core/errors.ts';
import { openFileSource } from '../formats/file-source.ts';
import { elementCount } from '../formats/model.ts';
import { readNpyHeader } from '../formats/npy.ts';
import type { ArrayFile, SampleSet } from '../formats/sample-set.ts';
import { byName, type SamplesRecord, type StoredFile } from '../storage/records.ts';
import type { Upload } from '../storage/store.ts';
import {
  badPart,
  describeFiles,
  type FileRule,
  type PreparedDataset,
  type ReceivedFiles,
} from './received-files.ts';

const SUFFIX = '.npy';
/** Folders of their own, since an input may be called `labels`. */
const INPUTS = 'inputs';
const LABELS = 'labels';
const LABEL_DTYPES = /^(u?int|float)/;
const MAX_FINDINGS = 20;

/** What a request calls the two. */
export interface SampleParts {
  readonly inputs: string;
  readonly labels: string;
}

/** Where the `.npy` files of the two parts are to be received. */
export function sampleFiles(upload: Upload, parts: SampleParts): Record<string, FileRule> {
  return {
    [parts.inputs]: { directory: join(upload.files, INPUTS), numbered: true },
    [parts.labels]: { directory: join(upload.files, LABELS), numbered: true },
  };
}

/**
 * Turns the arrays received where `sampleFiles` says into a dataset ready to be published, `samples.json` added.
 * @returns null where neither part came
 * @throws EmpError for arrays that make no set of samples, naming the parts
 */
export async function prepareSamples(
  upload: Upload,
  parts: SampleParts,
  received: ReceivedFiles,
): Promise<PreparedDataset<SamplesRecord, SampleSet> | null> {
  const inputFiles = received.get(parts.inputs) ?? [];
  const [labelFile, ...otherLabels] = received.get(parts.labels) ?? [];
  if (inputFiles.length === 0) {
    if (!labelFile) return null;
    throw badPart(parts.labels, `is given without ${parts.inputs}`);
  }
  if (otherLabels.length > 0) throw badPart(parts.labels, `must be one file, got ${otherLabels.length + 1}`);

  const root = upload.files;
  const inputs: ArrayFile[] = [];
  for (const [i, file] of inputFiles.entries())
    inputs.push(await readArray(root, `${INPUTS}/${i}`, file, parts.inputs));
  inputs.sort(byName);
  const labels = labelFile ? await readArray(root, `${LABELS}/0`, labelFile, parts.labels) : null;
  const samples: SampleSet = { nSamples: inputs[0].shape[0], inputs, labels };
  refuseUneven(samples, parts);
  if (labels) refuseUnusable(labels, parts.labels);

  await upload.writeJson('samples.json', samples);
  const record = createRecord(samples, inputFiles, labelFile);
  return { id: record.id, record, content: samples };
}

function createRecord(
  { nSamples, inputs, labels }: SampleSet,
  inputFiles: readonly StoredFile[],
  labelFile: StoredFile | undefined,
): SamplesRecord {
  const files = inputFiles.map((file) => ({
    ...file,
    name: `${INPUTS}/${file.name.slice(0, -SUFFIX.length)}`,
  }));
  if (labelFile) files.push({ ...labelFile, name: LABELS });
  return {
    ...describeFiles('dat', 'samples\n', files.sort(byName)),
    kind: 'samples',
    n_samples: nSamples,
    inputs: inputs.map(({ name, shape, dtype }) => ({ name, shape, dtype })),
    labels: labels && { shape: labels.shape, dtype: labels.dtype },
  };
}

/** `path` is relative to `root`. */
async function readArray(root: string, path: string, file: StoredFile, part: string): Promise<ArrayFile> {
  const name = file.name.slice(0, -SUFFIX.length);
  if (!file.name.endsWith(SUFFIX) || name === '') {
    throw new EmpError(
      'unsupported_media_type',
      `${part} come as .npy files, an input's named like it, not as ${file.name}`,
      [{ path: part, message: `must be a .npy file, is ${JSON.stringify(file.name)}` }],
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
    const message = `${JSON.stringify(file.name)}: ${error.message}`;
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
