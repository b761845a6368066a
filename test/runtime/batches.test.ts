import assert from 'node:assert/strict';
import { mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { TensorNumbers } from '../../src/formats/numbers.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import { type Batch, chooseBatchSize, readBatches, runBatch } from '../../src/runtime/batches.ts';
import { openSession } from '../../src/runtime/session.ts';
import { integers, node, value } from '../models/build-model.ts';
import { writeModel } from '../models/runtime-model.ts';
import { writeArray } from './samples.ts';

const CPU = { providers: ['cpu'], threads: 1 } as const;
const NEVER = new AbortController().signal;

let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-batches-'));
});
after(() => rm(directory, { recursive: true }));

async function collect(samples: SampleSet, batchSize: number): Promise<Batch[]> {
  return Array.fromAsync(readBatches(samples, batchSize, NEVER));
}

/** Samples of float32 zeros, one array per name. */
async function zeros(inputs: Record<string, readonly number[]>): Promise<SampleSet> {
  const arrays = Object.entries(inputs).map(([name, shape]) =>
    writeArray(directory, name, 'float32', shape, new Float32Array(shape.reduce((a, b) => a * b))),
  );
  return { nSamples: Object.values(inputs)[0][0], inputs: await Promise.all(arrays), labels: null };
}

const DTYPES: Record<string, { numbers: TensorNumbers; onnx: Parameters<typeof value>[2] }> = {
  float16: { numbers: Float16Array.of(-1.5, 0, 65504, 2 ** -24), onnx: 'FLOAT16' },
  float32: { numbers: Float32Array.of(-1.5, 0, 3e38, 1), onnx: 'FLOAT' },
  float64: { numbers: Float64Array.of(-1.5, 0, 0.5, 1), onnx: 'DOUBLE' },
  int8: { numbers: Int8Array.of(-128, 0, 127, 1), onnx: 'INT8' },
  int16: { numbers: Int16Array.of(-32768, 0, 32767, 1), onnx: 'INT16' },
  int32: { numbers: Int32Array.of(-65536, 0, 65536, 1), onnx: 'INT32' },
  int64: { numbers: BigInt64Array.of(-65536n, 0n, 2n ** 40n, 1n), onnx: 'INT64' },
  uint8: { numbers: Uint8Array.of(255, 0, 127, 1), onnx: 'UINT8' },
  uint16: { numbers: Uint16Array.of(65535, 0, 7, 1), onnx: 'UINT16' },
  uint32: { numbers: Uint32Array.of(2 ** 31, 0, 7, 1), onnx: 'UINT32' },
  uint64: { numbers: BigUint64Array.of(2n ** 63n, 0n, 7n, 1n), onnx: 'UINT64' },
  bool: { numbers: Uint8Array.of(1, 0, 0, 1), onnx: 'BOOL' },
};

describe('batches', () => {
  test('have the samples that the order names, whatever lies between them', async () => {
    const width = fc.constantFrom(3, 20_000);
    const places = fc.uniqueArray(fc.integer({ min: 0, max: 11 }), { minLength: 1 });
    const outer = fc.constantFrom(1, 2);
    await fc.assert(
      fc.asyncProperty(width, places, fc.boolean(), outer, async (inner, drawn, isSorted, blocks) => {
        const order = Uint32Array.from(isSorted ? drawn.toSorted((a, b) => a - b) : drawn);
        const shape = blocks === 1 ? [12, inner] : [blocks, 12, inner];
        const numbers = Float32Array.from({ length: blocks * 12 * inner }, (_, i) => i);
        const array = await writeArray(directory, 'ordered', 'float32', shape, numbers, 5);
        const inputs = [{ ...array, axis: blocks - 1 }];
        const [{ feeds }] = await collect({ nSamples: order.length, inputs, labels: null, order }, 12);
        const expected = Array.from({ length: blocks }, (_, block) =>
          Array.from(order, (place) => {
            const from = (block * 12 + place) * inner;
            return Array.from(numbers.subarray(from, from + inner));
          }),
        ).flat(2);
        assert.deepEqual(Array.from(feeds.get('ordered')?.data as Float32Array), expected);
      }),
      { numRuns: 25 },
    );
  });

  for (const [dtype, { numbers, onnx }] of Object.entries(DTYPES)) {
    test(`of ${dtype} reach the model as they are in the file`, async () => {
      const path = await writeModel(directory, `cast-${dtype}`, {
        inputs: [value('x', ['n', 2], onnx)],
        nodes: [node('Cast', ['x'], ['y'], { to: 1 })],
        outputs: [value('y', ['n', 2])],
      });
      const array = { ...(await writeArray(directory, `x-${dtype}`, dtype, [2, 2], numbers, 3)), name: 'x' };
      await using session = await openSession(path, CPU);
      assert.equal(session.inputs[0].dtype, dtype);
      const found: number[] = [];
      for (const batch of await collect({ nSamples: 2, inputs: [array], labels: null }, 1)) {
        const y = (await runBatch(session, batch, ['y'])).get('y');
        found.push(...((y?.data ?? []) as Float32Array));
      }
      assert.deepEqual(found, [...Float32Array.from(numbers as Float32Array, Number)]);
    });
  }

  test('of any size, put together, are the arrays, each input and label beside its own', async () => {
    const n = 7;
    const a = Float32Array.from({ length: n * 3 }, (_, i) => i);
    const b = BigInt64Array.from({ length: n }, (_, i) => BigInt(-i));
    const tokens = BigInt64Array.from({ length: n * 2 }, (_, i) => (i === 3 ? -100n : BigInt(i)));
    const samples: SampleSet = {
      nSamples: n,
      inputs: [
        await writeArray(directory, 'a', 'float32', [n, 1, 3], a, 5),
        await writeArray(directory, 'b', 'int64', [n], b),
      ],
      labels: await writeArray(directory, 'tokens', 'int64', [n, 2], tokens, 128),
    };
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 9 }), async (size) => {
        const batches = await collect(samples, size);
        assert.deepEqual(
          batches.map(({ start, count }) => [start, count]),
          Array.from({ length: Math.ceil(n / size) }, (_, i) => [i * size, Math.min(size, n - i * size)]),
        );
        for (const { count, feeds } of batches) {
          assert.deepEqual(feeds.get('a')?.shape, [count, 1, 3]);
          assert.deepEqual(feeds.get('b')?.shape, [count]);
        }
        const all = (name: string) => batches.flatMap(({ feeds }) => [...(feeds.get(name)?.data ?? [])]);
        assert.deepEqual(all('a'), [...a]);
        assert.deepEqual(all('b'), [...b]);
        assert.deepEqual(
          batches.flatMap(({ labels }) => [...(labels ?? [])]),
          [...tokens].map(Number),
        );
      }),
    );
  });

  test('stop between two of them with the reason of the signal', async () => {
    const controller = new AbortController();
    const samples = await zeros({ x: [6, 1] });
    const seen: number[] = [];
    await assert.rejects(async () => {
      for await (const { start } of readBatches(samples, 2, controller.signal)) {
        seen.push(start);
        if (start === 2) controller.abort(new Error('enough'));
      }
    }, /^Error: enough$/);
    assert.deepEqual(seen, [0, 2]);
  });

  test('of a file that has become shorter fail', async () => {
    const samples = await zeros({ short: [4, 8] });
    await truncate(samples.inputs[0].path, 100);
    await assert.rejects(collect(samples, 3), RangeError);
  });

  test('name their samples when the model fails on them', async () => {
    const path = await writeModel(directory, 'pairs', {
      inputs: [value('x', ['n'])],
      nodes: [node('Reshape', ['x', 'shape'], ['y'])],
      initializers: [integers('shape', [-1, 2])],
      outputs: [value('y', ['pairs', 2])],
    });
    await using session = await openSession(path, CPU);
    for (const [size, places] of [
      [4, 'samples 4 to 6'],
      [6, 'sample 6'],
    ] as const) {
      const batches = await collect(await zeros({ x: [7] }), size);
      await runBatch(session, batches[0], ['y']);
      await assert.rejects(runBatch(session, batches[1], ['y']), {
        code: 'model_run_failed',
        message: new RegExp(`^the model failed on ${places}: onnxruntime: .*Reshape`),
      });
    }
  });
});

describe('the batch size', () => {
  async function sizeFor(
    inputs: Record<string, (number | string)[]>,
    shapes: Record<string, readonly number[]>,
    outputNode = node('Identity', ['x'], ['y']),
  ): Promise<number> {
    const path = await writeModel(directory, 'sized', {
      inputs: Object.entries(inputs).map(([name, dims]) => value(name, dims)),
      nodes: [outputNode, ...Object.keys(inputs).map((name) => node('Shape', [name], [`shape-${name}`]))],
      initializers: [integers('repeats', [1, 2 ** 20])],
      outputs: [
        value('y', ['a', 'b']),
        ...Object.keys(inputs).map((name) => value(`shape-${name}`, ['rank'], 'INT64')),
      ],
    });
    await using session = await openSession(path, CPU);
    return await chooseBatchSize(session, await zeros(shapes), ['y'], NEVER);
  }

  test('is 64 where nothing is large, and no more than there are samples', async () => {
    assert.equal(await sizeFor({ x: ['n', 2] }, { x: [100, 2] }), 64);
    assert.equal(await sizeFor({ x: ['n', 2] }, { x: [10, 2] }), 10);
  });

  test('keeps all inputs together within 4 MB, at least one sample', async () => {
    assert.equal(await sizeFor({ x: ['n', 'm'] }, { x: [9, 2 ** 18] }), 4);
    assert.equal(await sizeFor({ x: ['n', 'm'], z: ['n', 'm'] }, { x: [9, 2 ** 18], z: [9, 2 ** 18] }), 2);
    assert.equal(await sizeFor({ x: ['n', 'm'] }, { x: [2, 2 ** 21] }), 1);
  });

  test('keeps the fetched outputs within 16 MB', async () => {
    const repeat = node('Tile', ['x', 'repeats'], ['y']);
    assert.equal(await sizeFor({ x: ['n', 1] }, { x: [9, 1] }, repeat), 4);
    assert.equal(await sizeFor({ x: ['n', 'm'] }, { x: [9, 5] }, repeat), 1);
  });

  test("is the model's own where axis 0 is fixed", async () => {
    assert.equal(await sizeFor({ x: [3, 2] }, { x: [9, 2] }), 3);
    assert.equal(await sizeFor({ x: [9, 2] }, { x: [9, 2] }), 9);
    assert.equal(await sizeFor({ x: ['n', 2], z: [3, 2] }, { x: [6, 2], z: [6, 2] }), 3);
  });

  test('refuses samples that do not make up whole batches, inputs that disagree, and no samples', async () => {
    await assert.rejects(sizeFor({ x: [4, 2] }, { x: [9, 2] }), {
      code: 'samples_mismatch',
      message: /'x' is fixed to 4 samples at a time \(shape \[4,2\]\), and 9 samples .* multiple of 4/,
    });
    await assert.rejects(sizeFor({ x: [4, 2], z: [2, 2] }, { x: [8, 2], z: [8, 2] }), {
      code: 'samples_mismatch',
      message: /4 samples at a time of input 'x' and 2 of 'z'/,
    });
    await assert.rejects(sizeFor({ x: ['n', 2] }, { x: [0, 2] }), {
      code: 'samples_mismatch',
      message: 'there are no samples: give arrays that have one at least',
    });
  });
});
