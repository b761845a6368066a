import { EmpError } from '../../core/errors.ts';
import type { ModelRecord } from '../../storage/records.ts';
import { structureOverviewSchema } from '../../structure/overview.ts';
import { describeOperation } from '../plugins/operations.ts';
import { found, idParamsSchema } from '../resource-routes.ts';
import { sendJson } from '../send-json.ts';
import type { App, Services } from '../services.ts';
import { whenGone } from '../when-gone.ts';

/** What can be removed from a model whole, before any job. */
export function registerStructures(app: App, { analyses, closing }: Services): void {
  app.get(
    '/v1/models/:id/structures',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['models'],
        operationId: 'getModelStructures',
        summary: 'What can be removed from a model: channels, heads, nodes',
        description:
          'ONNX only. The first request runs the graph without its weights, which takes about a second, a minute at most; later ones are answered from what it found.',
        params: idParamsSchema,
        response: { 200: structureOverviewSchema },
        ...describeOperation(
          {},
          'not_found',
          'unsupported_model',
          'malformed_onnx',
          'missing_file',
          'limit_exceeded',
          'not_ready',
        ),
      },
    },
    async ({ ip, tenant: { tenant, store }, params: { id } }, reply) => {
      const model = found('models', id, await store.readRecord<ModelRecord>('models', id));
      if (model.format !== 'onnx') {
        const message = `a ${model.format} file holds no graph to find structures in: upload the ONNX export`;
        throw new EmpError('unsupported_model', message, [{ path: model.name, message }]);
      }
      const signal = AbortSignal.any([closing, whenGone(reply)]);
      return sendJson(reply, await analyses.of('structures', model, { client: ip, tenant, signal }));
    },
  );
}
