import { after, before, describe, test } from 'node:test';
import type { Arena } from '../../scripts/fuzz/arena.ts';
import {
  attack,
  type HostileRequest,
  post,
  postJob,
  postModel,
  postParts,
} from '../../scripts/fuzz/attack.ts';
import { manyFiles, overlappingZip } from '../../scripts/fuzz/families/archives.ts';
import { packed } from '../../scripts/fuzz/families/json-bodies.ts';
import { chain, longNames, repairJob } from '../../scripts/fuzz/families/onnx-graphs.ts';
import { globJob } from '../../scripts/fuzz/families/requests.ts';
import { names } from '../../scripts/fuzz/families/sizes.ts';
import { encode, model, node } from '../models/build-model.ts';
import { hostileSamples, largeConstant, loopDoubling, loopForever } from '../models/hostile-models.ts';
import { assertHarmless, openArena } from './open-arena.ts';

const MEGABYTE = 1e6;
const json = (text: string) => post('/v1/thresholds', 'application/json', text);

/** A job that runs the model on samples. */
function evaluate(content: Uint8Array): HostileRequest {
  const { inputs, labels } = hostileSamples();
  return postJob(
    'model.onnx',
    content,
    {},
    { name: 'evaluation', filename: 'x.npy', content: inputs },
    { name: 'evaluation_labels', filename: 'labels.npy', content: labels },
  );
}

/** Each stopped the service, or held it up, once. */
const ATTACKS: Readonly<Record<string, { request: () => HostileRequest; times?: number }>> = {
  'an If named by a mebibyte over 3,000 names': {
    request: () => postModel('model.onnx', longNames(3000, 20, 2 ** 20)),
  },
  '20 globs against 200 long names': { request: () => globJob(200, 1000, 20, 512) },
  '100 globs against 1,000 long names': { request: () => globJob(1000, 1000, 100, 512) },
  'a model that loops for ever': { request: () => evaluate(loopForever()) },
  'a model that doubles an array': { request: () => evaluate(loopDoubling(24)) },
  'a model with a constant of 5 GB': { request: () => evaluate(largeConstant([5, 1024, 1024, 256])) },
  '32 MB of JSON as 3.5 million keys': {
    request: () => json(`{"scores":{${names(3_200_000, 5).map((name) => `"${name}":1`)}}}`),
  },
  '32 MB of open brackets': { request: () => json('['.repeat(32 * MEGABYTE)) },
  '11 million empty objects': {
    request: () => json(`{"scores":[${'{},'.repeat(1.1e7)}1]}`.slice(0, 2 ** 25)),
  },
  '1,900 keys of 16,800 characters': {
    request: () => json(`{"scores":{${names(1900, 16_800).map((name) => `"${name}":[1]`)}}}`),
  },
  '30 bodies of 3 kB that unfold to 32 MB': {
    request: () => packed('zstd', `{"scores":[${'{},'.repeat(1e7)}1]}`),
    times: 30,
  },
  '2 MB of empty nodes': {
    request: () => {
      // An empty node in an empty graph, over and over: protobufs merge what comes twice.
      const whole = encode(model({ nodes: [node('Relu', ['x'], ['y'])] }));
      return postModel('model.onnx', Buffer.concat([whole, Buffer.from('3a020a00'.repeat(5e5), 'hex')]));
    },
  },
  'a repair of 100,000 nodes': { request: () => repairJob(chain(100_000)) },
  'a zip of overlapping files': {
    request: () => postModel('model.zip', overlappingZip(2000, MEGABYTE)),
  },
  'a zip of 9,000 files': { request: () => postModel('model.zip', manyFiles(9000)) },
  'an upload of 9,999 parts': {
    request: () =>
      postParts(
        '/v1/models',
        ['model.onnx', ...names(9998, 8)].map((filename) => ({ name: 'file', filename, content: chain(1) })),
      ),
  },
};

describe('an input that once stopped the service harms only itself', () => {
  let arena: Arena;
  before(async () => {
    arena = await openArena();
  });
  after(() => arena[Symbol.asyncDispose]());

  for (const [name, { request, times = 1 }] of Object.entries(ATTACKS))
    test(name, async (t) => {
      const seen = await arena.strike(attack(name, request(), times));
      t.diagnostic(
        `${seen.statuses}: health ${seen.healthMs.toFixed()} ms, ${seen.cpuSeconds.toFixed(1)} CPU s, ${seen.peakMebibytes.toFixed()} MiB`,
      );
      assertHarmless(seen);
    });
});
