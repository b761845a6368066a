import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { EmpError, type SampleInput } from '../core/errors.ts';
import type { AnalysisTasks } from '../intake/analysis-tasks.ts';
import { type PlacedInputs, storedInputs, unusable } from '../intake/job-inputs.ts';
import { prepareModel } from '../intake/prepare-model.ts';
import { prepareSamples } from '../intake/prepare-samples.ts';
import { prepareScores, scoreFile } from '../intake/prepare-scores.ts';
import { sampleFiles } from '../intake/sample-files.ts';
import type { Asker } from '../intake/slots.ts';
import type { JobRequest } from '../jobs/job.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { jobRequestSchema } from './job-schemas.ts';
import { REQUEST_BOUNDS } from './json-body.ts';
import { parseBoundedJson } from './json-bounds.ts';
import { receiveParts } from './multipart.ts';
import { namingFields } from './problem.ts';
import type { Services } from './services.ts';
import { parseBody } from './validation.ts';

/** A job about to be submitted. */
export interface PreparedJob {
  readonly request: JobRequest;
  /** Publishes what came along. */
  readonly publish: () => Promise<void>;
}

const partsOf = (data: SampleInput) => ({
  inputs: data,
  constants: `${data}_constants`,
  labels: `${data}_labels`,
});
const CALIBRATION = partsOf('calibration');
const SELECTION = partsOf('selection');
const EVALUATION = partsOf('evaluation');

/**
 * A job on resources that were uploaded before.
 * @throws EmpError `invalid_request` naming the fields, also where a resource is not there
 */
export async function prepareJob(body: unknown, services: Services, asker: Asker): Promise<PreparedJob> {
  const { recipe, priority, metadata, webhook, ...ids } = parseBody(jobRequestSchema, body ?? {});
  try {
    const planned = await plan(recipe, storedInputs(ids), services, asker);
    const request = { ...planned, priority, metadata, ...(webhook && { webhook }) };
    return { request, publish: async () => {} };
  } catch (error) {
    throw namingFields(error);
  }
}

/**
 * A job on a model, scores and data that come with it as parts of one request. Nothing of it stays unless all of it is right.
 * @param discarded gets the uploads: disposing of it discards what was not published
 * @throws EmpError naming the parts; the reason of the asker's signal
 */
export async function receiveJob(
  request: FastifyRequest,
  services: Services,
  asker: Asker,
  discarded: AsyncDisposableStack,
): Promise<PreparedJob> {
  const { reader, maxUploadBytes: maxBytes } = services;
  const { store } = request.tenant;
  const { signal } = asker;
  const createUpload = async () => discarded.adopt(await store.createUpload(), (upload) => upload.discard());
  const uploads = {
    model: await createUpload(),
    scores: await createUpload(),
    calibration: await createUpload(),
    selection: await createUpload(),
    evaluation: await createUpload(),
  };
  const { files, texts } = await receiveParts(request, {
    files: {
      model: { directory: uploads.model.files },
      scores: scoreFile(uploads.scores),
      ...sampleFiles(uploads.calibration, CALIBRATION),
      ...sampleFiles(uploads.selection, SELECTION),
      ...sampleFiles(uploads.evaluation, EVALUATION),
    },
    texts: ['recipe', 'priority', 'metadata', 'webhook'],
    maxBytes,
    upload: uploads.model,
    signal,
  });
  const schemas = jobRequestSchema.shape;
  const recipe = parsePart(texts, 'recipe', schemas.recipe);
  const priority = parsePart(texts, 'priority', schemas.priority);
  const metadata = parsePart(texts, 'metadata', schemas.metadata);
  const webhook = parsePart(texts, 'webhook', schemas.webhook);
  const modelFiles = files.get('model');
  if (!modelFiles) throw unusable('model', 'the part with the model is missing');
  const model = await prepareModel(uploads.model, modelFiles, maxBytes, reader, asker);
  const scoreFiles = files.get('scores');
  const readSamples = (ask: AnalysisTasks['samples']['ask']) => reader.samples(ask, asker);
  const datasets = {
    scores: scoreFiles
      ? await prepareScores(uploads.scores, scoreFiles, maxBytes, (ask) => reader.scores(ask, asker), signal)
      : null,
    calibration: await prepareSamples(uploads.calibration, CALIBRATION, files, readSamples),
    selection: await prepareSamples(uploads.selection, SELECTION, files, readSamples),
    evaluation: await prepareSamples(uploads.evaluation, EVALUATION, files, readSamples),
  };
  const placed = (part: keyof typeof uploads, id: string) => {
    const { directory, files } = uploads[part];
    return { id, upload: { directory, files } };
  };
  const placedDataset = (part: keyof typeof datasets) => datasets[part] && placed(part, datasets[part].id);
  const inputs = {
    model: placed('model', model.id),
    scores: placedDataset('scores'),
    calibration: placedDataset('calibration'),
    selection: placedDataset('selection'),
    evaluation: placedDataset('evaluation'),
  };
  const planned = await plan(recipe, inputs, services, asker);
  signal.throwIfAborted();
  return {
    request: { ...planned, priority, metadata, ...(webhook && { webhook }) },
    async publish() {
      await store.publish('models', uploads.model, model);
      for (const part of ['scores', 'calibration', 'selection', 'evaluation'] as const) {
        const dataset = datasets[part];
        if (dataset) await store.publish('datasets', uploads[part], dataset);
      }
    },
  };
}

/** In a child, which reads the inputs itself. */
async function plan(recipe: Recipe, inputs: PlacedInputs, { reader, analyses }: Services, asker: Asker) {
  return reader.plan({ recipe, inputs, finder: await analyses.finder('structures') }, asker);
}

function parsePart<T extends z.ZodType>(
  texts: ReadonlyMap<string, Buffer>,
  part: string,
  schema: T,
): z.output<T> {
  const bytes = texts.get(part);
  const value = bytes === undefined ? undefined : parsePartJson(bytes, part);
  return parseBody(schema, value, `/${part}`);
}

function parsePartJson(bytes: Buffer, part: string): unknown {
  try {
    return parseBoundedJson(bytes, REQUEST_BOUNDS, `part ${part}`);
  } catch (error) {
    if (!(error instanceof EmpError)) throw error;
    const { message, findings } = error;
    const within = findings.map(({ path, message }) => ({ path: `/${part}${path}`, message }));
    throw new EmpError('invalid_request', message, within.length > 0 ? within : [{ path: part, message }]);
  }
}
