import { join } from 'node:path';
import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { EmpError } from '../core/errors.ts';
import type { ModelInventory } from '../formats/model.ts';
import type { ScoreArray } from '../formats/score-file.ts';
import type { JobRequest } from '../jobs/job.ts';
import { recipeSchema } from '../pipeline/recipe.ts';
import { prepareScores } from './dataset-upload.ts';
import { checkRecipe } from './job-check.ts';
import { prepareModel } from './model-upload.ts';
import { receiveParts } from './multipart.ts';
import { invalidRequest } from './problem.ts';
import { jobRequestSchema, metadataSchema } from './schemas.ts';
import type { Services } from './services.ts';

/** A job about to be submitted, with what came along. Disposing of it discards what was not published. */
export interface PreparedJob extends AsyncDisposable {
  readonly request: JobRequest;
  readonly publish: () => Promise<void>;
}

/**
 * A job on resources that were uploaded before.
 * @throws EmpError `invalid_request` naming the fields, also where a resource is not there
 */
export async function prepareJob(body: unknown, { store }: Services): Promise<PreparedJob> {
  const parsed = jobRequestSchema.safeParse(body ?? {});
  if (!parsed.success) throw invalidRequest(parsed.error, '');
  const request = parsed.data;
  const { model_id, scores_dataset_id, recipe } = request;
  const inventory = await store.readJson<ModelInventory>('models', model_id, 'inventory.json');
  if (!inventory) throw missing('/model_id', `there is no model ${model_id}`);
  const scores =
    scores_dataset_id && (await store.readJson<ScoreArray[]>('datasets', scores_dataset_id, 'arrays.json'));
  if (scores_dataset_id && !scores)
    throw missing('/scores_dataset_id', `there is no dataset ${scores_dataset_id}`);
  await checkRecipe(recipe, inventory, scores || null, '/scores_dataset_id');
  return { request, publish: async () => {}, [Symbol.asyncDispose]: async () => {} };
}

/**
 * A job on a model, and scores, that come with it as parts of one request. Nothing of it stays unless all of it is right.
 * @throws EmpError naming the parts
 */
export async function receiveJob(request: FastifyRequest, services: Services): Promise<PreparedJob> {
  const { store, maxUploadBytes: maxBytes } = services;
  const modelUpload = await store.createUpload();
  const scoresUpload = await store.createUpload();
  const discard = async () => {
    await Promise.all([modelUpload.discard(), scoresUpload.discard()]);
  };
  try {
    const { files, texts } = await receiveParts(request, {
      files: { model: join(modelUpload.directory, 'files'), scores: join(scoresUpload.directory, 'files') },
      texts: ['recipe', 'metadata'],
      maxBytes,
    });
    const recipe = parsePart(texts, 'recipe', recipeSchema);
    const metadata = parsePart(texts, 'metadata', metadataSchema);
    const modelFiles = files.get('model');
    if (!modelFiles) throw missing('model', 'the part with the model is missing');
    const model = await prepareModel(modelUpload, modelFiles, maxBytes);
    const scoreFiles = files.get('scores');
    const scores = scoreFiles ? await prepareScores(scoresUpload, scoreFiles, maxBytes) : null;
    await checkRecipe(recipe, model.inventory, scores?.arrays ?? null, 'scores');
    return {
      request: { model_id: model.record.id, scores_dataset_id: scores?.record.id ?? null, recipe, metadata },
      async publish() {
        await store.publish('models', modelUpload, model.record);
        if (scores) await store.publish('datasets', scoresUpload, scores.record);
      },
      [Symbol.asyncDispose]: discard,
    };
  } catch (error) {
    await discard();
    throw error;
  }
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
    throw missing(part, `part ${part} is not JSON: ${error instanceof Error ? error.message : error}`);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalidRequest(parsed.error, `/${part}`);
  return parsed.data;
}

function missing(path: string, message: string): EmpError {
  return new EmpError('invalid_request', message, [{ path, message }]);
}
