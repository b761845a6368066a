import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { EmpError } from '../../src/core/errors.ts';
import {
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import {
  checkProviders,
  type ExecutionProvider,
  type Feeds,
  openSession,
  runtimeVersion,
} from '../../src/runtime/session.ts';
import { integers, node, value } from '../models/build-model.ts';
import { writeModel } from '../models/runtime-model.ts';

const CPU = { providers: ['cpu'], threads: 1 } as const;

let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-session-'));
});
after(() => rm(directory, { recursive: true }));

function floatFeed(name: string, shape: number[], numbers: number[]): Feeds {
  return new Map([[name, { dtype: 'float32', shape, data: Float32Array.from(numbers) }]]);
}

async function failure(promise: Promise<unknown>): Promise<EmpError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof EmpError, String(error));
    assert.ok(!error.message.includes(directory), `no path in: ${error.message}`);
    return error;
  }
  return assert.fail('a failure was expected');
}

describe('a session', () => {
  test('says what goes in and out, and runs with any batch where axis 0 is dynamic', async () => {
    const path = await writeModel(directory, 'sum', {
      inputs: [value('x', ['batch', 2])],
      nodes: [node('ReduceSum', ['x', 'axes'], ['sum'], { keepdims: 0 }), node('Abs', ['x'], ['size'])],
      initializers: [integers('axes', [1])],
      outputs: [value('sum', ['batch']), value('size', ['batch', 2])],
    });
    await using session = await openSession(path, CPU);
    assert.deepEqual(session.inputs, [{ name: 'x', dtype: 'float32', dims: ['batch', 2] }]);
    assert.deepEqual(
      session.outputs.map(({ name }) => name),
      ['sum', 'size'],
    );
    for (const batch of [1, 3]) {
      const numbers = Array.from({ length: 2 * batch }, (_, i) => i - 2);
      const results = await session.run(floatFeed('x', [batch, 2], numbers), ['sum']);
      assert.deepEqual([...results.keys()], ['sum']);
      const sums = Float32Array.from({ length: batch }, (_, i) => numbers[2 * i] + numbers[2 * i + 1]);
      assert.deepEqual(results.get('sum'), { dtype: 'float32', shape: [batch], data: sums });
    }
  });

  test('reads external data beside the file, whatever the current directory', async () => {
    const folder = join(directory, 'external');
    await mkdir(folder);
    await writeFile(join(folder, 'weights.bin'), new Uint8Array(new Float32Array([0, 7, -3, 5]).buffer));
    const entry = (key: string, text: string) => create(StringStringEntryProtoSchema, { key, value: text });
    const external = create(TensorProtoSchema, {
      name: 'w',
      dims: [3n],
      dataType: TensorProto_DataType.FLOAT,
      dataLocation: TensorProto_DataLocation.EXTERNAL,
      externalData: [entry('location', 'weights.bin'), entry('offset', '4'), entry('length', '12')],
    });
    const path = await writeModel(folder, 'model', {
      inputs: [value('x', ['batch', 3])],
      nodes: [node('Mul', ['x', 'w'], ['y'])],
      initializers: [external],
      outputs: [value('y', ['batch', 3])],
    });
    {
      await using session = await openSession(path, CPU);
      const results = await session.run(floatFeed('x', [1, 3], [1, 2, 3]), ['y']);
      assert.deepEqual(results.get('y')?.data, Float32Array.from([7, -6, 15]));
    }
    await rename(join(folder, 'weights.bin'), join(directory, 'elsewhere.bin'));
    await symlink(join(directory, 'elsewhere.bin'), join(folder, 'weights.bin'));
    const escaped = await failure(openSession(path, CPU));
    assert.match(escaped.message, /External data path escapes model directory/);
    await rm(join(folder, 'weights.bin'));
    const error = await failure(openSession(path, CPU));
    assert.equal(error.code, 'unsupported_model');
    assert.match(error.message, /weights\.bin/);
  });

  test('opens from bytes as from a file', async () => {
    const path = await writeModel(directory, 'bytes', {
      inputs: [value('x', [2])],
      nodes: [node('Abs', ['x'], ['y'])],
      outputs: [value('y', [2])],
    });
    await using session = await openSession(await readFile(path), CPU);
    const results = await session.run(floatFeed('x', [2], [-1, 2]), ['y']);
    assert.deepEqual([...(results.get('y')?.data ?? [])], [1, 2]);
  });

  test('cannot be opened from what is no model: unsupported_model with the reason, without the path', async () => {
    await writeFile(join(directory, 'broken.onnx'), 'not a model');
    const error = await failure(openSession(join(directory, 'broken.onnx'), CPU));
    assert.equal(error.code, 'unsupported_model');
    assert.match(error.message, /Load model from broken\.onnx failed/);
  });

  test('names the operator that onnxruntime does not know', async () => {
    const path = await writeModel(directory, 'unknown', {
      inputs: [value('x', ['batch'])],
      nodes: [node('Frobnicate', ['x'], ['y'])],
      outputs: [value('y', ['batch'])],
    });
    const error = await failure(openSession(path, CPU));
    assert.equal(error.code, 'unsupported_model');
    assert.match(error.message, /Frobnicate/);
  });

  test('that fails within a run says which node, and can run again', async () => {
    const path = await writeModel(directory, 'pairs', {
      inputs: [value('x', ['batch'])],
      nodes: [node('Reshape', ['x', 'shape'], ['y'])],
      initializers: [integers('shape', [-1, 2])],
      outputs: [value('y', ['pairs', 2])],
    });
    await using session = await openSession(path, CPU);
    const error = await failure(session.run(floatFeed('x', [3], [1, 2, 3]), ['y']));
    assert.equal(error.code, 'model_run_failed');
    assert.match(error.message, /Reshape_y.*\{3\}, requested shape:\{-1,2\}/);
    assert.doesNotMatch(error.message, /onnxruntime_src/);
    const results = await session.run(floatFeed('x', [4], [1, 2, 3, 4]), ['y']);
    assert.deepEqual(results.get('y')?.shape, [2, 2]);
  });

  test('refuses feeds of another name, dtype, rank, and outputs that it has not', async () => {
    const path = await writeModel(directory, 'identity', {
      inputs: [value('x', ['batch', 2])],
      nodes: [node('Identity', ['x'], ['y'])],
      outputs: [value('y', ['batch', 2])],
    });
    await using session = await openSession(path, CPU);
    const doubles: Feeds = new Map([['x', { dtype: 'float64', shape: [1, 2], data: new Float64Array(2) }]]);
    for (const [feeds, output, reason] of [
      [floatFeed('z', [1, 2], [1, 2]), 'y', /'x' is missing/],
      [doubles, 'y', /tensor\(double\).*tensor\(float\)/],
      [floatFeed('x', [2], [1, 2]), 'y', /rank/],
      [floatFeed('x', [1, 2], [1, 2]), 'z', /z/],
    ] as const) {
      const error = await failure(session.run(feeds, [output]));
      assert.equal(error.code, 'model_run_failed');
      assert.match(error.message, reason);
    }
  });

  test('once released runs no more, and may be released again', async () => {
    const path = await writeModel(directory, 'released', {
      inputs: [value('x', ['batch'])],
      nodes: [node('Identity', ['x'], ['y'])],
      outputs: [value('y', ['batch'])],
    });
    const session = await openSession(path, CPU);
    await session[Symbol.asyncDispose]();
    await session[Symbol.asyncDispose]();
    const error = await failure(session.run(floatFeed('x', [1], [1]), ['y']));
    assert.match(error.message, /disposed/);
  });
});

describe('execution providers', () => {
  test('that start pass the check', async () => {
    await checkProviders(CPU);
    assert.match(await runtimeVersion(), /^\d+\.\d+\.\d+$/);
  });

  // The package as installed brings the library of the CPU alone.
  for (const providers of [['cuda'], ['cuda', 'cpu'], ['cpu', 'cuda']] as const) {
    test(`${providers}: one that cannot start is an error that names it, whoever comes after it`, async () => {
      const path = await writeModel(directory, 'any', {
        inputs: [value('x', ['batch'])],
        nodes: [node('Identity', ['x'], ['y'])],
        outputs: [value('y', ['batch'])],
      });
      for (const attempt of [checkProviders, (s: typeof CPU) => openSession(path, s)]) {
        const error = await failure(attempt({ providers, threads: 1 } as never));
        assert.equal(error.code, 'execution_provider_unavailable');
        assert.match(error.message, /'cuda' cannot start; onnxruntime: ./);
      }
    });
  }

  test('that this build does not know are no silent fall-back either', async () => {
    const providers = ['nonsense' as ExecutionProvider, 'cpu' as const];
    const error = await failure(checkProviders({ providers, threads: 1 }));
    assert.equal(error.code, 'execution_provider_unavailable');
    assert.match(error.message, /'nonsense' cannot start/);
  });
});
