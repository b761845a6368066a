/** Scores a small model by Wanda on data of any size, in a process of its own so that its memory can be measured. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { score as wanda } from '../../src/criteria/weights/wanda.ts';
import { writeMlp } from '../models/small-mlp.ts';
import { inventoryOf } from './prune-files.ts';

const [path, nSamples, features] = process.argv.slice(2);
await using mlp = await writeMlp([Number(features), 32, 5], 1);
const inventory = await inventoryOf(mlp.directory, ['mlp.onnx']);
let samplesRun = 0;
const shape = [Number(nSamples), Number(features)];
const [scores] = await wanda(inventory.tensors.slice(0, 1), {
  model: { directory: mlp.directory, inventory },
  scratchDirectory: mlp.directory,
  scores: null,
  onUnreached: () => {},
  seed: 0,
  calibration: {
    nSamples: Number(nSamples),
    inputs: [{ name: 'input', dtype: 'float32', shape, path, offset: 0 }],
    labels: null,
  },
  runtime: { providers: ['cpu'], threads: 2 },
  signal: new AbortController().signal,
  onSamples: (count) => {
    samplesRun += count;
  },
});
const largest = (bytes: Buffer, offset: number, n: number) => {
  const numbers = new Float32Array(
    bytes.buffer.slice(bytes.byteOffset + offset, bytes.byteOffset + offset + 4 * n),
  );
  return numbers.reduce((most, number) => Math.max(most, Math.abs(number)), 0);
};
const run = inventory.tensors[0].data?.runs[0];
if (!run || !scores) throw new Error('no scores');
console.log(
  JSON.stringify({
    samplesRun,
    largestScore: largest(await readFile(scores.path), scores.offset, scores.n),
    largestWeight: largest(await readFile(join(mlp.directory, 'mlp.onnx')), run.offset, scores.n),
    residentBytes: process.resourceUsage().maxRSS * 1024,
  }),
);
