import { join } from 'node:path';
import { EmpError } from '../core/errors.ts';
import type { ModelInventory } from '../formats/model.ts';
import type { ArrayFile, GivenSamples } from '../formats/sample-set.ts';
import type { ScoreArray } from '../formats/score-file.ts';
import type { CompareInput } from '../pipeline/compare/compare-input.ts';
import type { PruneInput } from '../pipeline/prune-job.ts';
import { recipeSchema } from '../recipe/recipe.ts';
import { ORIGIN_DATA, type Origin } from '../report/origin.ts';
import type { DatasetRecord, ModelRecord } from '../storage/records.ts';
import type { Kind, Store } from '../storage/store.ts';
import type { JobRecord } from './job.ts';
import { countPromise } from './promise-uses.ts';
import type { WorkContext } from './run-job.ts';

/** Reads what a job works on. Its files are checked out until `work` has ended. @throws EmpError not_found for what was deleted */
export async function withInputs<T>(
  record: JobRecord,
  { store, outputDirectory, threads, providers }: WorkContext,
  work: (input: PruneInput) => Promise<T>,
): Promise<T> {
  const { recipe, scores_dataset_id, calibration_dataset_id, evaluation_dataset_id } = record;
  const { selection_dataset_id } = record;
  await using resources = new Resources(store);
  const input = {
    ...(await resources.model(record.model_id)),
    scores: scores_dataset_id ? await resources.scores(scores_dataset_id) : null,
    calibration: calibration_dataset_id ? await resources.samples(calibration_dataset_id) : null,
    selection: selection_dataset_id ? await resources.samples(selection_dataset_id) : null,
    evaluation: evaluation_dataset_id ? await resources.samples(evaluation_dataset_id) : null,
    origin: await originOf(record, store),
    recipe: recipeSchema.parse(recipe), // a job of an older version lacks newer fields
    countPromise: (samples: string) => countPromise(store, samples, record.id),
    outputDirectory,
    runtime: { providers, threads },
  };
  return await work(input); // awaited before the files go
}

/** Likewise of a job that compares two models. @throws EmpError not_found for what was deleted */
export async function withComparedModels<T>(
  { id, model_id, pruned_model_id, evaluation_dataset_id }: JobRecord,
  { store, outputDirectory, threads, providers }: WorkContext,
  work: (input: CompareInput) => Promise<T>,
): Promise<T> {
  if (pruned_model_id === undefined) throw new TypeError(`job ${id} compares no models`);
  await using resources = new Resources(store);
  const input = {
    original: await resources.model(model_id),
    pruned: await resources.model(pruned_model_id),
    evaluation: evaluation_dataset_id ? await resources.samples(evaluation_dataset_id) : null,
    outputDirectory,
    runtime: { providers, threads },
  };
  return await work(input); // awaited before the files go
}

/** What a report says it is of. */
async function originOf(record: JobRecord, store: Store): Promise<Origin> {
  const { id, created_at, model_id } = record;
  const data = { scores: null, calibration: null, selection: null, evaluation: null };
  const origin: Origin = { job_id: id, created_at, model_id, ...data };
  for (const name of ORIGIN_DATA) {
    const dataset_id = record[`${name}_dataset_id`];
    const dataset = dataset_id ? await store.readRecord<DatasetRecord>('datasets', dataset_id) : null;
    if (dataset_id && dataset) origin[name] = { dataset_id, sha256: dataset.sha256 };
  }
  return origin;
}

/** What a job reads, with local files: checked out until it is disposed of. @throws EmpError not_found for what was deleted */
class Resources implements AsyncDisposable {
  readonly #store: Store;
  readonly #checkouts = new AsyncDisposableStack();

  constructor(store: Store) {
    this.#store = store;
  }

  async model(id: string): Promise<Pick<PruneInput, 'model' | 'identity'>> {
    const record = await this.#store.readRecord<ModelRecord>('models', id);
    const inventory = await this.#store.readJson<ModelInventory>('models', id, 'inventory.json');
    if (!record || !inventory) throw new EmpError('not_found', `model ${id} was deleted before the job ran`);
    const { name, sha256, size_bytes } = record;
    return {
      model: { directory: await this.#checkOut('models', id), inventory },
      identity: { name, sha256, sizeBytes: size_bytes },
    };
  }

  async scores(id: string): Promise<ScoreArray[]> {
    const arrays = await this.#content<ScoreArray[]>(id, 'arrays.json');
    const files = await this.#checkOut('datasets', id);
    return arrays.map((array) => ({
      ...array,
      range: { ...array.range, path: join(files, array.range.path) },
    }));
  }

  async samples(id: string): Promise<GivenSamples> {
    const { inputs, constants = [], labels } = await this.#content<GivenSamples>(id, 'samples.json');
    const files = await this.#checkOut('datasets', id);
    const place = (array: ArrayFile) => ({ ...array, path: join(files, array.path) });
    return { inputs: inputs.map(place), constants: constants.map(place), labels: labels && place(labels) };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#checkouts.disposeAsync();
  }

  async #checkOut(kind: Kind, id: string): Promise<string> {
    return this.#checkouts.use(await this.#store.checkOut(kind, id)).directory;
  }

  async #content<T>(id: string, name: string): Promise<T> {
    const content = await this.#store.readJson<T>('datasets', id, name);
    if (!content) throw new EmpError('not_found', `dataset ${id} was deleted before the job ran`);
    return content;
  }
}
