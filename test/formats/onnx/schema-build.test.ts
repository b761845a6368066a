import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { generateOnnxSchema } from '../../../scripts/build-onnx-schema.ts';
import {
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataType,
} from '../../../src/formats/onnx/onnx-schema.ts';

test('the committed onnx-schema.ts is what onnx.proto compiles to', () => {
  const committed = readFileSync(
    new URL('../../../src/formats/onnx/onnx-schema.ts', import.meta.url),
    'utf8',
  );
  assert.equal(generateOnnxSchema(), committed);
});

test('the schema knows the data types and fields of the release it names', () => {
  assert.equal(TensorProto_DataType.FLOAT6E3M2, 28);
  const names = NodeProtoSchema.fields.map(({ name }) => name);
  assert.deepEqual(names.slice(-3), ['doc_string', 'metadata_props', 'device_configurations']);
});

test('a field of a later release survives being read and written', () => {
  const known = toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, { irVersion: 99n, producerName: 'later' }),
  );
  const later = new BinaryWriter().tag(4000, WireType.LengthDelimited).string('what it says').finish();
  const bytes = Buffer.concat([known, later]);
  assert.deepEqual(Buffer.from(toBinary(ModelProtoSchema, fromBinary(ModelProtoSchema, bytes))), bytes);
});
