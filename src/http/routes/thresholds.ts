import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { FLOAT_DTYPES } from '../../core/dtype.ts';
import { EmpError } from '../../core/errors.ts';
import { preferredMediaType } from '../accept.ts';
import { type BodyRules, readBody } from '../body.ts';
import { BodyMemory, type Hold } from '../body-memory.ts';
import { numberParameter } from '../parameters.ts';
import { BINARY, describeOperation, inputSchema, reference } from '../plugins/operations.ts';
import { thresholdOptionsSchema, thresholdRequestSchema } from '../schemas.ts';
import type { App, Services } from '../services.ts';
import type { ScoreForm } from '../threshold-task.ts';
import { heapMebibytesFor, JSON_HEAP_FACTOR, ThresholdThreads } from '../threshold-threads.ts';
import { whenGone } from '../when-gone.ts';

/** 128 million float32 scores, held in memory while they are decided on. */
export const MAX_BINARY_BYTES = 512 * 1024 * 1024;

/** Of all requests at a time. */
const BODY_MEMORY_BYTES = 2 * MAX_BINARY_BYTES;

const JSON_TYPE = 'application/json';
const RAW_TYPE = 'application/octet-stream';
const NPY_TYPE = 'application/x-npy';
const TYPES = [JSON_TYPE, RAW_TYPE, NPY_TYPE];

const { sign, include } = thresholdOptionsSchema.shape;

/** Of the binary forms; a JSON body holds its options itself. */
const querySchema = z.strictObject({
  beta: numberParameter(z.number().positive()).optional().describe('Deployment knob. Default 1.'),
  sign: sign.unwrap().optional().describe('Default `abs`.'),
  include: z
    .preprocess((value) => (Array.isArray(value) ? value : String(value).split(',')), include.unwrap())
    .optional()
    .describe('`keep_mask`, `kept_indices` or both, separated by a comma.'),
  dtype: z.enum(FLOAT_DTYPES).optional().describe('Of an octet-stream body. Default `float32`.'),
  scope: z.literal('row').optional().describe('Of a 2-D `.npy` file: one group per row.'),
});
type Query = z.output<typeof querySchema>;

/** Score vectors, answered at once. In a scope of its own: it reads every body as bytes. */
export function registerThresholds(app: App, { maxJsonBytes }: Services): void {
  app.removeAllContentTypeParsers();
  const threads = new ThresholdThreads(heapMebibytesFor(maxJsonBytes), app.log);
  app.addHook('onClose', () => threads.close());
  const memory = new BodyMemory(BODY_MEMORY_BYTES);
  const holds = new WeakMap<IncomingMessage, Hold>();
  app.addHook('onRequest', async ({ raw }, reply) => {
    const hold = memory.hold();
    holds.set(raw, hold);
    reply.raw.once('close', hold.release);
  });
  app.addContentTypeParser(TYPES, async (request: FastifyRequest, payload: IncomingMessage) => {
    const hold = holdOf(request);
    const rules: BodyRules =
      request.mediaType === JSON_TYPE
        ? {
            limit: maxJsonBytes,
            advice: `JSON may have no more (MAX_JSON_BYTES); send larger vectors as ${RAW_TYPE} or ${NPY_TYPE}`,
            cost: JSON_HEAP_FACTOR,
            hold,
          }
        : { limit: MAX_BINARY_BYTES, advice: 'scores may have no more', cost: 1, hold };
    return readBody(payload, request.headers, rules);
  });

  app.post(
    '/v1/thresholds',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['thresholds'],
        operationId: 'decide',
        summary: 'Decide how many scores to keep, and which',
        description: DESCRIPTION,
        querystring: querySchema,
        ...describeOperation(
          {
            requestBody: {
              required: true,
              content: {
                [JSON_TYPE]: { schema: inputSchema(thresholdRequestSchema) },
                [RAW_TYPE]: BINARY,
                [NPY_TYPE]: BINARY,
              },
            },
            responses: {
              200: {
                headers: {
                  'EMP-Summary': {
                    schema: { type: 'string' },
                    description: 'With an octet-stream answer: the figures as JSON; of rows, their total.',
                  },
                },
                description: 'The decision.',
                content: {
                  [JSON_TYPE]: { schema: { oneOf: [reference('Threshold'), reference('ThresholdGroups')] } },
                  [RAW_TYPE]: BINARY,
                },
              },
            },
          },
          'malformed_body',
          'not_acceptable',
          'payload_too_large',
          'unsupported_media_type',
          'invalid_request',
          'empty_scores',
          'all_zero_scores',
          'non_finite_score',
          'invalid_beta',
          'unsupported_dtype',
          'malformed_npy',
          'not_ready',
        ),
      },
    },
    async (request, reply) => {
      const type = preferredMediaType(request.headers.accept, [JSON_TYPE, RAW_TYPE]);
      const task = {
        form: readForm(request, request.query),
        body: request.body as Buffer<ArrayBuffer>,
        answer: type === JSON_TYPE ? ('json' as const) : ('keep-mask' as const),
      };
      const { body, summary } = await threads.answer(task, whenGone(reply));
      holdOf(request).shrink(body.length);
      if (summary !== null) reply.header('emp-summary', summary);
      return reply
        .type(type)
        .send(typeof body === 'string' ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength));
    },
  );

  function holdOf({ raw }: FastifyRequest): Hold {
    const hold = holds.get(raw);
    if (!hold) throw new Error('a request without its hold');
    return hold;
  }
}

function readForm({ mediaType }: FastifyRequest, query: Query): ScoreForm {
  const { dtype, scope, beta = 1, sign = 'abs', include = [] } = query;
  if (mediaType === JSON_TYPE) {
    refuseParameters(query, 'a JSON body holds its options itself');
    return { kind: 'json' };
  }
  const options = { beta, sign, include };
  if (mediaType === NPY_TYPE) {
    refuseParameters({ dtype }, 'a .npy file says its own dtype');
    return { kind: 'npy', byRow: scope === 'row', options };
  }
  refuseParameters({ scope }, 'an octet-stream has no rows; send a .npy file');
  return { kind: 'raw', dtype: dtype ?? 'float32', options };
}

function refuseParameters(query: Partial<Query>, reason: string): void {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  if (given.length === 0) return;
  const names = given.map(([name]) => `?${name}`);
  throw new EmpError(
    'invalid_request',
    `${names.join(', ')}: ${reason}`,
    names.map((path) => ({ path, message: reason })),
  );
}

const DESCRIPTION = `Keeps \`n_keep = floor(beta * n_eff)\` of the scores, exactly, equal ones lowest index first.

As JSON: one array, or an object of named arrays, each decided on its own. As bytes (\`application/octet-stream\`, little-endian) or as a \`.npy\`
file the options are query parameters. JSON bodies may have 4 MiB unless the server is set otherwise, binary ones 512 MiB, decoded. Large
requests wait for their turn, first come first served; where too many wait the answer is 503 with \`Retry-After\`.

With \`Accept: application/octet-stream\` the answer is the packed keep mask, and the figures travel in the \`EMP-Summary\` header.`;
