import { z } from 'zod';
import { EmpError } from '../../core/errors.ts';
import { prepareSamples, sampleFiles } from '../../intake/prepare-samples.ts';
import { prepareScores, scoreFile } from '../../intake/prepare-scores.ts';
import type { ArrayRecord, DatasetRecord } from '../../storage/records.ts';
import type { Upload } from '../../storage/store.ts';
import { type ReceivedParts, receiveParts } from '../multipart.ts';
import { describeOperation } from '../plugins/operations.ts';
import { type DatasetView, datasetSchema, idParamsSchema, pageQuerySchema, pageSchema } from '../schemas.ts';
import type { App, Services } from '../services.ts';

const SAMPLES = { inputs: 'inputs', labels: 'labels' };

const UPLOAD_CONTENT = {
  'multipart/form-data': {
    schema: {
      type: 'object',
      oneOf: [{ required: ['inputs'] }, { required: ['scores'] }],
      properties: {
        inputs: {
          type: 'array',
          items: { type: 'string', format: 'binary' },
          description:
            "One `.npy` file per model input; the filename without `.npy` is the input's name (a model with one input takes any). Axis 0 counts the samples.",
        },
        labels: {
          type: 'string',
          format: 'binary',
          description:
            "A `.npy` file beside `inputs`: class ids `[samples]` or next tokens `[samples, positions]`, or numbers of the output's shape: floats for squared errors, or for a model that ends in Sigmoid 0 to 1 for binary cross-entropy. -100 marks what does not count, except in squared errors.",
        },
        scores: {
          type: 'string',
          format: 'binary',
          description: 'A `.safetensors` or `.npz` file with one array per tensor, of its name and shape.',
        },
      },
    },
  },
};

/** Datasets: arrays that jobs use, either samples to run models on or scores. */
export function registerDatasets(app: App, { store, jobs, maxUploadBytes }: Services): void {
  app.post(
    '/v1/datasets',
    {
      schema: {
        tags: ['datasets'],
        operationId: 'uploadDataset',
        summary: 'Upload samples or scores',
        description:
          'Samples to run a model on (`inputs`, and `labels` where there are any), or `scores`. The same files again answer 200 with the dataset that is there.',
        response: { 200: datasetSchema, 201: datasetSchema },
        ...describeOperation(
          { requestBody: { required: true, content: UPLOAD_CONTENT } },
          'malformed_body',
          'payload_too_large',
          'unsupported_media_type',
          'invalid_request',
          'malformed_npz',
          'malformed_npy',
          'malformed_safetensors',
          'unsupported_dtype',
          'invalid_labels',
          'insufficient_storage',
        ),
      },
    },
    async (request, reply) => {
      const upload = await store.createUpload();
      try {
        const { files } = await receiveParts(request, {
          files: { ...sampleFiles(upload, SAMPLES), scores: scoreFile(upload) },
          texts: [],
          maxBytes: maxUploadBytes,
        });
        const record = await prepare(upload, files, maxUploadBytes);
        const published = await store.publish('datasets', upload, record);
        reply.code(published.created ? 201 : 200).header('location', `/v1/datasets/${record.id}`);
        return viewOf(published.record);
      } finally {
        // After publishing there is nothing left of it.
        await upload.discard();
      }
    },
  );

  app.get(
    '/v1/datasets',
    {
      schema: {
        tags: ['datasets'],
        operationId: 'listDatasets',
        summary: 'List datasets',
        querystring: pageQuerySchema,
        response: { 200: pageSchema(datasetSchema) },
        ...describeOperation({}, 'invalid_request'),
      },
    },
    async ({ query: { limit, cursor } }) => {
      const { data, next_cursor } = await store.listRecords<DatasetRecord>('datasets', limit, cursor);
      return { data: data.map(viewOf), next_cursor };
    },
  );

  app.get(
    '/v1/datasets/:id',
    {
      schema: {
        tags: ['datasets'],
        operationId: 'getDataset',
        summary: 'A dataset and its arrays',
        params: idParamsSchema,
        response: { 200: datasetSchema },
        ...describeOperation({}, 'not_found'),
      },
    },
    async ({ params: { id } }) => viewOf(await readDataset(id)),
  );

  app.delete(
    '/v1/datasets/:id',
    {
      schema: {
        tags: ['datasets'],
        operationId: 'deleteDataset',
        summary: 'Delete a dataset',
        description: 'Refused while a queued or running job uses it.',
        params: idParamsSchema,
        response: { 204: z.null().describe('Deleted.') },
        ...describeOperation({}, 'not_found', 'conflict'),
      },
    },
    async ({ params: { id } }, reply) => {
      await readDataset(id);
      if (await jobs.isNeeded(id))
        throw new EmpError('conflict', `a queued or running job uses dataset ${id}: cancel it or wait`);
      if (!(await store.remove('datasets', id))) throw noDataset(id);
      return reply.code(204).send(null);
    },
  );

  async function readDataset(id: string): Promise<DatasetRecord> {
    const record = await store.readRecord<DatasetRecord>('datasets', id);
    if (!record) throw noDataset(id);
    return record;
  }
}

/** @throws EmpError also where not exactly one kind of dataset came */
async function prepare(
  upload: Upload,
  files: ReceivedParts['files'],
  maxBytes: number,
): Promise<DatasetRecord> {
  const scores = files.get('scores');
  const given = [...files.keys()];
  if (scores && given.length > 1) {
    const others = given.filter((part) => part !== 'scores');
    throw new EmpError(
      'invalid_request',
      `a dataset holds either scores or samples: send ${others.join(' and ')} without scores`,
      given.map((path) => ({ path, message: 'is given beside parts of the other kind' })),
    );
  }
  if (scores) return (await prepareScores(upload, scores, maxBytes)).record;
  const samples = await prepareSamples(upload, SAMPLES, files);
  if (samples) return samples.record;
  const advice = 'give inputs (one .npy file per model input), or scores (.safetensors or .npz)';
  throw new EmpError('invalid_request', `the request has no files: ${advice}`, [
    { path: 'inputs', message: 'is missing, and so is scores' },
  ]);
}

function viewOf(record: DatasetRecord): DatasetView {
  if (record.kind === 'scores') return { ...record, arrays: record.arrays.map(viewOfArray) };
  const { inputs, labels } = record;
  return {
    ...record,
    inputs: inputs.map(viewOfArray),
    labels: labels && { shape: [...labels.shape], dtype: labels.dtype },
  };
}

function viewOfArray({ name, shape, dtype }: ArrayRecord) {
  return { name, shape: [...shape], dtype };
}

function noDataset(id: string): EmpError {
  return new EmpError('not_found', `there is no dataset ${id}`);
}
