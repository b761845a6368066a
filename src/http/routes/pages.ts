import { z } from 'zod';
import { EmpError } from '../../core/errors.ts';
import { describeOperation } from '../plugins/operations.ts';
import { isErrorCode, PROBLEMS } from '../problem.ts';
import type { App } from '../services.ts';

/** The machine-readable description, what `type` of a problem points to, and the way from `/` to something to read. */
export function registerPages(app: App): void {
  app.get('/', { schema: { hide: true } }, async (_request, reply) => reply.redirect('/docs'));

  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());

  app.get(
    '/problems/:code',
    {
      schema: {
        tags: ['service'],
        operationId: 'getProblemType',
        summary: 'What a problem type means',
        params: z.object({ code: z.string() }),
        response: { 200: z.object({ code: z.string(), status: z.int(), title: z.string() }) },
        ...describeOperation({}, 'not_found'),
      },
    },
    async ({ params: { code } }) => {
      if (!isErrorCode(code)) throw new EmpError('not_found', `there is no problem ${code}`);
      return { code, ...PROBLEMS[code] };
    },
  );
}
