import { modelNEffSchema } from '../../pipeline/weights/n-eff.ts';
import type { ModelRecord } from '../../storage/records.ts';
import { describeOperation } from '../plugins/operations.ts';
import { found, idParamsSchema } from '../resource-routes.ts';
import { sendJson } from '../send-json.ts';
import type { App, Services } from '../services.ts';
import { whenGone } from '../when-gone.ts';

/** What EMP by magnitude would keep of a model, before any job. */
export function registerNEff(app: App, { analyses, closing }: Services): void {
  app.get(
    '/v1/models/:id/n-eff',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['models'],
        operationId: 'getModelNEff',
        summary: 'N_eff of every prunable tensor, and of the whole model',
        description:
          'By magnitude at beta 1: the figures of a dry run with scope `layer`, and in `total` with scope `global`. The first request reads the weights once, a minute at most; later ones are answered from what it found.',
        params: idParamsSchema,
        response: { 200: modelNEffSchema },
        ...describeOperation(
          {},
          'not_found',
          'no_prunable_tensors',
          'non_finite_score',
          'limit_exceeded',
          'not_ready',
          'insufficient_storage',
        ),
      },
    },
    async ({ ip, tenant: { tenant, store }, params: { id } }, reply) => {
      const model = found('models', id, await store.readRecord<ModelRecord>('models', id));
      const signal = AbortSignal.any([closing, whenGone(reply)]);
      return sendJson(reply, await analyses.of('n-eff', model, { client: ip, tenant, signal }));
    },
  );
}
