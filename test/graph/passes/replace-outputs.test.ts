import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clone, create } from '@bufbuild/protobuf';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  TensorProto_DataType,
} from '../../../src/formats/onnx/onnx-schema.ts';
import { declareTensor } from '../../../src/graph/messages.ts';
import { replaceOutputs } from '../../../src/graph/passes/replace-outputs.ts';
import { model, node } from '../../models/build-model.ts';
import { fed, nodesOf, outputsOf } from './pass-check.ts';

const { FLOAT, INT64 } = TensorProto_DataType;

test('replaceOutputs makes another model and leaves the first as it is', async () => {
  const first = model({
    nodes: [node('Neg', ['x'], ['h']), node('Abs', ['h'], ['y'])],
    inputs: [['x', [2]]],
    outputs: [['y', [2]]],
  });
  first.graph!.valueInfo = [declareTensor('h', FLOAT, [7])]; // wrong
  const before = clone(ModelProtoSchema, first);
  const added = create(GraphProtoSchema, { node: [node('Shape', ['h'], ['s'])] });
  const other = replaceOutputs(first, [declareTensor('h', FLOAT), declareTensor('s', INT64)], added);
  assert.deepEqual(first, before);
  assert.deepEqual(nodesOf(other), ['h = Neg(x)', 'y = Abs(h)', 's = Shape(h)']);
  const results = await outputsOf(other, fed('x', [2]));
  assert.deepEqual([...results.keys()], ['h', 's']);
  assert.deepEqual([...(results.get('s')?.data ?? [])], [2n]);
});
