import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  type ModelProto,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import { mainPath } from '../../src/formats/stored-model.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import { standardOpset } from '../../src/graph/opset.ts';
import { captureSums } from '../../src/runtime/capture.ts';
import { openSession } from '../../src/runtime/session.ts';
import { assertSameOutputs, prepareFiles } from '../autodiff/prepared.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';
import { encode, node, tensor } from '../models/build-model.ts';
import { gaussians, smallModel, smallModelContext } from '../models/small-model.ts';
import { analyseTraced, traceBytes } from '../structure/analysed-model.ts';

function imports(...entries: [domain: string, version: number][]) {
  return entries.map(([domain, version]) =>
    create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
  );
}

const NEWEST = standardOpset({ opsetImport: imports(['com.microsoft', 1]) });
const SHAPE = [2, 5, 4];
const x = gaussians(40, 1);
const parts = {
  nodes: [
    node('MatMul', ['x', 'w'], ['hidden']),
    node('Gelu', ['hidden'], ['active']), // there is since 20
    node('Transpose', ['active'], ['turned'], { perm: [0, 2, 1] }),
    node('Softmax', ['turned'], ['shares']), // over the axes from the second on, before 13
    node('MatMul', ['v', 'shares'], ['y']),
  ],
  initializers: [tensor('w', [4, 6], gaussians(24, 2)), tensor('v', [3, 6], gaussians(18, 3))],
  outputs: ['y'],
  xShape: SHAPE,
  x,
};

function modelWith(opsetImport: ModelProto['opsetImport']): ModelProto {
  return Object.assign(smallModel(parts), { opsetImport });
}

async function run(proto: ModelProto) {
  await using session = await openSession(toBinary(ModelProtoSchema, proto), RUNTIME);
  const results = await session.run(new Map([['x', { dtype: 'float32', shape: SHAPE, data: x }]]), ['y']);
  return results.get('y')?.data;
}

describe('the version of the standard operators', () => {
  test('is the one imported, under either name of their domain, the last of several', () => {
    assert.equal(standardOpset({ opsetImport: imports(['local', 3], ['', 17]) }), 17);
    assert.equal(standardOpset({ opsetImport: imports(['ai.onnx', 12], ['local', 3]) }), 12);
    assert.equal(standardOpset({ opsetImport: imports(['', 11], ['ai.onnx', 12]) }), 12);
  });

  test('is 1 of a model without imports, which onnxruntime does not open', async () => {
    assert.equal(standardOpset({ opsetImport: [] }), 1);
    await assert.rejects(run(modelWith([])), { code: 'unsupported_model', message: /Missing opset/ });
  });

  test('is the newest that onnxruntime takes, of a model that imports other domains alone', async () => {
    const bare = modelWith(imports(['com.microsoft', 1]));
    assert.deepEqual(await run(bare), await run(modelWith(imports(['', NEWEST]))));
    await assert.rejects(run(modelWith(imports(['', NEWEST + 1]))), { code: 'unsupported_model' });
  });
});

describe('a model that imports other domains alone', () => {
  const opsetImport = imports(['com.microsoft', 1], ['local', 1]);

  test('has its activations captured', async (t) => {
    const context = await smallModelContext(t, parts);
    const model = new OnnxModel(modelWith(opsetImport));
    await writeFile(mainPath(context.model), encode(model.proto));
    assert.ok(context.calibration);
    const request = {
      activations: { value: 'active', size: 6, trailing: 0 },
      reduction: 'sum_of_squares',
      tensor: 'v',
      side: 'input',
    } as const;
    const [{ sums, counts }] = await captureSums(model, [request], {
      ...context,
      samples: context.calibration,
    });
    assert.equal(sums.length, 6);
    assert.equal(counts[0], 10);
  });

  test('is prepared for gradients as it is', async (t) => {
    const prepared = await prepareFiles(t, modelWith(opsetImport));
    assert.equal(prepared.opset, NEWEST);
    await assertSameOutputs(prepared, new Map([['x', { dtype: 'float32', shape: SHAPE, data: x }]]));
  });

  test('has its structures found', async () => {
    const { analysis } = analyseTraced(await traceBytes(encode(modelWith(opsetImport))));
    const [, units] = analysis.axesOf('w');
    assert.ok(units);
    const roots = [...units[0].keys()].flatMap((position) => analysis.lanes.rootsAt(units, position));
    assert.deepEqual(
      roots.map((root) => analysis.lanes.obstacleOf(root)),
      Array(6).fill(null),
    );
  });
});
