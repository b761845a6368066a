import type { z } from 'zod';
import { EmpError, type ErrorCode } from '../core/errors.ts';
import type { FileRule, ReceivedFiles } from '../intake/received-files.ts';
import type { Asker } from '../intake/slots.ts';
import { noteUse } from '../jobs/keeping.ts';
import { isSearchId } from '../jobs/search-lines.ts';
import type { StoredRecord, Upload } from '../storage/store.ts';
import { receiveParts } from './multipart.ts';
import { describeOperation, FORM_TYPE, type OperationDetails } from './plugins/operations.ts';
import {
  found,
  nameOf,
  nounOf,
  pageQueryOf,
  type Resource,
  registerResource,
  sendWhole,
  type View,
} from './resource-routes.ts';
import type { App, Services } from './services.ts';
import { whenGone } from './when-gone.ts';

/** What a client uploads: named by content, never changed, and used by jobs. */
export interface UploadedResource<Entry extends z.ZodType, Whole extends z.ZodType, R extends StoredRecord>
  extends Omit<Resource<Entry, Whole>, 'querySchema' | 'list' | 'remove'> {
  readonly texts: Resource<Entry, Whole>['texts'] & {
    readonly upload: { readonly summary: string; readonly description: string };
  };
  /** The schema of the form, beside its type. */
  readonly form: object;
  readonly responses?: OperationDetails['responses'];
  /** Beside those that every upload may meet. */
  readonly problems: readonly ErrorCode[];
  /** Where the files of each part are to be received. */
  partsOf(upload: Upload): Readonly<Record<string, FileRule>>;
  /**
   * Makes of the files a resource ready to be published, and gives its record.
   * @throws EmpError for files that make none; the reason of the asker's signal
   */
  prepare(upload: Upload, files: ReceivedFiles, asker: Asker): Promise<R>;
}

/** `POST /v1/<kind>`, and the routes that every resource has. One that an unfinished job uses stays. */
export function registerUploadedResource<
  Entry extends z.ZodType,
  Whole extends z.ZodType,
  R extends StoredRecord & View<Entry>,
>(app: App, services: Services, resource: UploadedResource<Entry, Whole, R>): void {
  const { analyses, maxUploadBytes } = services;
  const { kind, texts, form, responses, problems } = resource;
  const schema: z.ZodType = resource.schema;

  app.post(
    `/v1/${kind}`,
    {
      config: { scope: 'write' },
      schema: {
        tags: [kind],
        operationId: `upload${nameOf(kind)}`,
        ...texts.upload,
        response: { 200: schema, 201: schema },
        ...describeOperation(
          {
            requestBody: {
              required: true,
              content: { [FORM_TYPE]: { schema: { type: 'object', ...form } } },
            },
            responses: { ...responses },
          },
          'malformed_body',
          'payload_too_large',
          'unsupported_media_type',
          'invalid_request',
          ...problems,
          'insufficient_storage',
          'quota_exceeded',
          'not_ready',
        ),
      },
    },
    async (request, reply) => {
      const gone = whenGone(reply);
      const { tenant } = request;
      const { store } = tenant;
      const upload = await store.createUpload();
      try {
        const files = resource.partsOf(upload);
        const rules = { files, texts: [], maxBytes: maxUploadBytes, upload, signal: gone };
        const received = await receiveParts(request, rules);
        const record = await resource.prepare(upload, received.files, {
          client: request.ip,
          tenant: tenant.tenant,
          signal: AbortSignal.any([services.closing, gone]),
        });
        gone.throwIfAborted();
        const published = await store.publish(kind, upload, record);
        if (!published.created) await noteUse(store, kind, record.id);
        reply.code(published.created ? 201 : 200).header('location', `/v1/${kind}/${record.id}`);
        // That which stands: the same files may have come before.
        return sendWhole(reply, found(kind, record.id, await resource.get(tenant, record.id)));
      } finally {
        // After publishing there is nothing left of it.
        await upload.discard();
      }
    },
  );

  registerResource<Entry, Whole>(app, {
    ...resource,
    querySchema: pageQueryOf(kind),
    list: ({ store }, { limit, cursor }) => store.listRecords<R>(kind, limit, cursor),
    async remove({ tenant, store, jobs }, id) {
      if (!(await store.readRecord(kind, id))) return false;
      const refuseNeeded = async () => {
        const user = await jobs.neededBy(id);
        if (user === null) return false;
        const noun = nounOf(isSearchId(user) ? 'searches' : 'jobs');
        throw new EmpError(
          'conflict',
          `${noun} ${user} uses ${nounOf(kind)} ${id}: cancel it or wait for its end`,
        );
      };
      await refuseNeeded();
      // Again once it is gone: a job that came in between has it back.
      const removed = (await store.remove(kind, id, refuseNeeded)) === true;
      if (removed && kind === 'models') analyses.end(tenant, id);
      return removed;
    },
  });
}
