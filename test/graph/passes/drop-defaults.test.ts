import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { SparseTensorProtoSchema } from '../../../src/formats/onnx/onnx-schema.ts';
import { dropDefaults } from '../../../src/graph/passes/drop-defaults.ts';
import { floats, model, node } from '../../models/build-model.ts';
import { assertSame, fed, namesOf } from './pass-check.ts';

test('dropDefaults leaves the inputs that have to be fed', async () => {
  const build = () =>
    Object.assign(
      model({
        nodes: [node('Add', ['x', 'w'], ['y'])],
        initializers: [floats('w', [2])],
        inputs: [
          ['w', [2]],
          ['x', [2]],
        ],
        outputs: [['y', [2]]],
      }),
      { irVersion: 3n },
    );
  const proto = build();
  dropDefaults(proto);
  assert.deepEqual(namesOf(proto.graph?.input), ['x']);
  assert.equal(proto.irVersion, 4n);
  await assertSame(build(), proto, fed('x', [2]));
});

test('dropDefaults knows sparse initializers', () => {
  const proto = model({ nodes: [], inputs: ['s', 'x'], outputs: ['x'] });
  proto.graph!.sparseInitializer = [
    create(SparseTensorProtoSchema, { values: floats('s', [1]), dims: [4n] }),
  ];
  dropDefaults(proto);
  assert.deepEqual(namesOf(proto.graph?.input), ['x']);
  assert.equal(proto.irVersion, 8n);
});
