import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { EmpError, ofInput } from '../core/errors.ts';
import { readJobInputs } from '../intake/job-inputs.ts';
import { planJob } from '../intake/plan-job.ts';
import { prepareModel } from '../intake/prepare-model.ts';
import { prepareSamples, sampleFiles } from '../intake/prepare-samples.ts';
import { prepareScores, scoreFile } from '../intake/prepare-scores.ts';
import type { ReceivedFiles } from '../intake/received-files.ts';
import type { JobRequest } from '../jobs/job.ts';
import { recipeSchema } from '../recipe/recipe.ts';
import type { Upload } from '../storage/store.ts';
import { receiveParts } from './multipart.ts';
import { invalidRequest, namingFields } from './problem.ts';
import { jobRequestSchema, metadataSchema } from './schemas.ts';
import type { Services } from './services.ts';

/** A job about to be submitted, with what came along. Disposing of it discards what was not published. */
export interface PreparedJob extends AsyncDisposable {
  readonly request: JobRequest;
  readonly publish: () => Promise<void>;
}

const CALIBRATION = { inputs: 'calibration', labels: 'calibration_labels' };
const EVALUATION = { inputs: 'evaluation', labels: 'evaluation_labels' };

/**
 * A job on resources that were uploaded before.
 * @throws EmpError `invalid_request` naming the fields, also where a resource is not there
 */
export async function prepareJob(body: unknown, { store, analyses }: Services): Promise<PreparedJob> {
  const parsed = jobRequestSchema.safeParse(body ?? {});
  if (!parsed.success) throw invalidRequest(parsed.error, '');
  const { recipe, metadata, ...ids } = parsed.data;
  try {
    await using inputs = await readJobInputs(store, ids);
    const structures = recipe.granularity === 'weight' ? null : await analyses.known(ids.model_id);
    const planned = await planJob(recipe, inputs, structures);
    return {
      request: { ...planned, metadata },
      publish: async () => {},
      [Symbol.asyncDispose]: async () => {},
    };
  } catch (error) {
    throw namingFields(error);
  }
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
    const directory = uploads.model.files;
    const { files, texts } = await receiveParts(request, {
      files: {
        model: { directory },
        scores: scoreFile(uploads.scores),
        ...sampleFiles(uploads.calibration, CALIBRATION),
        ...sampleFiles(uploads.evaluation, EVALUATION),
      },
      texts: ['recipe', 'metadata'],
      maxBytes,
    });
    const recipe = parsePart(texts, 'recipe', recipeSchema);
    const metadata = parsePart(texts, 'metadata', metadataSchema);
    const modelFiles = files.get('model');
    if (!modelFiles) {
      const missing = 'the part with the model is missing';
      throw new EmpError('invalid_request', missing, [ofInput('model', missing)]);
    }
    const { record: model, inventory } = await prepareModel(uploads.model, modelFiles, maxBytes);
    const { scores, calibration, evaluation } = await prepareDatasets(uploads, files, maxBytes);
    const planned = await planJob(
      recipe,
      {
        model: { id: model.id, inventory, directory },
        scores: scores && { id: scores.record.id, content: scores.arrays },
        calibration: calibration && { id: calibration.record.id, content: calibration.samples },
        evaluation: evaluation && { id: evaluation.record.id, content: evaluation.samples },
      },
      recipe.granularity === 'weight' ? null : await analyses.known(model.id),
    );
    return {
      request: { ...planned, metadata },
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
  files: ReceivedFiles,
  maxBytes: number,
) {
  const scoreFiles = files.get('scores');
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
    const message = `part ${part} is not JSON: ${error instanceof Error ? error.message : error}`;
    throw new EmpError('invalid_request', message, [{ path: part, message }]);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalidRequest(parsed.error, `/${part}`);
  return parsed.data;
}
