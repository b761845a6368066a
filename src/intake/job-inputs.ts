import { EmpError, type JobInput, ofInput } from '../core/errors.ts';
import type { ModelInventory } from '../formats/model.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import type { ScoreArray } from '../formats/score-file.ts';
import type { JobRequest } from '../jobs/job.ts';
import type { DatasetRecord } from '../storage/records.ts';
import type { Store } from '../storage/store.ts';
import type { JobInputs } from './plan-job.ts';

/** What a dataset's own file says of its arrays. */
interface DatasetContent {
  readonly scores: readonly ScoreArray[];
  readonly samples: SampleSet;
}
const CONTENT_FILES = { scores: 'arrays.json', samples: 'samples.json' };

/**
 * Reads what the ids of a job stand for.
 * @throws EmpError `invalid_request` where one is not there, or is of another kind
 */
export async function readJobInputs(
  store: Store,
  ids: Omit<JobRequest, 'recipe' | 'metadata'>,
): Promise<JobInputs> {
  const { model_id: id } = ids;
  const inventory = await store.readJson<ModelInventory>('models', id, 'inventory.json');
  if (!inventory) throw refused('model', `there is no model ${id}`);
  return {
    model: { id, inventory, directory: store.path('models', id, 'files') },
    scores: await readDataset(store, ids.scores_dataset_id, 'scores', 'scores'),
    calibration: await readDataset(store, ids.calibration_dataset_id, 'samples', 'calibration'),
    evaluation: await readDataset(store, ids.evaluation_dataset_id, 'samples', 'evaluation'),
  };
}

async function readDataset<K extends keyof DatasetContent>(
  store: Store,
  id: string | null,
  kind: K,
  input: JobInput,
): Promise<{ id: string; content: DatasetContent[K] } | null> {
  if (id === null) return null;
  const record = await store.readRecord<DatasetRecord>('datasets', id);
  if (record && record.kind !== kind)
    throw refused(input, `dataset ${id} holds ${record.kind}: expected a dataset of ${kind}`);
  const content = await store.readJson<DatasetContent[K]>('datasets', id, CONTENT_FILES[kind]);
  if (!content) throw refused(input, `there is no dataset ${id}`);
  return { id, content };
}

function refused(input: JobInput, message: string): EmpError {
  return new EmpError('invalid_request', message, [ofInput(input, message)]);
}
