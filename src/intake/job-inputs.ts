import { EmpError, type JobInput, ofInput } from '../core/errors.ts';
import type { ModelInventory } from '../formats/model.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import type { ScoreArray } from '../formats/score-file.ts';
import type { JobRequest } from '../jobs/job.ts';
import type { Turn } from '../jobs/job-lanes.ts';
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
 * Reads what the ids of a job stand for. The model's files are checked out until it is disposed of.
 * @throws EmpError `invalid_request` where one is not there, or is of another kind
 */
export async function readJobInputs(
  store: Store,
  ids: Omit<JobRequest, 'recipe' | 'metadata' | keyof Turn>,
): Promise<JobInputs & AsyncDisposable> {
  const { model_id: id } = ids;
  const inventory = await store.readJson<ModelInventory>('models', id, 'inventory.json');
  if (!inventory) throw unusable('model', `there is no model ${id}`);
  const scores = await readDataset(store, ids.scores_dataset_id, 'scores', 'scores');
  const calibration = await readDataset(store, ids.calibration_dataset_id, 'samples', 'calibration');
  const evaluation = await readDataset(store, ids.evaluation_dataset_id, 'samples', 'evaluation');
  const checkout = await store.checkOut('models', id);
  return {
    model: { id, inventory, directory: checkout.directory },
    scores,
    calibration,
    evaluation,
    [Symbol.asyncDispose]: () => checkout[Symbol.asyncDispose](),
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
    throw unusable(input, `dataset ${id} holds ${record.kind}: expected a dataset of ${kind}`);
  const content = await store.readJson<DatasetContent[K]>('datasets', id, CONTENT_FILES[kind]);
  if (!content) throw unusable(input, `there is no dataset ${id}`);
  return { id, content };
}

/** A refusal of what was given as one of a job's inputs. */
export function unusable(input: JobInput, message: string): EmpError {
  return new EmpError('invalid_request', message, [ofInput(input, message)]);
}
