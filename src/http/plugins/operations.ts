import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import type { ErrorCode } from '../../core/errors.ts';
import { CONTENT_CODINGS } from '../body.ts';
import { PROBLEMS } from '../problem.ts';

/** The part of an OpenAPI operation that zod schemas of a route cannot say: several body types, binary bodies, headers. */
export interface OperationDetails {
  requestBody?: { readonly required: true; readonly content: Readonly<Record<string, unknown>> };
  responses?: Record<string, { description?: string; headers?: unknown; content?: unknown }>;
  parameters?: unknown[];
}

/** Under this name a route's schema carries the details to `completeDocument`. */
export const DETAILS_KEY = 'x-operation-details';

interface Operation extends OperationDetails {
  [DETAILS_KEY]?: OperationDetails;
}

interface Document {
  paths?: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, unknown> };
}

/** Route-schema entry for details and for the problems, by error code, that the operation answers with. */
export function describeOperation(
  details: OperationDetails,
  ...problems: ErrorCode[]
): Record<string, unknown> {
  return {
    [DETAILS_KEY]: { ...details, responses: { ...details.responses, ...problemResponses(problems) } },
  };
}

function problemResponses(codes: readonly ErrorCode[]): NonNullable<OperationDetails['responses']> {
  const byStatus = Object.groupBy(codes, (code) => PROBLEMS[code].status);
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, listed = []]) => [
      status,
      {
        description: listed.map((code) => `\`${code}\`: ${PROBLEMS[code].title}.`).join(' '),
        content: PROBLEM_CONTENT,
      },
    ]),
  );
}

const PROBLEM_CONTENT = { 'application/problem+json': { schema: reference('Problem') } };

export function reference(schema: string): { $ref: string } {
  return { $ref: `#/components/schemas/${schema}` };
}

export const FORM_TYPE = 'multipart/form-data';

/** Of every operation that takes a body other than a form. */
const CONTENT_ENCODING = {
  name: 'Content-Encoding',
  in: 'header',
  schema: { type: 'string', enum: CONTENT_CODINGS },
  description: 'Of a body that is no form. The limits on a body count its decoded bytes.',
};

/** A body of bytes, in OpenAPI 3.1's way of saying so: no schema, or one that says nothing. */
export const BINARY = { schema: { type: 'string', format: 'binary' } };

/** A part of a form that is one file. */
export function filePart(description: string): object {
  return { ...BINARY.schema, description };
}

/** A part of a form that may come any number of times, a file each. */
export function filesPart(description: string): object {
  return { type: 'array', items: BINARY.schema, description };
}

/**
 * Merges every operation's details into the generated document, gives every operation the problem that any request may meet, and leaves out
 * component schemas that nothing refers to.
 */
export function completeDocument<T extends object>(document: T): T {
  const { paths = {}, components } = document as Document;
  simplify(document, false);
  // HEAD answers as GET does; described beside it, it would be a second operation of the same id.
  for (const path of Object.values(paths)) delete path.head;
  for (const operation of Object.values(paths).flatMap((path) => Object.values(path))) {
    const details = operation[DETAILS_KEY];
    delete operation[DETAILS_KEY];
    if (details) merge(operation as Record<string, unknown>, details as Record<string, unknown>);
    const types = Object.keys(operation.requestBody?.content ?? {});
    if (types.some((type) => type !== FORM_TYPE))
      operation.parameters = [...(operation.parameters ?? []), CONTENT_ENCODING];
    for (const [status, response] of Object.entries(operation.responses ?? {})) {
      if (response.description === 'Default Response') response.description = `${STATUS_CODES[status]}.`;
    }
    operation.responses = {
      ...operation.responses,
      default: {
        description:
          'Any other problem, such as `internal_error`, `not_ready`, `misdirected_request`, `cross_site_request`, or `unauthorized` and `forbidden` where the service asks for keys or tokens.',
        content: PROBLEM_CONTENT,
      },
    };
  }
  const schemas = components?.schemas ?? {};
  const used = new Set<string>();
  const visit = (text: string) => {
    for (const [, name = ''] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (used.has(name)) continue;
      used.add(name);
      visit(JSON.stringify(schemas[name] ?? {}));
    }
  };
  visit(JSON.stringify(paths));
  for (const name of Object.keys(schemas)) if (!used.has(name)) delete schemas[name];
  // Objects used in several places would become anchors and aliases, which few readers of YAML expect.
  return JSON.parse(JSON.stringify(document));
}

/** Takes out what zod's schemas say beyond the contract: safe-integer bounds, and that an answer will never have a further field. */
function simplify(node: unknown, isAnswer: boolean): void {
  if (Array.isArray(node)) for (const item of node) simplify(item, isAnswer);
  if (!isPlainObject(node)) return;
  if (node.minimum === Number.MIN_SAFE_INTEGER) delete node.minimum;
  if (node.maximum === Number.MAX_SAFE_INTEGER) delete node.maximum;
  if (isAnswer && node.additionalProperties === false) delete node.additionalProperties;
  for (const [key, value] of Object.entries(node))
    simplify(value, isAnswer || key === 'responses' || key === 'components');
}

/** Objects are merged, arrays joined, anything else replaced. */
function merge(target: Record<string, unknown>, source: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(source)) {
    const present = target[key];
    if (Array.isArray(present) && Array.isArray(value)) target[key] = [...present, ...value];
    else if (isPlainObject(present) && isPlainObject(value)) merge(present, value);
    else target[key] = value;
  }
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The JSON schema of what a client sends. */
export function inputSchema(schema: z.ZodType): object {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' });
  return json;
}
