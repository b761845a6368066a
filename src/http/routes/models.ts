import { pipeline } from 'node:stream/promises';
import type { FastifyReply } from 'fastify';
import { pack } from 'tar-stream';
import { EmpError } from '../../core/errors.ts';
import type { ModelInventory } from '../../formats/model.ts';
import { prepareModel } from '../../intake/prepare-model.ts';
import { MAX_FILES } from '../../intake/received-files.ts';
import { TENSORS_DOCUMENT } from '../../intake/upload-documents.ts';
import type { ModelRecord } from '../../storage/records.ts';
import type { FileRange, Store } from '../../storage/store.ts';
import { UPLOADED_CONTENT } from '../content-headers.ts';
import { BINARY, describeOperation, filesPart } from '../plugins/operations.ts';
import { found, idParamsSchema } from '../resource-routes.ts';
import { modelSchema, modelSummarySchema } from '../schemas.ts';
import { contentDisposition, sendFile } from '../send-file.ts';
import type { App, Services } from '../services.ts';
import { withDocument } from '../stored-json.ts';
import { registerUploadedResource } from '../upload-routes.ts';

const FORM = {
  required: ['file'],
  properties: {
    file: filesPart(
      `One \`.onnx\` or \`.safetensors\` file, a \`.tar\` or \`.zip\` of a model, or all files of a model: external data, shards and their index. At most ${MAX_FILES} files; of an archive only what the model names is unpacked.`,
    ),
  },
};

const LOCATION = { Location: { schema: { type: 'string' }, description: 'The path of the resource.' } };

/** Models: uploaded once, named by content, never changed. */
export function registerModels(app: App, services: Services): void {
  const { reader, maxUploadBytes } = services;

  registerUploadedResource(app, services, {
    kind: 'models',
    entrySchema: modelSummarySchema,
    schema: modelSchema,
    texts: {
      upload: {
        summary: 'Upload a model',
        description:
          'Streamed to storage. The id names the content: uploading the same files again answers 200 with the model that is there.',
      },
      get: { summary: 'A model and its tensors' },
      delete: {
        summary: 'Delete a model',
        description:
          'Refused while a job or search that has not ended uses it. Finished jobs keep their artifacts.',
      },
    },
    form: FORM,
    responses: {
      200: { description: 'The model was there already.', headers: LOCATION },
      201: { description: 'The model was stored.', headers: LOCATION },
    },
    problems: [
      'malformed_onnx',
      'malformed_safetensors',
      'malformed_archive',
      'missing_file',
      'unsupported_model',
      'limit_exceeded',
    ],
    partsOf: ({ files }) => ({ file: { directory: files } }),
    async prepare(upload, files, asker) {
      const received = files.get('file');
      if (!received)
        throw new EmpError('invalid_request', 'the request has no part named file', [
          { path: 'file', message: 'is missing' },
        ]);
      return prepareModel(upload, received, maxUploadBytes, reader, asker);
    },
    async get({ store }, id) {
      const record = await store.readRecord<ModelRecord>('models', id);
      if (!record) return null;
      const tensors = await store.openDocument('models', id, TENSORS_DOCUMENT);
      if (tensors) return withDocument(record, 'tensors', tensors);
      // Of an earlier version.
      const inventory = await store.readJson<ModelInventory>('models', id, 'inventory.json');
      return inventory && { ...record, tensors: inventory.tensors };
    },
  });

  app.route({
    method: ['GET', 'HEAD'],
    url: '/v1/models/:id/content',
    config: { scope: 'read' },
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
      const { store } = request.tenant;
      const record = found('models', id, await store.readRecord<ModelRecord>('models', id));
      const [file, ...others] = record.files;
      if (others.length > 0) return sendTar(request.method, reply, store, record);
      const read = (range: FileRange) => store.readFile('models', id, file.name, range);
      return sendFile(request, reply, file, 'application/octet-stream', read);
    },
  });

  function sendTar(method: string, reply: FastifyReply, store: Store, record: ModelRecord): FastifyReply {
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
