import { join } from 'node:path';
import { EmpError } from '../core/errors.ts';
import type { ModelInventory } from '../formats/model.ts';
import type { ScoreArray } from '../formats/score-file.ts';
import { prune } from '../pipeline/prune.ts';
import type { ModelRecord } from '../storage/records.ts';
import type { Store } from '../storage/store.ts';
import { createProcessor } from './run-job.ts';

/** The child process of a worker: one job after the other, from the store into the store. It never speaks to the queue's server. */
export default await createProcessor(
  async (record, { store, outputDirectory, threads, signal, onProgress }) => {
    const model = await readModel(store, record.model_id);
    const scores =
      record.scores_dataset_id === null ? null : await readScores(store, record.scores_dataset_id);
    const input = { model, scores, recipe: record.recipe, outputDirectory, threads };
    return prune(input, { signal, onProgress });
  },
);

async function readModel(store: Store, id: string) {
  const record = await store.readRecord<ModelRecord>('models', id);
  const inventory = await store.readJson<ModelInventory>('models', id, 'inventory.json');
  if (!record || !inventory) throw new EmpError('not_found', `model ${id} was deleted before the job ran`);
  const { name, sha256, size_bytes } = record;
  return { name, sha256, sizeBytes: size_bytes, directory: store.path('models', id, 'files'), inventory };
}

async function readScores(store: Store, id: string): Promise<ScoreArray[]> {
  const arrays = await store.readJson<ScoreArray[]>('datasets', id, 'arrays.json');
  if (!arrays) throw new EmpError('not_found', `dataset ${id} was deleted before the job ran`);
  const files = store.path('datasets', id, 'files');
  return arrays.map((array) => ({
    ...array,
    range: { ...array.range, path: join(files, array.range.path) },
  }));
}
