import { join } from 'node:path';
import { z } from 'zod';
import { EmpError } from '../../core/errors.ts';
import type { DatasetRecord } from '../../storage/records.ts';
import { prepareScores } from '../dataset-upload.ts';
import { receiveParts } from '../multipart.ts';
import { describeOperation } from '../plugins/operations.ts';
import { datasetSchema, idParamsSchema, pageQuerySchema, pageSchema } from '../schemas.ts';
import type { App, Services } from '../services.ts';

const UPLOAD_CONTENT = {
  'multipart/form-data': {
    schema: {
      type: 'object',
      required: ['scores'],
      properties: {
        scores: {
          type: 'string',
          format: 'binary',
          description: 'A `.safetensors` or `.npz` file with one array per tensor, of its name and shape.',
        },
      },
    },
  },
};

/** Datasets: arrays that jobs use. So far those are scores, for criterion `scores`. */
export function registerDatasets(app: App, { store, jobs, maxUploadBytes }: Services): void {
  app.post(
    '/v1/datasets',
    {
      schema: {
        tags: ['datasets'],
        operationId: 'uploadDataset',
        summary: 'Upload scores',
        description: 'The same file again answers 200 with the dataset that is there.',
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
          'insufficient_storage',
        ),
      },
    },
    async (request, reply) => {
      const upload = await store.createUpload();
      try {
        const { files } = await receiveParts(request, {
          files: { scores: join(upload.directory, 'files') },
          texts: [],
          maxBytes: maxUploadBytes,
        });
        const { record } = await prepareScores(upload, files.get('scores') ?? [], maxUploadBytes);
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

function viewOf(record: DatasetRecord) {
  return {
    ...record,
    arrays: record.arrays.map(({ name, shape, dtype }) => ({ name, shape: [...shape], dtype })),
  };
}

function noDataset(id: string): EmpError {
  return new EmpError('not_found', `there is no dataset ${id}`);
}
