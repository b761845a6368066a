import { join } from 'node:path';
import { EmpError } from '../core/errors.ts';
import type { ModelInventory } from '../formats/model.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import type { ScoreArray } from '../formats/score-file.ts';
import { modelInputs, readStoredGraph } from '../graph/interface.ts';
import type { DenseModel } from '../pipeline/dense-model.ts';
import { prune } from '../pipeline/prune.ts';
import { recipeSchema } from '../pipeline/recipe.ts';
import { checkSamples } from '../runtime/check-samples.ts';
import type { ModelRecord } from '../storage/records.ts';
import type { Store } from '../storage/store.ts';
import { createProcessor } from './run-job.ts';

/** The child process of a worker: one job after the other, from the store into the store. It never speaks to the queue's server. */
export default await createProcessor(
  async (record, { store, outputDirectory, threads, providers, signal, onProgress }) => {
    const { recipe, scores_dataset_id, calibration_dataset_id, evaluation_dataset_id } = record;
    const model = await readModel(store, record.model_id);
    const input = {
      model,
      scores: scores_dataset_id ? await readScores(store, scores_dataset_id) : null,
      calibration: calibration_dataset_id ? await readSamples(store, calibration_dataset_id, model) : null,
      evaluation: evaluation_dataset_id ? await readSamples(store, evaluation_dataset_id, model) : null,
      recipe: recipeSchema.parse(recipe), // a job of an older version lacks newer fields
      outputDirectory,
      runtime: { providers, threads },
    };
    return prune(input, { signal, onProgress });
  },
);

async function readModel(store: Store, id: string): Promise<DenseModel> {
  const record = await store.readRecord<ModelRecord>('models', id);
  const inventory = await store.readJson<ModelInventory>('models', id, 'inventory.json');
  if (!record || !inventory) throw new EmpError('not_found', `model ${id} was deleted before the job ran`);
  const { name, sha256, size_bytes } = record;
  return { name, sha256, sizeBytes: size_bytes, directory: store.path('models', id, 'files'), inventory };
}

async function readScores(store: Store, id: string): Promise<ScoreArray[]> {
  const arrays = await readContent<ScoreArray[]>(store, id, 'arrays.json');
  const files = store.path('datasets', id, 'files');
  return arrays.map((array) => ({
    ...array,
    range: { ...array.range, path: join(files, array.range.path) },
  }));
}

/** The samples under the names of the model's inputs. */
async function readSamples(store: Store, id: string, model: DenseModel): Promise<SampleSet> {
  const stored = await readContent<SampleSet>(store, id, 'samples.json');
  const expected = modelInputs(await readStoredGraph(model.directory, model.inventory));
  const { inputs, labels } = checkSamples(stored, expected, id);
  const files = store.path('datasets', id, 'files');
  return {
    nSamples: stored.nSamples,
    inputs: inputs.map((array) => ({ ...array, path: join(files, array.path) })),
    labels: labels && { ...labels, path: join(files, labels.path) },
  };
}

async function readContent<T>(store: Store, id: string, name: string): Promise<T> {
  const content = await store.readJson<T>('datasets', id, name);
  if (!content) throw new EmpError('not_found', `dataset ${id} was deleted before the job ran`);
  return content;
}
