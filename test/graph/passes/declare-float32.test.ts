import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TensorProto_DataType } from '../../../src/formats/onnx/onnx-schema.ts';
import { declareTensor } from '../../../src/graph/messages.ts';
import { declareFloat32 } from '../../../src/graph/passes/declare-float32.ts';
import { graph, model, modelFunction, node } from '../../models/build-model.ts';

const { BFLOAT16, DOUBLE, FLOAT, FLOAT16, INT64 } = TensorProto_DataType;

test('declareFloat32 changes declared and produced types everywhere, and says which inputs were others', () => {
  const cast = () => node('Cast', ['half'], ['wide'], { to: DOUBLE });
  const branch = () => graph({ nodes: [cast()], outputs: ['wide'] });
  const proto = model(
    {
      nodes: [cast(), node('If', ['yes'], ['y'], { then_branch: branch(), else_branch: branch() })],
      outputs: ['y'],
    },
    [modelFunction('f', ['a'], ['b'], [cast()])],
  );
  const main = proto.graph!;
  main.input = [
    declareTensor('half', FLOAT16, [2]),
    declareTensor('ids', INT64, [2]),
    declareTensor('single', FLOAT, [2]),
    declareTensor('brain', BFLOAT16, [2]),
  ];
  main.output = [declareTensor('y', DOUBLE)];
  main.valueInfo = [declareTensor('wide', DOUBLE)];
  const widenedInputs: string[] = [];
  declareFloat32(proto, { widenedInputs });
  assert.deepEqual(widenedInputs, ['half', 'brain']);
  const types = [...main.input, ...main.output].map(({ type }) =>
    type?.value.case === 'tensorType' ? type.value.value.elemType : null,
  );
  assert.deepEqual(types, [FLOAT, INT64, FLOAT, FLOAT, FLOAT]);
  assert.deepEqual(main.valueInfo, []);
  const casts = [
    main.node[0],
    ...main.node[1].attribute.flatMap(({ g }) => g?.node ?? []),
    ...proto.functions[0].node,
  ];
  assert.deepEqual(
    casts.map(({ attribute: [{ i }] }) => Number(i)),
    Array(4).fill(FLOAT),
  );
});
