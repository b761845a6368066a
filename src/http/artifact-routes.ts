import { z } from 'zod';
import { EmpError } from '../core/errors.ts';
import type { Job } from '../jobs/job.ts';
import type { TenantServices } from '../jobs/tenants.ts';
import type { FileRange, Kind } from '../storage/store.ts';
import { BINARY, describeOperation } from './plugins/operations.ts';
import { idParamsSchema } from './resource-routes.ts';
import { sendFile } from './send-file.ts';
import type { App } from './services.ts';

/** Whose artifacts are served. */
interface ArtifactRoute {
  readonly kind: Kind;
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  /** The job that made them. @throws EmpError not_found */
  find(id: string, tenant: TenantServices): Promise<Job>;
}

/** `GET /v1/<kind>/:id/artifacts/:name`. */
export function registerArtifacts(
  app: App,
  { kind, operationId, summary, description, find }: ArtifactRoute,
): void {
  app.route({
    method: ['GET', 'HEAD'],
    url: `/v1/${kind}/:id/artifacts/:name`,
    config: { scope: 'read' },
    schema: {
      tags: [kind],
      operationId,
      summary,
      description: `${description} \`ETag\`, \`If-None-Match\`, \`Range\`, \`If-Range\` and HEAD are supported.`,
      params: idParamsSchema.extend({ name: z.string() }),
      ...describeOperation(
        {
          parameters: ['Range', 'If-Range', 'If-None-Match'].map((name) => ({
            name,
            in: 'header',
            schema: { type: 'string' },
          })),
          responses: {
            200: {
              description: 'The file.',
              headers: {
                ETag: { schema: { type: 'string' }, description: "The content's SHA-256, quoted." },
                'Accept-Ranges': { schema: { type: 'string', const: 'bytes' } },
                'Content-Disposition': { schema: { type: 'string' } },
              },
              content: {
                'application/octet-stream': BINARY,
                'application/json': { schema: { type: 'object' } },
                'text/html': { schema: { type: 'string' } },
              },
            },
            206: {
              description: 'The range that was asked for.',
              headers: { 'Content-Range': { schema: { type: 'string' } } },
              content: { 'application/octet-stream': BINARY },
            },
            304: { description: 'The file that `If-None-Match` names.' },
          },
        },
        'not_found',
        'range_not_satisfiable',
      ),
    },
    handler: async (request, reply) => {
      const { tenant } = request;
      const { name } = request.params;
      const { id, status, artifacts } = await find(request.params.id, tenant);
      const artifact = artifacts.find((candidate) => candidate.name === name);
      if (!artifact) throw new EmpError('not_found', `job ${id} (${status}) has no artifact ${name}`);
      const read = (range: FileRange) => tenant.store.readFile('jobs', id, name, range);
      return sendFile(request, reply, artifact, artifact.media_type, read);
    },
  });
}
