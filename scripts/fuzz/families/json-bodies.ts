import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { type Attack, attack, type HostileRequest, post } from '../attack.ts';
import { logarithmic, names, repeat, type Shapes, shaped } from './sizes.ts';

/** JSON by what it has too much of. */
const TEXTS: Shapes<string> = {
  groups: (count, length) => `{"scores":{${names(count, length).map((name) => `"${name}":[1]`)}}}`,
  'equal groups': (count, length) => `{"scores":{${repeat(count, `"${'a'.repeat(length)}":[1],`)}"b":[1]}}`,
  fields: (count, length) => `{${names(count, length).map((name) => `"${name}":1`)},"scores":[1]}`,
  'open brackets': (count) => repeat(count, '['),
  brackets: (count) => `{"scores":${repeat(count / 2, '[')}${repeat(count / 2, ']')}}`,
  braces: (count) => `{"scores":${repeat(count / 6, '{"a":')}1${repeat(count / 6, '}')}}`,
  'empty objects': (count) => `{"scores":[${repeat(count, '{},')}1]}`,
  'empty arrays': (count) => `{"scores":[${repeat(count, '[],')}1]}`,
  strings: (count, length) => `{"scores":[${repeat(count, `"${'a'.repeat(length)}",`)}1]}`,
  digits: (length) => `{"scores":[0.${'1'.repeat(length)}]}`,
  exponents: (count) => `{"scores":[${repeat(count, '1e-300,')}1]}`,
  escapes: (count) => `{"${repeat(count, '\\u0061')}":1,"scores":[1]}`,
  quotes: (count) => `{"${repeat(count, '\\"')}":1,"scores":[1]}`,
  backslashes: (count) => `{"scores":{"${repeat(count, '\\\\')}":[1]}}`,
  spaces: (length) => `{"scores":[1${' '.repeat(length)}]}`,
  nulls: (count) => `{"scores":[${repeat(count, 'null,')}1]}`,
  options: (count) => `{"scores":[1],"include":[${repeat(count, '"keep_mask",')}"keep_mask"]}`,
};

/** Bodies of a job by what they have too much of; the ids name nothing. */
const JOBS: Shapes<object> = {
  metadata: (count, length) => ({
    metadata: Object.fromEntries(names(count, length).map((name) => [name, 'v'])),
  }),
  'metadata values': (length) => ({ metadata: { a: 'v'.repeat(length) } }),
  betas: (count) => ({ recipe: { sweep_betas: Array.from({ length: count }, (_, i) => i + 1) } }),
  globs: (count, length) => ({ recipe: { include: names(count, length) } }),
  fields: (count, length) => Object.fromEntries(names(count, length).map((name) => [name, 1])),
  'recipe fields': (count, length) => ({
    recipe: Object.fromEntries(names(count, length).map((name) => [name, 1])),
  }),
  'model id': (length) => ({ model_id: 'm'.repeat(length) }),
};

const ENCODERS: Readonly<Record<string, (body: Buffer) => Buffer>> = {
  gzip: gzipSync,
  br: (body) => brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
  zstd: zstdCompressSync,
};

/** A JSON body that is small on the way. */
export function packed(encoding: string, text: string): HostileRequest {
  const request = post('/v1/thresholds', 'application/json', ENCODERS[encoding](Buffer.from(text)));
  return { ...request, headers: { ...request.headers, 'content-encoding': encoding } };
}

/** JSON for thresholds and jobs, plain and packed. */
export const jsonBodies: fc.Arbitrary<Attack> = fc.oneof(
  shaped(TEXTS).map(({ name, value }) =>
    attack(`json ${name}`, post('/v1/thresholds', 'application/json', value)),
  ),
  shaped(JOBS).map(({ name, value }) => {
    const body = JSON.stringify({ model_id: 'mdl_00000000000000000000000000', ...value });
    return attack(`job's ${name}`, post('/v1/jobs', 'application/json', body));
  }),
  fc
    .tuple(shaped(TEXTS), fc.constantFrom(...Object.keys(ENCODERS)), logarithmic(1, 30))
    .map(([{ name, value }, encoding, times]) =>
      attack(`${times} json ${name}, as ${encoding}`, packed(encoding, value), times),
    ),
);
