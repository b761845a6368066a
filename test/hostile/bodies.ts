import { type HostileRequest, post, postModel, postParts } from '../../scripts/fuzz/attack.ts';
import { manyFiles, overlappingZip } from '../../scripts/fuzz/families/archives.ts';
import { packed } from '../../scripts/fuzz/families/json-bodies.ts';
import { chain } from '../../scripts/fuzz/families/onnx-graphs.ts';
import { names } from '../../scripts/fuzz/families/sizes.ts';
import type { Attacks } from './attacks.ts';

const MEGABYTE = 1e6;

function json(text: string): HostileRequest {
  return post('/v1/thresholds', 'application/json', text);
}

/** JSON that takes far more than its bytes when it is parsed. */
function jsonAttacks(megabytes: number): Attacks {
  const byteLength = megabytes * MEGABYTE;
  const many = (unit: string) => `{"scores":[${unit.repeat((byteLength - 20) / unit.length)}1]}`;
  const keys = (length: number) => {
    const groups = names(Math.floor(byteLength / (length + 7)) - 3, length).map((name) => `"${name}":[1]`);
    return `{"scores":{${groups}}}`;
  };
  return {
    [`${megabytes} MB of JSON as keys`]: { request: () => json(keys(7)) },
    [`${megabytes} MB of keys of 16,800 characters`]: { request: () => json(keys(16_800)) },
    [`${megabytes} MB of open brackets`]: { request: () => json('['.repeat(byteLength)) },
    [`${megabytes} MB of empty objects`]: { request: () => json(many('{},')) },
    [`30 small bodies that unfold to ${megabytes} MB`]: {
      request: () => packed('zstd', many('{},')),
      times: 30,
    },
  };
}

/** Bodies that take more than they are. */
export const BODIES: Attacks = {
  ...jsonAttacks(32),
  // A limit between lets these pass.
  ...jsonAttacks(4),
  'a zip of overlapping files': { request: () => postModel('model.zip', overlappingZip(2000, MEGABYTE)) },
  'a zip of 9,000 files': { request: () => postModel('model.zip', manyFiles(9000)) },
  'an upload of 9,999 parts': {
    request: () =>
      postParts(
        '/v1/models',
        ['model.onnx', ...names(9998, 8)].map((filename) => ({ name: 'file', filename, content: chain(1) })),
      ),
  },
};
