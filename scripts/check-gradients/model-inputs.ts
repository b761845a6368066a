import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { elementCount } from '../../src/formats/model.ts';
import type { Fetched } from '../../src/formats/numbers.ts';
import { viewNumbers } from '../../src/formats/numbers.ts';
import { TensorProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import { dtypeOf, parseShape } from '../../src/formats/onnx/tensor-data.ts';
import type { OnnxInput } from '../../src/graph/interface.ts';
import type { Feeds } from '../../src/runtime/session.ts';
import type { RandomNumbers } from './random-numbers.ts';

/** Of every axis whose size is open, the samples' apart: what halves an image five times takes it. */
const OPEN_SIZE = 64;
/** Below the rows of any table that integers pick from. */
const INTEGERS = 8;

/**
 * What a model is run on: the first test of ONNX's own that lies beside it, else random numbers from -1 to 1 and integers from 0 to 7. Two feeds, of two and three samples,
 * where the model takes any number of them.
 */
export async function createFeeds(
  modelPath: string,
  inputs: readonly OnnxInput[],
  random: RandomNumbers,
): Promise<Feeds[]> {
  const given = await Promise.all(inputs.map((input, index) => readTestInput(modelPath, input, index)));
  const isOpen = inputs.some(({ dims }, index) => given[index] === null && typeof dims?.[0] !== 'number');
  const feeds = (isOpen ? [2, 3] : [1]).map((samples) =>
    inputs.map((input, index): [string, Fetched] => [
      input.name,
      given[index] ?? inventInput(input, samples, random),
    ]),
  );
  return feeds.map((entries) => new Map(entries));
}

async function readTestInput(modelPath: string, { name }: OnnxInput, index: number): Promise<Fetched | null> {
  const path = join(dirname(modelPath), 'test_data_set_0', `input_${index}.pb`);
  if (!existsSync(path)) return null;
  const tensor = fromBinary(TensorProtoSchema, new Uint8Array(await readFile(path)));
  const [dtype, shape] = [dtypeOf(tensor), parseShape(tensor.dims, name)];
  return { dtype, shape, data: viewNumbers(tensor.rawData.slice().buffer, dtype) };
}

function inventInput({ name, dtype, dims }: OnnxInput, samples: number, random: RandomNumbers): Fetched {
  if (dims === null) throw new TypeError(`input ${name} has no declared shape`);
  const shape = dims.map((size, axis) => {
    if (typeof size === 'number') return size;
    return axis === 0 ? samples : OPEN_SIZE;
  });
  const length = elementCount(shape);
  if (dtype === 'float32') return { dtype, shape, data: random.signed(length) };
  if (dtype === 'int64') {
    const data = BigInt64Array.from({ length }, () => BigInt(Math.floor(INTEGERS * random.next())));
    return { dtype, shape, data };
  }
  throw new TypeError(`input ${name} is ${dtype}: only float32 and int64 are invented`);
}
