import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { EmpError } from '../core/errors.ts';
import type { ModelInventory } from '../formats/model.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import type { ScoreArray } from '../formats/score-file.ts';
import type { JobRequest } from '../jobs/job.ts';
import { recipeSchema } from '../pipeline/recipe.ts';
import type { DatasetRecord } from '../storage/records.ts';
import type { Store, Upload } from '../storage/store.ts';
import { checkJob } from './job-check.ts';
import { prepareModel } from './model-upload.ts';
import { type ReceivedParts, receiveParts } from './multipart.ts';
import { invalidRequest } from './problem.ts';
import { prepareSamples, sampleFiles } from './sample-upload.ts';
import { jobRequestSchema, metadataSchema } from './schemas.ts';
import { prepareScores, scoreFile } from './score-upload.ts';
import type { Services } from './services.ts';

/** A job about to be submitted, with what came along. Disposing of it discards what was not published. */
export interface PreparedJob extends AsyncDisposable {
  readonly request: JobRequest;
  readonly publish: () => Promise<void>;
}

const FIELDS = {
  model: '/model_id',
  scores: '/scores_dataset_id',
  calibration: '/calibration_dataset_id',
  evaluation: '/evaluation_dataset_id',
};
const PARTS = { model: 'model', scores: 'scores', calibration: 'calibration', evaluation: 'evaluation' };
const CALIBRATION = { inputs: PARTS.calibration, labels: 'calibration_labels' };
const EVALUATION = { inputs: PARTS.evaluation, labels: 'evaluation_labels' };

/** What a dataset's own file says of its arrays. */
interface DatasetContent {
  readonly scores: readonly ScoreArray[];
  readonly samples: SampleSet;
}
const CONTENT_FILES = { scores: 'arrays.json', samples: 'samples.json' };

/**
 * A job on resources that were uploaded before.
 * @throws EmpError `invalid_request` naming the fields, also where a resource is not there
 */
export async function prepareJob(body: unknown, { store, analyses }: Services): Promise<PreparedJob> {
  const parsed = jobRequestSchema.safeParse(body ?? {});
  if (!parsed.success) throw invalidRequest(parsed.error, '');
  const request = parsed.data;
  const { model_id, recipe } = request;
  const inventory = await store.readJson<ModelInventory>('models', model_id, 'inventory.json');
  if (!inventory) throw refused(FIELDS.model, `there is no model ${model_id}`);
  await using model = await store.checkOut('models', model_id);
  const job = {
    recipe,
    inventory,
    modelDirectory: model.directory,
    structures: recipe.granularity === 'weight' ? null : await analyses.known(model_id),
    scores: await readDataset(store, request.scores_dataset_id, 'scores', FIELDS.scores),
    calibration: await readDataset(store, request.calibration_dataset_id, 'samples', FIELDS.calibration),
    evaluation: await readDataset(store, request.evaluation_dataset_id, 'samples', FIELDS.evaluation),
  };
  await checkJob(job, FIELDS);
  return { request, publish: async () => {}, [Symbol.asyncDispose]: async () => {} };
}

async function readDataset<K extends keyof DatasetContent>(
  store: Store,
  id: string | null,
  kind: K,
  field: string,
): Promise<DatasetContent[K] | null> {
  if (id === null) return null;
  const record = await store.readRecord<DatasetRecord>('datasets', id);
  if (record && record.kind !== kind)
    throw refused(field, `dataset ${id} holds ${record.kind}: expected a dataset of ${kind}`);
  const content = await store.readJson<DatasetContent[K]>('datasets', id, CONTENT_FILES[kind]);
  if (!content) throw refused(field, `there is no dataset ${id}`);
  return content;
}

/**
 * A job on a model, scores and data that come with it as parts of one request. Nothing of it stays unless all of it is right.
 * @throws EmpError naming the parts
 */
export async function receiveJob(request: FastifyRequest, services: Services): Promise<PreparedJob> {
  const { store, analyses, maxUploadBytes: maxBytes } = services;
  const uploads = {
    model: await store.createUpload(),
    scores: await store.createUpload(),
    calibration: await store.createUpload(),
    evaluation: await store.createUpload(),
  };
  const discard = async () => {
    await Promise.all(Object.values(uploads).map((upload) => upload.discard()));
  };
  try {
    const modelDirectory = uploads.model.files;
    const { files, texts } = await receiveParts(request, {
      files: {
        [PARTS.model]: { directory: modelDirectory },
        [PARTS.scores]: scoreFile(uploads.scores),
        ...sampleFiles(uploads.calibration, CALIBRATION),
        ...sampleFiles(uploads.evaluation, EVALUATION),
      },
      texts: ['recipe', 'metadata'],
      maxBytes,
    });
    const recipe = parsePart(texts, 'recipe', recipeSchema);
    const metadata = parsePart(texts, 'metadata', metadataSchema);
    const modelFiles = files.get(PARTS.model);
    if (!modelFiles) throw refused(PARTS.model, 'the part with the model is missing');
    const { record: model, inventory } = await prepareModel(uploads.model, modelFiles, maxBytes);
    const { scores, calibration, evaluation } = await prepareDatasets(uploads, files, maxBytes);
    const job = {
      recipe,
      inventory,
      modelDirectory,
      structures: recipe.granularity === 'weight' ? null : await analyses.known(model.id),
      scores: scores?.arrays ?? null,
      calibration: calibration?.samples ?? null,
      evaluation: evaluation?.samples ?? null,
    };
    await checkJob(job, PARTS);
    return {
      request: {
        model_id: model.id,
        scores_dataset_id: scores?.record.id ?? null,
        calibration_dataset_id: calibration?.record.id ?? null,
        evaluation_dataset_id: evaluation?.record.id ?? null,
        recipe,
        metadata,
      },
      async publish() {
        await store.publish('models', uploads.model, model);
        if (scores) await store.publish('datasets', uploads.scores, scores.record);
        if (calibration) await store.publish('datasets', uploads.calibration, calibration.record);
        if (evaluation) await store.publish('datasets', uploads.evaluation, evaluation.record);
      },
      [Symbol.asyncDispose]: discard,
    };
  } catch (error) {
    await discard();
    throw error;
  }
}

async function prepareDatasets(
  uploads: Record<'scores' | 'calibration' | 'evaluation', Upload>,
  files: ReceivedParts['files'],
  maxBytes: number,
) {
  const scoreFiles = files.get(PARTS.scores);
  return {
    scores: scoreFiles ? await prepareScores(uploads.scores, scoreFiles, maxBytes) : null,
    calibration: await prepareSamples(uploads.calibration, CALIBRATION, files),
    evaluation: await prepareSamples(uploads.evaluation, EVALUATION, files),
  };
}

function parsePart<T extends z.ZodType>(
  texts: ReadonlyMap<string, string>,
  part: string,
  schema: T,
): z.output<T> {
  let value: unknown;
  try {
    value = JSON.parse(texts.get(part) ?? '{}');
  } catch (error) {
    throw refused(part, `part ${part} is not JSON: ${error instanceof Error ? error.message : error}`);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalidRequest(parsed.error, `/${part}`);
  return parsed.data;
}

function refused(path: string, message: string): EmpError {
  return new EmpError('invalid_request', message, [{ path, message }]);
}
