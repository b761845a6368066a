import { EmpError, type JobInput, ofInput } from '../core/errors.ts';
import type { ModelInventory } from '../formats/model.ts';
import type { GivenSamples } from '../formats/sample-set.ts';
import type { ScoreArray } from '../formats/score-file.ts';
import type { JobRequest } from '../jobs/job.ts';
import type { DatasetRecord } from '../storage/records.ts';
import type { Kind, Store } from '../storage/store.ts';
import type { JobInputs } from './plan-job.ts';
import { readDocument, type UploadFolders } from './upload-documents.ts';

/** One of a job's inputs and where it lies: in the store, or in an upload that is not published yet. */
export interface PlacedInput {
  readonly id: string;
  readonly upload: UploadFolders | null;
}

/** What a job is to work on, unread: what is said of a model grows with its tensors. Null where the job has none. */
export type PlacedInputs = Readonly<{ model: PlacedInput } & Record<Dataset, PlacedInput | null>>;
type Dataset = Exclude<keyof JobInputs, 'model'>;

/** What a dataset's own file says of its arrays. */
interface DatasetContent {
  readonly scores: readonly ScoreArray[];
  readonly samples: GivenSamples;
}
const CONTENT_FILES = { scores: 'arrays.json', samples: 'samples.json' };

/** As a client names them; a job without selection data has no field of them. */
type RequestedIds = Pick<JobRequest, 'model_id' | `${Exclude<Dataset, 'selection'>}_dataset_id`> & {
  readonly selection_dataset_id?: string | null;
};

/** What the ids of a request name. */
export function storedInputs(request: RequestedIds): PlacedInputs {
  const stored = (id: string) => ({ id, upload: null });
  const dataset = (id: string | null) => (id === null ? null : stored(id));
  return {
    model: stored(request.model_id),
    scores: dataset(request.scores_dataset_id),
    calibration: dataset(request.calibration_dataset_id),
    selection: dataset(request.selection_dataset_id ?? null),
    evaluation: dataset(request.evaluation_dataset_id),
  };
}

/**
 * Reads what a job is to work on. The model's files are checked out until it is disposed of.
 * @throws EmpError `invalid_request` where one is not there, or is of another kind
 */
export async function readJobInputs(
  store: Store,
  { model, scores, calibration, selection, evaluation }: PlacedInputs,
): Promise<JobInputs & AsyncDisposable> {
  const { id, upload } = model;
  const inventory = await readPlaced<ModelInventory>(store, 'models', model, 'inventory.json');
  if (!inventory) throw unusable('model', `there is no model ${id}`);
  const datasets = {
    scores: await readDataset(store, scores, 'scores', 'scores'),
    calibration: await readDataset(store, calibration, 'samples', 'calibration'),
    selection: await readDataset(store, selection, 'samples', 'selection'),
    evaluation: await readDataset(store, evaluation, 'samples', 'evaluation'),
  };
  const checkout = upload ? null : await store.checkOut('models', id);
  return {
    model: { id, inventory, directory: checkout?.directory ?? upload?.files ?? '' },
    ...datasets,
    [Symbol.asyncDispose]: async () => checkout?.[Symbol.asyncDispose](),
  };
}

async function readDataset<K extends keyof DatasetContent>(
  store: Store,
  place: PlacedInput | null,
  kind: K,
  input: JobInput,
): Promise<{ id: string; content: DatasetContent[K] } | null> {
  if (place === null) return null;
  const { id, upload } = place;
  const record = upload ? null : await store.readRecord<DatasetRecord>('datasets', id);
  if (record && record.kind !== kind)
    throw unusable(input, `dataset ${id} holds ${record.kind}: expected a dataset of ${kind}`);
  const content = await readPlaced<DatasetContent[K]>(store, 'datasets', place, CONTENT_FILES[kind]);
  if (!content) throw unusable(input, `there is no dataset ${id}`);
  return { id, content };
}

function readPlaced<T>(store: Store, kind: Kind, place: PlacedInput, name: string): Promise<T | null> {
  const { id, upload } = place;
  return upload ? readDocument<T>(upload, name) : store.readJson<T>(kind, id, name);
}

/** A refusal of what was given as one of a job's inputs. */
export function unusable(input: JobInput, message: string): EmpError {
  return new EmpError('invalid_request', message, [ofInput(input, message)]);
}
