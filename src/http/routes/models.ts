import { pipeline } from 'node:stream/promises';
import type { FastifyReply } from 'fastify';
import { pack } from 'tar-stream';
import { z } from 'zod';
import { EmpError } from '../../core/errors.ts';
import type { ModelInventory } from '../../formats/model.ts';
import { prepareModel } from '../../intake/prepare-model.ts';
import type { ModelRecord } from '../../storage/records.ts';
import { UPLOADED_CONTENT } from '../content-headers.ts';
import { receiveParts } from '../multipart.ts';
import { BINARY, describeOperation } from '../plugins/operations.ts';
import { idParamsSchema, modelSchema, modelSummarySchema, pageQuerySchema, pageSchema } from '../schemas.ts';
import { contentDisposition, sendFile } from '../send-file.ts';
import type { App, Services } from '../services.ts';

const UPLOAD_CONTENT = {
  'multipart/form-data': {
    schema: {
      type: 'object',
      required: ['file'],
      properties: {
        file: {
          type: 'array',
          items: { type: 'string', format: 'binary' },
          description:
            'One `.onnx` or `.safetensors` file, a `.tar` or `.zip` of a model, or all files of a model: external data, shards and their index.',
        },
      },
    },
  },
};

const LOCATION = { Location: { schema: { type: 'string' }, description: 'The path of the resource.' } };

/** Models: uploaded once, named by content, never changed. */
export function registerModels(app: App, { store, jobs, analyses, maxUploadBytes }: Services): void {
  app.post(
    '/v1/models',
    {
      schema: {
        tags: ['models'],
        operationId: 'uploadModel',
        summary: 'Upload a model',
        description:
          'Streamed to storage. The id names the content: uploading the same files again answers 200 with the model that is there.',
        response: { 200: modelSchema, 201: modelSchema },
        ...describeOperation(
          {
            requestBody: { required: true, content: UPLOAD_CONTENT },
            responses: {
              200: { description: 'The model was there already.', headers: LOCATION },
              201: { description: 'The model was stored.', headers: LOCATION },
            },
          },
          'malformed_body',
          'payload_too_large',
          'unsupported_media_type',
          'invalid_request',
          'malformed_onnx',
          'malformed_safetensors',
          'malformed_archive',
          'missing_file',
          'unsupported_model',
          'insufficient_storage',
        ),
      },
    },
    async (request, reply) => {
      const upload = await store.createUpload();
      try {
        const { files } = await receiveParts(request, {
          files: { file: { directory: upload.files } },
          texts: [],
          maxBytes: maxUploadBytes,
        });
        const received = files.get('file');
        if (!received)
          throw new EmpError('invalid_request', 'the request has no part named file', [
            { path: 'file', message: 'is missing' },
          ]);
        const { record, inventory } = await prepareModel(upload, received, maxUploadBytes);
        const published = await store.publish('models', upload, record);
        reply.code(published.created ? 201 : 200).header('location', `/v1/models/${record.id}`);
        return { ...summaryOf(published.record), ...tensorsOf(inventory) };
      } finally {
        // After publishing there is nothing left of it.
        await upload.discard();
      }
    },
  );

  app.get(
    '/v1/models',
    {
      schema: {
        tags: ['models'],
        operationId: 'listModels',
        summary: 'List models',
        querystring: pageQuerySchema,
        response: { 200: pageSchema(modelSummarySchema) },
        ...describeOperation({}, 'invalid_request'),
      },
    },
    async ({ query: { limit, cursor } }) => {
      const { data, next_cursor } = await store.listRecords<ModelRecord>('models', limit, cursor);
      return { data: data.map(summaryOf), next_cursor };
    },
  );

  app.get(
    '/v1/models/:id',
    {
      schema: {
        tags: ['models'],
        operationId: 'getModel',
        summary: 'A model and its tensors',
        params: idParamsSchema,
        response: { 200: modelSchema },
        ...describeOperation({}, 'not_found'),
      },
    },
    async ({ params: { id } }) => {
      const record = await readModel(id);
      const inventory = await store.readJson<ModelInventory>('models', id, 'inventory.json');
      if (!inventory) throw noModel(id);
      return { ...summaryOf(record), ...tensorsOf(inventory) };
    },
  );

  app.route({
    method: ['GET', 'HEAD'],
    url: '/v1/models/:id/content',
    schema: {
      tags: ['models'],
      operationId: 'getModelContent',
      summary: "A model's file, or a tar of its files",
      params: idParamsSchema,
      ...describeOperation(
        {
          responses: {
            200: {
              description: 'The file as it was uploaded; several files as a tar.',
              content: { 'application/octet-stream': BINARY, 'application/x-tar': BINARY },
            },
            206: {
              description: 'The range that was asked for; of one file only.',
              content: { 'application/octet-stream': BINARY },
            },
            304: { description: 'The content that `If-None-Match` names.' },
          },
        },
        'not_found',
        'range_not_satisfiable',
      ),
    },
    handler: async (request, reply) => {
      const { id } = request.params;
      const record = await readModel(id);
      const [file, ...others] = record.files;
      if (!file) throw noModel(id);
      if (others.length > 0) return sendTar(request.method, reply, record);
      return sendFile(request, reply, {
        read: (range) => store.readFile('models', id, file.name, range),
        name: file.name,
        mediaType: 'application/octet-stream',
        size: file.size_bytes,
        sha256: file.sha256,
      });
    },
  });

  app.delete(
    '/v1/models/:id',
    {
      schema: {
        tags: ['models'],
        operationId: 'deleteModel',
        summary: 'Delete a model',
        description: 'Refused while a queued or running job uses it. Finished jobs keep their artifacts.',
        params: idParamsSchema,
        response: { 204: z.null().describe('Deleted.') },
        ...describeOperation({}, 'not_found', 'conflict'),
      },
    },
    async ({ params: { id } }, reply) => {
      await readModel(id);
      if (await jobs.isNeeded(id))
        throw new EmpError('conflict', `a queued or running job uses model ${id}: cancel it or wait`);
      if (!(await store.remove('models', id))) throw noModel(id);
      analyses.end(id);
      return reply.code(204).send(null);
    },
  );

  async function readModel(id: string): Promise<ModelRecord> {
    const record = await store.readRecord<ModelRecord>('models', id);
    if (!record) throw noModel(id);
    return record;
  }

  function sendTar(method: string, reply: FastifyReply, record: ModelRecord): FastifyReply {
    const name = `${record.name.replace(/\.[^/]*$/, '')}.tar`;
    reply.type('application/x-tar').headers({
      etag: `"${record.sha256}-tar"`,
      'content-disposition': contentDisposition(name),
      ...UPLOADED_CONTENT,
    });
    if (method === 'HEAD') return reply.send();
    const archive = pack();
    const write = async () => {
      for (const file of record.files) {
        // The time is left out, so that the same model gives the same bytes.
        const entry = archive.entry({ name: file.name, size: file.size_bytes, mtime: new Date(0) });
        await pipeline(store.readFile('models', record.id, file.name), entry);
      }
      archive.finalize();
    };
    write().catch((error) => archive.destroy(error));
    return reply.send(archive);
  }
}

function summaryOf(record: ModelRecord) {
  return { ...record, files: [...record.files] };
}

/** What clients see of the inventory: not where the bytes lie. */
function tensorsOf({ tensors }: ModelInventory) {
  return {
    tensors: tensors.map(({ name, shape, dtype, role, prunable }) => ({
      name,
      shape: [...shape],
      dtype,
      role,
      prunable,
    })),
  };
}

function noModel(id: string): EmpError {
  return new EmpError('not_found', `there is no model ${id}`);
}
