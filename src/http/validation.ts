import type { z } from 'zod';
import { EmpError, type InputFinding } from '../core/errors.ts';
import { wordIssue } from './issue-words.ts';
import { pointerToken } from './problem.ts';

/**
 * A body as its schema reads it.
 * @throws EmpError `invalid_request`, with JSON pointers under `prefix`
 */
export function parseBody<T extends z.ZodType>(schema: T, value: unknown, prefix = ''): z.output<T> {
  const { success, data, error } = schema.safeParse(value, { error: wordIssue });
  if (success) return data;
  throw invalid(error, (path) => `${prefix}${path.map(pointerToken).join('')}` || '/');
}

/** Checks the parameters of a path or query as Fastify asks for it. They are named as a client wrote them: `?limit`, not as pointers. At a path that does not fit there is nothing. */
export function checkParameters(
  schema: z.ZodType,
  input: unknown,
  httpPart: string | undefined,
): { error: EmpError } | { value: unknown } {
  const { success, data, error } = schema.safeParse(input, { error: wordParameter });
  if (success) return { value: data };
  if (httpPart === 'querystring') return { error: invalid(error, (path) => `?${path.join('/')}`) };
  const { message, findings } = invalid(error, (path) => path.join('/'));
  return { error: new EmpError('not_found', `there is nothing at this path: ${message}`, findings) };
}

/** A parameter that is given twice is read as an array of both. */
function wordParameter(issue: z.core.$ZodRawIssue): string | undefined {
  return Array.isArray(issue.input) ? 'is given twice' : wordIssue(issue);
}

/** More of them help nobody; their number is in the message. */
const MAX_FINDINGS = 100;

function invalid({ issues }: z.ZodError, nameOf: (path: readonly PropertyKey[]) => string): EmpError {
  const all = findingsOf(issues, nameOf);
  const findings = all.slice(0, MAX_FINDINGS);
  const [first] = findings;
  const more = all.length > 1 ? ` (and ${all.length - 1} more)` : '';
  return new EmpError('invalid_request', `${first.path} ${first.message}${more}`, findings);
}

function findingsOf(
  issues: readonly z.core.$ZodIssue[],
  nameOf: (path: readonly PropertyKey[]) => string,
): InputFinding[] {
  const findings: InputFinding[] = [];
  const mistyped = new Set<string>();
  for (const issue of issues) {
    const path = nameOf(issue.path);
    const { code, message } = issue;
    // zod goes on to take the length of what is no array.
    if (mistyped.has(path)) continue;
    if (code === 'invalid_type') mistyped.add(path);
    if (code !== 'unrecognized_keys') findings.push({ path, message });
    // What is known is told once.
    else
      for (const [i, key] of issue.keys.entries())
        findings.push({
          path: nameOf([...issue.path, key]),
          message: i === 0 ? message : 'is not known here',
        });
  }
  return findings;
}
