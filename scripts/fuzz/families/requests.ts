import fc from 'fast-check';
import { createSafetensors } from '../../../test/models/safetensors-bytes.ts';
import { type Attack, attack, type HostileRequest, type Part, post, postJob, postParts } from '../attack.ts';
import { logarithmic, names, repeat, type Shapes, shaped } from './sizes.ts';

/** More make a body of a hundred bytes each. */
const MAX_PARTS = 30_000;

/** Parts of an upload by what they have too much of. */
const PARTS: Shapes<Part[]> = {
  files: (count, length) =>
    names(count, length).map((name) => ({ name: 'file', filename: `${name}.bin`, content: 'x' })),
  texts: (count) => Array.from({ length: count }, () => ({ name: 'recipe', content: '{}' })),
  names: (count, length) => names(count, length).map((name) => ({ name, content: 'x' })),
  folders: (count) => [{ name: 'file', filename: `${repeat(count, 'a/')}x.onnx`, content: 'x' }],
  'header lines': (count) => [
    { name: `file"\r\n${repeat(count, 'x-a: b\r\n')}x-last: "`, filename: 'x.onnx', content: 'x' },
  ],
  'near boundaries': (count) => [
    { name: 'file', filename: 'x.onnx', content: repeat(count, '\r\n--hostile-boundar') },
  ],
  text: (length) => [{ name: 'recipe', content: `{"criterion":"${'m'.repeat(length)}"}` }],
};

/** Headers and queries, of which all together may be 16 KiB. */
const LINES: Readonly<Record<string, (count: number) => Partial<HostileRequest>>> = {
  ranges: (count) => ({ headers: { range: `bytes=${repeat(count, '0-1,')}2-3` } }),
  types: (count) => ({ headers: { accept: `${repeat(count, 'a/b;q=0.1,')}*/*` } }),
  preferences: (count) => ({ headers: { prefer: `${repeat(count, 'a=1,')}wait=1` } }),
  cookies: (count) => ({ headers: { cookie: repeat(count, 'a=b;') } }),
  parameters: (count) => ({ path: `/v1/models?${repeat(count, 'a=1&')}` }),
  segments: (count) => ({ path: `/v1${repeat(count, '/a')}` }),
  escapes: (count) => ({ path: `/v1/models/${repeat(count, '%41')}` }),
};

/** A job whose globs are tried against the names of its model: each is compared at every place of every name. */
export function globJob(
  nTensors: number,
  nameLength: number,
  nGlobs: number,
  length: number,
): HostileRequest {
  const shapes = Object.fromEntries(names(nTensors, nameLength).map((name) => [name, [1, 2]]));
  const include = names(nGlobs, length - 2).map((letters) => `*${letters}b`);
  return postJob('model.safetensors', createSafetensors(shapes), { include, dry_run: true });
}

/** Multipart requests, recipes with globs, and requests without a body. */
export const requests: fc.Arbitrary<Attack> = fc.oneof(
  fc
    .tuple(shaped(PARTS), fc.constantFrom('/v1/models', '/v1/jobs'))
    .map(([{ name, value }, path]) =>
      attack(`${path} of parts, ${name}`, postParts(path, value.slice(0, MAX_PARTS))),
    ),
  fc
    .tuple(logarithmic(10, 2000), logarithmic(10, 4000), logarithmic(10, 100), logarithmic(4, 512))
    .filter(([nTensors, nameLength]) => nTensors * nameLength < 2e6)
    .map(([nTensors, nameLength, nGlobs, length]) =>
      attack(
        `job of ${nGlobs} globs of ${length} against ${nTensors} names of ${nameLength}`,
        globJob(nTensors, nameLength, nGlobs, length),
      ),
    ),
  fc.tuple(fc.constantFrom(...Object.keys(LINES)), logarithmic(10, 5000)).map(([what, count]) =>
    attack(`${count} ${what}`, {
      ...post('/v1/models', '', ''),
      method: 'GET',
      headers: {},
      ...LINES[what](count),
    }),
  ),
);
