import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGaussian } from '../../bench/gaussian.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import { writeArray } from '../runtime/samples.ts';
import { node, value } from './build-model.ts';
import { weights, writeModel } from './runtime-model.ts';

const gaussian = (seed: number, length: number, scale = 1) => {
  const numbers = new Float32Array(length);
  createGaussian(seed)(numbers);
  return numbers.map((number) => number * scale);
};

/**
 * `layers[0] -> ... -> layers[n]` with ReLU between, random weights, and data whose labels are the model's own answers with a tenth of them shifted. With an
 * `offset` its outputs are numbers around that, and the labels the same numbers.
 */
export async function writeMlp(
  layers: readonly number[],
  nSamples: number,
  offset?: number,
): Promise<AsyncDisposable & { directory: string; path: string; samples: SampleSet }> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-mlp-'));
  const matrices = layers
    .slice(1)
    .map((width, i) => gaussian(i + 1, layers[i] * width, Math.sqrt(2 / layers[i])));
  const last = matrices.length - 1;
  const path = await writeModel(directory, 'mlp', {
    inputs: [value('input', ['batch', layers[0]])],
    outputs: [value('logits', ['batch', layers[last + 1]])],
    nodes: matrices
      .flatMap((_, i) => [
        node(
          'MatMul',
          [i === 0 ? 'input' : `hidden${i}`, `fc${i}.weight`],
          [i === last && offset === undefined ? 'logits' : `product${i}`],
        ),
        ...(i === last ? [] : [node('Relu', [`product${i}`], [`hidden${i + 1}`])]),
      ])
      .concat(offset === undefined ? [] : [node('Add', [`product${last}`, 'offset'], ['logits'])]),
    initializers: matrices
      .map((matrix, i) => weights(`fc${i}.weight`, [layers[i], layers[i + 1]], [...matrix]))
      .concat(offset === undefined ? [] : [weights('offset', [1], [offset])]),
  });
  const inputs = gaussian(99, nSamples * layers[0]);
  const classes = layers[last + 1];
  const answers = Array.from({ length: nSamples }, (_, sample) => {
    let values: Float32Array = inputs.subarray(sample * layers[0], (sample + 1) * layers[0]);
    for (const [i, matrix] of matrices.entries()) {
      values = multiply(values, matrix, layers[i + 1]);
      if (i < last) values = values.map((number) => Math.max(0, number));
    }
    return values;
  });
  const labels = BigInt64Array.from(answers, (values, sample) =>
    BigInt((values.indexOf(Math.max(...values)) + Number(sample % 10 === 0)) % classes),
  );
  const numbers = Float32Array.from(
    answers.flatMap((values) => [...values].map((each) => each + (offset ?? 0))),
  );
  const samples: SampleSet = {
    nSamples,
    inputs: [await writeArray(directory, 'input', 'float32', [nSamples, layers[0]], inputs)],
    labels: await (offset === undefined
      ? writeArray(directory, 'labels', 'int64', [nSamples], labels)
      : writeArray(directory, 'labels', 'float32', [nSamples, classes], numbers)),
  };
  return { directory, path, samples, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}

function multiply(row: Float32Array, matrix: Float32Array, columns: number): Float32Array {
  const product = new Float32Array(columns);
  for (const [i, factor] of row.entries()) {
    for (let column = 0; column < columns; column++) product[column] += factor * matrix[i * columns + column];
  }
  return product;
}
