import { InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';

/** A field of a request that a flag gives. */
export interface Flag {
  /** Of the field, from the request's top. */
  readonly path: readonly string[];
  readonly option: Option;
}

/** What is read of a JSON schema. */
interface Field {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly Field[];
  readonly items?: Field;
  readonly minItems?: number;
  readonly properties?: Readonly<Record<string, Field>>;
  readonly description?: string;
  readonly default?: unknown;
}

/** What a terminal shows of a flag, beyond which a sentence is cut where it pauses. */
const MAX_TEXT = 200;

/** Objects whose fields have flags under their own names: `--max-kl`, not `--promise-max-kl`. */
const UNNAMED = ['recipe', 'promise', 'target', 'limits', 'budget'];

/**
 * A flag for every field of a request's schema, so that what the vocabulary gains is there by itself.
 * @param left names of fields without one
 */
export function flagsOf(shape: z.core.$ZodLooseShape, left: readonly string[] = []): Flag[] {
  const schema = z.toJSONSchema(z.object(shape), { io: 'input', unrepresentable: 'any' });
  return flagsIn(schema as Field, [], left);
}

/** The fields that flags gave, as a request has them. */
export function fieldsOf(
  flags: readonly Flag[],
  given: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const { path, option } of flags) {
    const value = given[option.attributeName()];
    if (value === undefined) continue;
    let place = fields;
    for (const name of path.slice(0, -1)) {
      place[name] ??= {};
      place = place[name] as Record<string, unknown>;
    }
    place[path.at(-1) ?? ''] = value;
  }
  return fields;
}

/** What the command line calls a field of a request: `/promise/max_kl` is `--max-kl`. Other paths are as they are. */
export function flagOfField(path: string): string {
  if (path === '/model_id') return 'MODEL';
  const data = /^\/(\w+)_dataset_id$/.exec(path)?.[1];
  if (data) return data === 'evaluation' ? '--data' : `--${data}`;
  const parameter = /^\?(\w+)$/.exec(path)?.[1];
  if (parameter) return `--${parameter}`;
  if (!path.startsWith('/')) return path;
  const names = path
    .split('/')
    .filter((name) => name !== '' && !/^\d+$/.test(name) && !UNNAMED.includes(name));
  return names.length === 0 ? (path.split('/').at(-1) ?? path) : `--${names.join('-').replaceAll('_', '-')}`;
}

/** A sentence of the API in the words of the command line: fields that it names are flags; routes stay what they are. */
export function inFlags(text: string): string {
  return text
    .replace(/(?<![\w.}])\/(?!v\d+\/)[a-z]+(?:_[a-z]+)*(?:\/[a-z_0-9]+)*/g, flagOfField)
    .replace(/(?<![\w/.])\?[a-z]+\b/g, flagOfField)
    .replace(/\b(?:max|min)_[a-z_0-9]+\b/g, (name) => flagOfField(`/${name}`));
}

function flagsIn(schema: Field, path: readonly string[], left: readonly string[]): Flag[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    if (left.includes(name)) return [];
    const at = [...path, name];
    if (field.properties) return flagsIn(field, at, left);
    const described = { description: schema.description ?? '', ...field };
    return [{ path: at, option: optionOf(at, described) }];
  });
}

function optionOf(path: readonly string[], given: Field): Option {
  const field = given.anyOf?.find(({ type }) => type !== 'null') ?? given;
  const name = flagOfField(`/${path.join('/')}`);
  const text = firstSentence(given.description ?? '');
  const standard =
    given.default === undefined || isEmpty(given.default) ? '' : ` (default: ${given.default})`;
  const described = (value: string) => new Option(`${name}${value}`, `${text}${standard}`.trim());
  if (field.type === 'boolean') return described('');
  if (field.enum) return described(' <name>').choices(field.enum);
  if (field.type === 'array') {
    const { items = {} } = field;
    // Names of tensors may hold commas, those of the vocabulary do not.
    const isListed = items.enum !== undefined || items.type === 'number';
    const option = described(isListed ? ' <list>' : ' <glob>');
    // Help lists them as it does those of a single name.
    if (items.enum) option.argChoices = [...items.enum, ...(mayBeEmpty(field) ? ['none'] : [])];
    return option.argParser<unknown[]>((value, before = []) => {
      if (!isListed) return [...before, value];
      const all = value === 'none' ? [] : value.split(',').map((one) => one.trim());
      return [...before, ...all.map((one) => (items.enum ? named(one, items.enum) : numeric(one)))];
    });
  }
  return described(field.type === 'integer' ? ' <count>' : ' <number>').argParser(numeric);
}

function named(value: string, names: readonly string[]): string {
  if (names.includes(value)) return value;
  throw new InvalidArgumentError(`${value} is none of ${names.join(', ')}.`);
}

function numeric(value: string): number {
  const number = Number(value);
  if (value.trim() === '' || !Number.isFinite(number)) throw new InvalidArgumentError('It must be a number.');
  return number;
}

function isEmpty(value: unknown): boolean {
  return value === null || value === false || (typeof value === 'object' && Object.keys(value).length === 0);
}

/** Whether an empty list says something else than no list does. */
function mayBeEmpty({ minItems = 0, default: standard }: Field): boolean {
  return minItems === 0 && standard === undefined;
}

/** Descriptions are written for a page: a terminal gets how they begin. */
function firstSentence(text: string): string {
  const [sentence] = text.split('. ');
  const short = sentence.length > MAX_TEXT ? sentence.split(/[:;] /)[0] : sentence;
  return short.replace(/\.$/, '');
}
