import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { FLOAT_DTYPES } from '../../core/dtype.ts';
import { EmpError } from '../../core/errors.ts';
import { decide, decideRows } from '../../core/threshold.ts';
import { preferredMediaType } from '../accept.ts';
import { readBody } from '../body.ts';
import { BodyMemory, type Hold } from '../body-memory.ts';
import { BINARY, describeOperation, inputSchema, reference } from '../plugins/operations.ts';
import { thresholdOptionsSchema, thresholdRequestSchema } from '../schemas.ts';
import { parseJsonScores, parseNpyScores, rawScores, type ScoreInput } from '../score-input.ts';
import type { App } from '../services.ts';
import {
  figuresOf,
  groupsJson,
  joinKeepMasks,
  type NamedDecision,
  totalOf,
  vectorJson,
} from '../threshold-response.ts';

/** JSON.parse holds the event loop, a tenth of a second for this much; larger vectors are better sent as bytes anyway. */
export const MAX_JSON_BYTES = 32 * 1024 * 1024;
/** 128 million float32 scores, held in memory while they are decided on. */
export const MAX_BINARY_BYTES = 512 * 1024 * 1024;

/** Of all bodies at a time. */
const BODY_MEMORY_BYTES = 2 * MAX_BINARY_BYTES;

const JSON_TYPE = 'application/json';
const RAW_TYPE = 'application/octet-stream';
const NPY_TYPE = 'application/x-npy';
const TYPES = [JSON_TYPE, RAW_TYPE, NPY_TYPE];

const { sign, include } = thresholdOptionsSchema.shape;

/** Of the binary forms; a JSON body holds its options itself. */
const querySchema = z.strictObject({
  beta: z.coerce.number().positive().optional().describe('Deployment knob. Default 1.'),
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
export function registerThresholds(app: App): void {
  app.removeAllContentTypeParsers();
  const memory = new BodyMemory(BODY_MEMORY_BYTES);
  const holds = new WeakMap<IncomingMessage, Hold>();
  app.addHook('onRequest', async ({ raw }, reply) => {
    const hold = memory.hold();
    holds.set(raw, hold);
    reply.raw.once('close', hold.release);
  });
  app.addContentTypeParser(TYPES, async (request: FastifyRequest, payload: IncomingMessage) => {
    const hold = holds.get(request.raw);
    if (!hold) throw new Error('a request without its hold');
    const limit = request.mediaType === JSON_TYPE ? MAX_JSON_BYTES : MAX_BINARY_BYTES;
    return readBody(payload, request.headers, limit, hold);
  });
  app.addContentTypeParser('*', async (request: FastifyRequest) => {
    throw unsupported(request);
  });

  app.post(
    '/v1/thresholds',
    {
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
            parameters: [
              {
                name: 'Content-Encoding',
                in: 'header',
                schema: { type: 'string', enum: ['gzip', 'zstd', 'br', 'identity'] },
                description: 'The limits on a body count its decoded bytes.',
              },
            ],
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
      const answer = preferredMediaType(request.headers.accept, [JSON_TYPE, RAW_TYPE]);
      const { input, options } = readInput(request, request.query);
      if (answer === RAW_TYPE && input.kind === 'groups') {
        throw new EmpError(
          'not_acceptable',
          'the masks of named groups come as JSON; one vector or the rows of a matrix as an octet-stream',
          [{ path: 'Accept', message: `must allow ${JSON_TYPE} for named groups` }],
        );
      }
      const decisions = await decideEach(input, options);
      const [only] = decisions;
      const isVector = input.kind === 'vector';
      reply.type(answer);
      if (answer === JSON_TYPE)
        return reply.send(
          isVector ? vectorJson(only, options.include) : groupsJson(decisions, options.include),
        );
      const summary = isVector ? figuresOf(only) : { total: totalOf(decisions) };
      return reply.header('emp-summary', JSON.stringify(summary)).send(joinKeepMasks(decisions));
    },
  );
}

type Options = z.output<typeof thresholdOptionsSchema>;

function readInput(request: FastifyRequest, query: Query): { input: ScoreInput; options: Options } {
  const type = request.mediaType;
  const body = request.body instanceof Uint8Array ? (request.body as Buffer<ArrayBuffer>) : null;
  if (!body) throw type ? new EmpError('malformed_body', 'the request has no body') : unsupported(request);
  const { dtype, scope, beta = 1, sign = 'abs', include = [] } = query;
  if (type === JSON_TYPE) {
    refuseParameters(query, 'a JSON body holds its options itself');
    return parseJsonScores(body);
  }
  const options = { beta, sign, include };
  if (type === NPY_TYPE) {
    refuseParameters({ dtype }, 'a .npy file says its own dtype');
    return { input: parseNpyScores(body, scope === 'row'), options };
  }
  refuseParameters({ scope }, 'an octet-stream has no rows; send a .npy file');
  return { input: rawScores(body, dtype ?? 'float32'), options };
}

async function decideEach(input: ScoreInput, options: Options): Promise<NamedDecision[]> {
  if (input.kind === 'vector') return [{ name: '', ...(await decide(input.scores, options)) }];
  if (input.kind === 'rows') {
    const rows = await decideRows(input.scores, input.rows, options);
    return rows.map((decision, row) => ({ name: String(row), ...decision }));
  }
  const decisions: NamedDecision[] = [];
  for (const { name, scores } of input.groups) {
    decisions.push({ name, ...(await decide(scores, { ...options, group: name })) });
  }
  return decisions;
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

function unsupported(request: FastifyRequest): EmpError {
  const given = request.headers['content-type'] ?? 'missing';
  return new EmpError('unsupported_media_type', `Content-Type is ${given}; it must be ${TYPES.join(', ')}`, [
    { path: 'Content-Type', message: `must be ${TYPES.join(', ')}` },
  ]);
}

const DESCRIPTION = `Keeps \`n_keep = floor(beta * n_eff)\` of the scores, exactly, equal ones lowest index first.

As JSON: one array, or an object of named arrays, each decided on its own. As bytes (\`application/octet-stream\`, little-endian) or as a \`.npy\`
file the options are query parameters. JSON bodies may have 32 MiB, binary ones 512 MiB, decoded.

With \`Accept: application/octet-stream\` the answer is the packed keep mask, and the figures travel in the \`EMP-Summary\` header.`;
