import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type HostileRequest, postJob, postModel } from '../../scripts/fuzz/attack.ts';
import { chain, longNames, repairJob } from '../../scripts/fuzz/families/onnx-graphs.ts';
import { globJob } from '../../scripts/fuzz/families/requests.ts';
import { hostileSamples, largeConstant, loopDoubling, loopForever } from '../models/hostile-models.ts';
import type { Attacks } from './attacks.ts';

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

/** A model with this many nodes of which nothing is said. */
function emptyNodes(count: number): Uint8Array {
  const nodes = Buffer.from('0a00'.repeat(count), 'hex');
  const graph = new BinaryWriter().tag(7, WireType.LengthDelimited).bytes(nodes).finish();
  return Buffer.concat([chain(1), graph]);
}

/** Models that take more than they are, uploaded or run. */
export const MODELS: Attacks = {
  'an If named by a mebibyte over 3,000 names': {
    request: () => postModel('model.onnx', longNames(3000, 20, 2 ** 20)),
  },
  '20 globs against 200 long names': { request: () => globJob(200, 1000, 20, 512) },
  '100 globs against 1,000 long names': { request: () => globJob(1000, 1000, 100, 512) },
  'a model that loops for ever': { request: () => evaluate(loopForever()) },
  'a model that doubles an array': { request: () => evaluate(loopDoubling(24)) },
  'a model with a constant of 5 GB': { request: () => evaluate(largeConstant([5, 1024, 1024, 256])) },
  '2 MB of empty nodes': { request: () => postModel('model.onnx', emptyNodes(1e6)) },
  'a repair of 40,000 nodes': { request: () => repairJob(chain(40_000)) },
};
