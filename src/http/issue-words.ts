import type { z } from 'zod';
import { clip } from '../core/clip.ts';

type Issue = z.core.$ZodRawIssue;

/** Of a text that is told back. */
const MAX_SHOWN = 40;

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'an array',
  object: 'an object',
  record: 'an object',
};

/**
 * What zod found, in words that go on from the name of a field. As the `error` of a parse: a schema that has words of its own keeps them.
 * @returns undefined where zod's own will have to do
 */
export function wordIssue(issue: Issue): string | undefined {
  const { input } = issue;
  switch (issue.code) {
    case 'invalid_type':
      if (input === undefined) return 'is missing';
      return `must be ${kindOf(issue)}${Number.isNaN(input) ? '' : `, is ${shown(input)}`}`;
    case 'invalid_value': {
      const values = issue.values.map(String);
      const wanted = `must be ${values.length === 1 ? values[0] : `one of ${values.join(', ')}`}`;
      return input === undefined ? 'is missing' : `${wanted}, is ${shown(input)}`;
    }
    case 'too_big':
      return `must ${bounded(input, issue.inclusive ? 'at most' : 'less than', issue.maximum)}`;
    case 'too_small':
      if (issue.origin === 'string' && input === '') return 'must not be empty';
      return `must ${bounded(input, issue.inclusive ? 'at least' : 'more than', issue.minimum)}`;
    case 'unrecognized_keys':
      return `is not known here: expected ${fieldsOf(issue).join(', ')}`;
    case 'invalid_key':
      return `has a name that ${issue.issues[0]?.message}`;
    default:
      return undefined;
  }
}

function kindOf(issue: z.core.$ZodRawIssue<z.core.$ZodIssueInvalidType>): string {
  const { input } = issue;
  if (input === Number.POSITIVE_INFINITY || input === Number.NEGATIVE_INFINITY) return 'a finite number';
  const kind = KINDS[issue.expected] ?? issue.expected;
  const fields = fieldsOf(issue);
  return fields.length === 0
    ? kind
    : `${kind} with ${fields.length === 1 ? '' : 'some of '}${fields.join(', ')}`;
}

/** Those that the object has whose schema found the issue. */
function fieldsOf({ inst }: Issue): string[] {
  const { shape } = (inst?._zod.def ?? {}) as Partial<z.core.$ZodObjectDef>;
  return Object.keys(shape ?? {});
}

/** Numbers are bounded themselves, texts and arrays by their length. */
function bounded(input: unknown, bound: string, limit: number | bigint): string {
  if (typeof input === 'string')
    return `have ${bound} ${limit} ${limit === 1 ? 'character' : 'characters'}, has ${input.length}`;
  if (Array.isArray(input))
    return `have ${bound} ${limit} ${limit === 1 ? 'entry' : 'entries'}, has ${input.length}`;
  return `be ${bound} ${limit}, is ${shown(input)}`;
}

/** A value as it is told back. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string') return JSON.stringify(clip(value, MAX_SHOWN));
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
