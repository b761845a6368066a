import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  type ModelProto,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import { planJob } from '../../src/intake/plan-job.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import { openSession } from '../../src/runtime/session.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';
import { encode, integers, node } from '../models/build-model.ts';
import { tensorIn } from '../models/quantized-models.ts';
import { build } from '../models/traced-model.ts';
import { inventoryOf, pruneFiles } from '../pipeline/prune-files.ts';
import { structuresOf } from './removal-check.ts';

const { BFLOAT16, FLOAT } = TensorProto_DataType;
const WEIGHTS = { w0: [4, 16], w1: [16, 8] } as const;

/** The upper halves of float32 numbers; as varints where they are kept in a list. */
function narrowed(name: string, isList: boolean): TensorProto {
  const dims = WEIGHTS[name as keyof typeof WEIGHTS];
  const numbers = Float32Array.from(
    { length: dims[0] * dims[1] },
    (_, i) => Math.sin(i + name.length) * (1 + (i % 16)),
  );
  const bits = Uint16Array.from(new Uint32Array(numbers.buffer), (word) => word >>> 16);
  const data = isList ? { int32Data: [...bits] } : { rawData: new Uint8Array(bits.buffer) };
  return create(TensorProtoSchema, { name, dataType: BFLOAT16, dims: dims.map(BigInt), ...data });
}

const cast = (input: string, output: string, to: number) => node('Cast', [input], [output], { to });
const both = (isList = false) => Object.keys(WEIGHTS).map((name) => narrowed(name, isList));

const MODELS: Readonly<Record<string, ModelProto>> = {
  'computes between casts': build({
    nodes: [
      cast('x', 'xb', BFLOAT16),
      node('MatMul', ['xb', 'w0'], ['a']),
      node('Relu', ['a'], ['r']),
      node('MatMul', ['r', 'w1'], ['yb']),
      cast('yb', 'y', FLOAT),
    ],
    initializers: both(),
  }),
  'takes bfloat16': build({
    inputs: [['x', ['batch', 4], 'BFLOAT16']],
    nodes: [
      node('MatMul', ['x', 'w0'], ['a']),
      node('Mul', ['a', 'half'], ['h']),
      node('MatMul', ['h', 'w1'], ['yb']),
      cast('yb', 'y', FLOAT),
    ],
    initializers: [
      ...both(true),
      create(TensorProtoSchema, { name: 'half', dataType: BFLOAT16, int32Data: [0x3f00] }),
    ],
  }),
  'is reshaped on the way': build({
    nodes: [
      cast('x', 'xb', BFLOAT16),
      node('Transpose', ['w0'], ['turned']),
      node('Gemm', ['xb', 'turned'], ['a'], { transB: 1 }),
      node('Reshape', ['a', 'shape'], ['r']),
      node('MatMul', ['r', 'w1'], ['yb']),
      cast('yb', 'y', FLOAT),
    ],
    initializers: [...both(), integers('shape', [-1, 16])],
  }),
};

/** bfloat16 is what is stored alone. */
const STORED = build({
  nodes: [
    cast('w0', 'f0', FLOAT),
    node('MatMul', ['x', 'f0'], ['a']),
    cast('w1', 'f1', FLOAT),
    node('MatMul', ['a', 'f1'], ['y']),
  ],
  initializers: both(),
});

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-bfloat16-'));
});
after(() => rm(directory, { recursive: true }));

async function write(model: ModelProto): Promise<string> {
  const path = join(directory, 'model.onnx');
  await writeFile(path, encode(model));
  return path;
}

function plan(inventory: Awaited<ReturnType<typeof inventoryOf>>, recipe: object) {
  const array = { name: 'x', dtype: 'float32', shape: [3, 4], path: 'inputs/0', offset: 128 };
  const content: SampleSet = { nSamples: 3, inputs: [array], labels: null };
  const model = { id: 'mdl', inventory, directory };
  const inputs = {
    model,
    scores: null,
    calibration: { id: 'dat', content },
    selection: null,
    evaluation: null,
  };
  return planJob(recipeSchema.parse(recipe), inputs, null);
}

describe('a model of bfloat16', () => {
  for (const [name, model] of Object.entries(MODELS)) {
    test(`that ${name} has its structures removed, and is refused where it would have to run`, async () => {
      const path = await write(model);
      // It is as the refusal says.
      await assert.rejects(openSession(encode(model), RUNTIME), /Could not find an implementation/);
      const { families } = await structuresOf(path);
      assert.deepEqual(
        families.map(({ kind, structures }) => `${kind} ${structures.length}`),
        ['channel 16'],
      );
      const recipe = {
        granularity: 'channel',
        criterion: 'l2_norm',
        round_to: 1,
        budget: { sparsity: 0.25 },
      };
      await using pruned = await pruneFiles(path, recipe);
      const written = new Uint8Array(await readFile(join(pruned.directory, 'model.onnx')));
      const [w0, w1] = ['w0', 'w1'].map((weight) => tensorIn(written, weight));
      assert.deepEqual([w0.dataType, w0.dims, w1.dims], [BFLOAT16, [4n, 12n], [12n, 8n]]);
      const inventory = await inventoryOf(directory, ['model.onnx']);
      for (const criterion of ['wanda', 'activation']) {
        await assert.rejects(plan(inventory, { criterion }), {
          code: 'unsupported_model',
          message:
            /computes in bfloat16, for which onnxruntime has no kernels on the CPU: send an export in float32 or float16/,
        });
      }
    });
  }

  test('that casts before it computes is run', async () => {
    await write(STORED);
    await using session = await openSession(encode(STORED), RUNTIME);
    assert.equal(session.outputs.length, 1);
    await plan(await inventoryOf(directory, ['model.onnx']), { criterion: 'wanda' });
  });
});
