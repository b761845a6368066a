import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toBinary } from '@bufbuild/protobuf';
import { EmpError } from '../../src/core/errors.ts';
import { ModelProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import { plainReason } from '../../src/runtime/plain-reason.ts';
import { openSession } from '../../src/runtime/session.ts';
import { node } from '../models/build-model.ts';
import { weights } from '../models/runtime-model.ts';
import { build } from '../models/traced-model.ts';

const CPU = { providers: ['cpu'], threads: 1 } as const;
const SOURCE = '/onnxruntime_src/onnxruntime/core';

describe("onnxruntime's own text", () => {
  for (const [what, text, plain] of [
    [
      'a check in a constructor',
      `Non-zero status code returned while running Reshape node. Name:'Reshape_y' Status Message: ${SOURCE}/providers/cpu/tensor/reshape_helper.h:91 onnxruntime::ReshapeHelper::ReshapeHelper(const onnxruntime::TensorShape&, onnxruntime::TensorShapeVector&, bool) input_shape_size == requested_shape_size was false. The input tensor cannot be reshaped.\n`,
      "node 'Reshape_y' (Reshape): The input tensor cannot be reshaped.",
    ],
    [
      'templates and functions among the parameters',
      `${SOURCE}/graph/a.cc:7 void onnxruntime::f(const std::unordered_map<std::__cxx11::basic_string<char>, int>&, std::function<void(int)>, int) Opset 99 is under development.`,
      'Opset 99 is under development.',
    ],
    [
      'a const method with parameters of its template',
      `failed:${SOURCE}/a.cc:7 onnxruntime::common::Status onnxruntime::X<T>::Compute(onnxruntime::OpKernelContext*) const [with T = float] indices are out of bounds`,
      'failed:indices are out of bounds',
    ],
    [
      'memory',
      `${SOURCE}/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 1099511627776`,
      'Failed to allocate memory for requested buffer of size 1099511627776',
    ],
    [
      'a file and a function by their names alone',
      "Non-zero status code returned while running MatMul node. Name:'m' Status Message: matmul_helper.h:59 Compute MatMul dimension mismatch",
      "node 'm' (MatMul): MatMul dimension mismatch",
    ],
    [
      'words with parentheses and colons',
      'Node (Add_y) Op (Add) [E] at 3:4 a::b',
      'Node (Add_y) Op (Add) [E] at 3:4 a::b',
    ],
  ] as const) {
    test(what, () => assert.equal(plainReason(text), plain));
  }

  test('an opset of the future, as onnxruntime refuses it', async () => {
    const model = build({ nodes: [node('Relu', ['x'], ['y'])], opset: 99 });
    await assert.rejects(openSession(toBinary(ModelProtoSchema, model), CPU), (error) => {
      assert.ok(error instanceof EmpError);
      assert.match(error.message, /Opset 99 is under development/);
      assert.doesNotMatch(error.message, /::|std|void|onnxruntime_src/);
      return true;
    });
  });

  test('a run that fails says which node, and what is wrong', async () => {
    const matrix = weights('w', [5, 3], Array(15).fill(1));
    const parts = { nodes: [node('MatMul', ['x', 'w'], ['y'])], initializers: [matrix] };
    const model = build({ ...parts, inputs: [['x', ['batch', 'k']]] });
    await using session = await openSession(toBinary(ModelProtoSchema, model), CPU);
    const feeds = new Map([['x', { dtype: 'float32', shape: [2, 4], data: new Float32Array(8) }]]);
    await assert.rejects(session.run(feeds, ['y']), (error) => {
      assert.ok(error instanceof EmpError && error.code === 'model_run_failed');
      assert.match(error.message, /^onnxruntime: node '\S*' \(MatMul\): MatMul dimension mismatch/);
      return true;
    });
  });
});
