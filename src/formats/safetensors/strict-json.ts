import { clip, MAX_TOLD_NAME } from '../../core/clip.ts';
import { EmpError } from '../../core/errors.ts';

/**
 * JSON values in one header or index. The largest published checkpoints hold some 100,000 tensors in one index and a dozen values a tensor;
 * a 100 MB header made of empty objects would take gigabytes once parsed.
 */
const MAX_VALUES = 2_000_000;
/** Keys are tensor names, which stay below 200 characters in published checkpoints; names of files may have as many. */
export const MAX_KEY_LENGTH = 1024;
/** The header's object, a tensor's object, its shape: nothing in safetensors nests deeper. */
const MAX_DEPTH = 3;

/**
 * `JSON.parse` for headers and shard indexes, refusing what it lets through: a key written twice (it keeps the last, the reference implementation
 * refuses), names too long to report, and text that is cheap to send and costly to hold.
 * @throws EmpError malformed_safetensors
 */
export function parseStrictJson(text: string): unknown {
  try {
    scan(text);
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw malformed(`not valid JSON: ${error.message}`);
    throw error;
  }
}

/** One pass over text that need not be valid JSON: the keys of every open object (null for an array), depth, number of values. */
function scan(text: string): void {
  const open: (Set<string> | null)[] = [];
  let values = 1;
  for (let i = 0; i < text.length; i++) {
    switch (text[i]) {
      case '"': {
        const start = i;
        i = endOfString(text, start);
        if (isFollowedByColon(text, i)) addKey(open.at(-1), JSON.parse(text.slice(start, i + 1)));
        break;
      }
      case '{':
      case '[':
        if (open.push(text[i] === '{' ? new Set() : null) > MAX_DEPTH)
          throw malformed(`character ${i} opens a level of nesting deeper than the format's ${MAX_DEPTH}`);
        values++;
        break;
      case '}':
      case ']':
        open.pop();
        break;
      case ',':
        values++;
        break;
    }
    if (values > MAX_VALUES) throw malformed(`more than ${MAX_VALUES} JSON values`);
  }
}

/** The index of the closing quote, or of the end of a text that lacks it. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
  return i;
}

function isFollowedByColon(text: string, end: number): boolean {
  let i = end + 1;
  while (' \t\n\r'.includes(text[i] ?? ':')) i++;
  return text[i] === ':';
}

function addKey(keys: Set<string> | null | undefined, key: string): void {
  if (key.length > MAX_KEY_LENGTH)
    throw malformed(`the key ${quote(key)} is ${key.length} characters long, more than ${MAX_KEY_LENGTH}`);
  if (keys?.has(key)) throw malformed(`the key ${quote(key)} is written twice`);
  keys?.add(key);
}

/** @param tensor that the message is about, where it is about one */
export function malformed(message: string, tensor?: string): EmpError {
  if (tensor === undefined) return new EmpError('malformed_safetensors', message);
  const findings = [{ path: tensor.toWellFormed(), message }];
  return new EmpError('malformed_safetensors', `tensor ${quote(tensor)}: ${message}`, findings);
}

/** A name for a message, however long or odd it is. */
export function quote(name: string): string {
  return JSON.stringify(clip(name, MAX_TOLD_NAME));
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
