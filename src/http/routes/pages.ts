import { readFile } from 'node:fs/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { EmpError } from '../../core/errors.ts';
import { FRONT_PAGE_CONTENT } from '../content-headers.ts';
import { type Asset, acceptedEncoding, pageAssets } from '../page-assets.ts';
import { describeOperation } from '../plugins/operations.ts';
import { isErrorCode, PROBLEMS } from '../problem.ts';
import { matchesEtag } from '../send-file.ts';
import type { App } from '../services.ts';

const EXAMPLES = new URL('../../../examples/', import.meta.url);
/** What the page offers to try; nothing else of the folder is served. */
const EXAMPLE_FILES: readonly string[] = [
  'fc2-mnist.onnx',
  'mnist/calibration_inputs.npy',
  'mnist/evaluation_inputs.npy',
  'mnist/evaluation_labels.npy',
];
/** A name has a hash of its content. */
const FOR_EVER = 'public, max-age=31536000, immutable';

/** The page at `/`, what it loads, the machine-readable description, and what `type` of a problem points to. */
export function registerPages(app: App): void {
  app.get('/', { config: { scope: 'public' }, schema: { hide: true } }, async (request, reply) => {
    const { document } = await pageAssets();
    reply.headers({ ...FRONT_PAGE_CONTENT, 'cache-control': 'no-cache' });
    return sendAsset(request, reply, document);
  });

  app.get(
    '/assets/:name',
    { config: { scope: 'public' }, schema: { hide: true, params: z.object({ name: z.string() }) } },
    async (request, reply) => {
      const { name } = request.params;
      const asset = (await pageAssets()).files.get(name);
      if (!asset) throw new EmpError('not_found', `there is nothing at /assets/${name}`);
      reply.header('cache-control', FOR_EVER);
      return sendAsset(request, reply, asset);
    },
  );

  app.get(
    '/examples/*',
    { config: { scope: 'public' }, schema: { hide: true, params: z.object({ '*': z.string() }) } },
    async ({ params }, reply) => {
      const name = params['*'];
      if (!EXAMPLE_FILES.includes(name)) throw new EmpError('not_found', `there is no example ${name}`);
      reply.header('cache-control', 'no-cache');
      return reply.type('application/octet-stream').send(await readFile(new URL(name, EXAMPLES)));
    },
  );

  app.get('/openapi.json', { config: { scope: 'public' }, schema: { hide: true } }, async () =>
    app.swagger(),
  );

  app.get(
    '/problems/:code',
    {
      config: { scope: 'public' },
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

function sendAsset(request: FastifyRequest, reply: FastifyReply, asset: Asset): FastifyReply {
  const encoding = acceptedEncoding(request.headers['accept-encoding']);
  reply.headers({ etag: asset.etag, vary: 'Accept-Encoding' });
  if (matchesEtag(request.headers['if-none-match'], asset.etag.replace('W/', '')))
    return reply.code(304).send();
  if (encoding !== null) reply.header('content-encoding', encoding);
  return reply.type(asset.type).send(encoding === null ? asset.plain : asset.encoded[encoding]);
}
