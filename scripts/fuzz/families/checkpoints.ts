import fc from 'fast-check';
import { createNpy } from '../../../test/formats/npy-bytes.ts';
import { createSafetensors } from '../../../test/models/safetensors-bytes.ts';
import { type Attack, attack, type HostileRequest, post, postModel, postParts } from '../attack.ts';
import { logarithmic, names, repeat, type Shapes, shaped } from './sizes.ts';

function safetensors(header: string, data = 16): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  return Buffer.concat([length, Buffer.from(header), Buffer.alloc(data)]);
}

const ENTRY = '{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}';

/** Headers of safetensors by what they have too much of. */
const HEADERS: Shapes<string> = {
  tensors: (count, length) =>
    `{${names(count, length).map((name) => `"${name}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`)}}`,
  'equal names': (count, length) => `{${repeat(count, `"${'a'.repeat(length)}":${ENTRY},`)}"b":${ENTRY}}`,
  metadata: (count, length) =>
    `{"__metadata__":{${names(count, length).map((name) => `"${name}":"v"`)}},"w":${ENTRY}}`,
  'deep metadata': (count) => `{"__metadata__":${repeat(count, '{"a":')}1${repeat(count, '}')},"w":${ENTRY}}`,
  axes: (count) => `{"w":{"dtype":"F32","shape":[${repeat(count, '1,')}1],"data_offsets":[0,4]}}`,
  dtype: (length) => `{"w":{"dtype":"${'F'.repeat(length)}","shape":[2,2],"data_offsets":[0,16]}}`,
  offsets: (count) => `{"w":{"dtype":"F32","shape":[2,2],"data_offsets":[${repeat(count, '0,')}16]}}`,
  digits: (length) => `{"w":{"dtype":"F32","shape":[${'9'.repeat(length)}],"data_offsets":[0,16]}}`,
  spaces: (length) => `{"w":${' '.repeat(length)}${ENTRY}}`,
  escapes: (count) => `{"${repeat(count, '\\u0061')}":${ENTRY}}`,
  brackets: (count) => repeat(count, '['),
};

/** Dicts of `.npy` headers by what they have too much of. */
const DICTS: Shapes<string> = {
  axes: (count) => dict("'<f4'", `(${repeat(count, '1,')})`),
  parentheses: (count) => dict("'<f4'", `${repeat(count, '(')}1${repeat(count, ')')}`),
  digits: (length) => dict("'<f4'", `(${'9'.repeat(length)},)`),
  dtype: (length) => dict(`'${'<f4'.repeat(Math.ceil(length / 3))}'`, '(1,)'),
  fields: (count, length) => dict(`[${names(count, length).map((name) => `('${name}','<f4')`)}]`, '(1,)'),
  keys: (count, length) =>
    `{${names(count, length)
      .map((name) => `'${name}':1,`)
      .join('')}}`,
  spaces: (length) => `${' '.repeat(length)}${dict("'<f4'", '(1,)')}`,
  brackets: (count) => repeat(count, '['),
};

function dict(descr: string, shape: string): string {
  return `{'descr': ${descr}, 'fortran_order': False, 'shape': ${shape}, }`;
}

function npy(text: string): Buffer {
  return createNpy(text, Buffer.alloc(4), 2);
}

const sized = logarithmic(1e2, 4e4);

/** A file of that many matrices, each of 16 bytes. */
function matrices(count: number): Buffer {
  return createSafetensors(Object.fromEntries(names(count, 8).map((name) => [`${name}.weight`, [2, 2]])));
}

function postScores(content: Uint8Array): HostileRequest {
  return postParts('/v1/datasets', [{ name: 'scores', filename: 'scores.safetensors', content }]);
}

/** Headers of safetensors and `.npy` files, well formed and not. */
export const checkpoints: fc.Arbitrary<Attack> = fc.oneof(
  shaped(HEADERS).map(({ name, value }) =>
    attack(`safetensors ${name}`, postModel('model.safetensors', safetensors(value))),
  ),
  shaped(HEADERS).map(({ name, value }) =>
    attack(`safetensors of scores, ${name}`, postScores(safetensors(value))),
  ),
  sized.map((count) => attack(`model of ${count} matrices`, postModel('m.safetensors', matrices(count)))),
  sized.map((count) => attack(`scores of ${count} matrices`, postScores(matrices(count)))),
  shaped(DICTS).map(({ name, value }) =>
    attack(`npy in thresholds, ${name}`, post('/v1/thresholds', 'application/x-npy', npy(value))),
  ),
  shaped(DICTS).map(({ name, value }) =>
    attack(
      `npy in datasets, ${name}`,
      postParts('/v1/datasets', [{ name: 'inputs', filename: 'x.npy', content: npy(value) }]),
    ),
  ),
);
