import { request, upload } from './api-requests.ts';
import type { Dataset, Model } from './api-types.ts';
import { remember } from './live-resource.ts';
import { readNpzMembers } from './npz-members.ts';

type OnProgress = (share: number) => void;

const LABELS = /label|^y([_.]|$)|target/i;

/** One file, or all of one model. @throws ApiError, UnreachableError */
export async function uploadModel(files: readonly File[], onProgress: OnProgress): Promise<Model> {
  const form = new FormData();
  for (const file of files) form.append('file', file, file.name);
  const model = await upload<Model>('/v1/models', form, onProgress);
  remember(`/v1/models/${model.id}`, model);
  return model;
}

/** Samples, with labels where a file or an array is named so. @throws Error, ApiError, UnreachableError */
export async function uploadSamples(files: readonly File[], onProgress: OnProgress): Promise<Dataset> {
  const arrays = (
    await Promise.all(
      files.map((file) => (file.name.toLowerCase().endsWith('.npz') ? readNpzMembers(file) : [file])),
    )
  ).flat();
  const labels = arrays.filter(({ name }) => LABELS.test(name));
  const inputs = arrays.filter((file) => !labels.includes(file));
  if (labels.length > 1)
    throw new Error(`Several files look like labels: ${labels.map(({ name }) => name).join(', ')}.`);
  if (inputs.length === 0)
    throw new Error('There are labels and no inputs: choose the files with the inputs together with them.');
  const form = new FormData();
  for (const file of inputs) form.append('inputs', file, file.name);
  for (const file of labels) form.append('labels', file, file.name);
  const dataset = await upload<Dataset>('/v1/datasets', form, onProgress);
  remember(`/v1/datasets/${dataset.id}`, dataset);
  return dataset;
}

/** A file that the service brings along. */
export async function fetchExample(name: string): Promise<File> {
  const response = await request(`/examples/${name}`);
  return new File([await response.blob()], name.split('/').at(-1) ?? name);
}
