import { openAsBlob } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { hostileSamples, loopForever } from '../../test/models/hostile-models.ts';

const EXAMPLES = new URL('../../examples/', import.meta.url);
const MODEL = 'fc2-mnist.onnx';
const INPUTS = 'mnist/evaluation_inputs.npy';
const LABELS = 'mnist/evaluation_labels.npy';

/** Recipes for one model, which between them dwell in every stage of a job long enough to be caught there. */
export const RECIPES = {
  most: { hessian_probes: 100, repair: ['least_squares'], sweep_betas: [0.5, 2] },
  scoring: { criterion: 'taylor_rms', scope: 'row', repair: ['bias'] },
} as const;
export type RecipeName = keyof typeof RECIPES;

/** A job whose model never ends, as one request. */
export function createEndlessForm(): FormData {
  const { inputs, labels } = hostileSamples();
  const form = new FormData();
  form.append('model', new Blob([loopForever()]), 'model.onnx');
  form.append('evaluation', new Blob([new Uint8Array(inputs)]), 'x.npy');
  form.append('evaluation_labels', new Blob([new Uint8Array(labels)]), 'labels.npy');
  return form;
}

/** The job whole in one request: model, labelled calibration and evaluation data, recipe. */
export async function createJobForm(recipe: RecipeName): Promise<FormData> {
  const form = new FormData();
  const parts = {
    model: MODEL,
    calibration: INPUTS,
    calibration_labels: LABELS,
    evaluation: INPUTS,
    evaluation_labels: LABELS,
  };
  for (const [part, path] of Object.entries(parts)) {
    const blob = await openAsBlob(fileURLToPath(new URL(path, EXAMPLES)));
    form.append(part, blob, path.replace('/', '-'));
  }
  form.append('recipe', JSON.stringify(RECIPES[recipe]));
  return form;
}
