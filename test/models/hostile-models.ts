import { create } from '@bufbuild/protobuf';
import {
  GraphProtoSchema,
  type NodeProto,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
  type ValueInfoProto,
} from '../../src/formats/onnx/onnx-schema.ts';
import { createNpyOf } from '../formats/npy-bytes.ts';
import { encode, floats, integers, node, value } from './build-model.ts';
import { runnableModel } from './runtime-model.ts';

/** Models that a job runs on `hostileSamples`, each of some hundred bytes. */
const [INPUTS, OUTPUTS, SAMPLES] = [16, 4, 8];

/** `Loop` whose condition stays true: it never ends. */
export function loopForever(): Uint8Array<ArrayBuffer> {
  return hostile([loop('', node('Relu', ['h'], ['h_out']), 'y')]);
}

/** `Loop` that doubles its array `times` times: 24 of them ask for 2^24 times what went in. */
export function loopDoubling(times: number): Uint8Array<ArrayBuffer> {
  const nodes = [
    loop('max', node('Concat', ['h', 'h'], ['h_out'], { axis: 0 }), 'grown'),
    ...addMax('grown'),
  ];
  return hostile(nodes, [integers('max', [times], [])]);
}

/** A constant of so many float32 numbers, made when the model runs. */
export function largeConstant(dims: readonly number[]): Uint8Array<ArrayBuffer> {
  return hostile(
    [node('ConstantOfShape', ['shape'], ['large']), ...addMax('large')],
    [integers('shape', dims)],
  );
}

/** Inputs and class ids for them, as `.npy`. */
export function hostileSamples(): { readonly inputs: Buffer; readonly labels: Buffer } {
  return {
    inputs: createNpyOf('<f4', new Float32Array(SAMPLES * INPUTS).fill(0.5), [SAMPLES, INPUTS]),
    labels: createNpyOf('<i8', new BigInt64Array(SAMPLES), [SAMPLES]),
  };
}

function hostile(nodes: readonly NodeProto[], initializers: readonly TensorProto[] = []) {
  const always = create(TensorProtoSchema, {
    name: 'always',
    dataType: TensorProto_DataType.BOOL,
    int32Data: [1],
  });
  return encode(
    runnableModel({
      inputs: [value('x', ['batch', INPUTS])],
      nodes: [node('MatMul', ['x', 'w'], ['h0']), ...nodes],
      outputs: [value('y', ['batch', OUTPUTS])],
      initializers: [floats('w', [INPUTS, OUTPUTS]), always, ...initializers],
    }),
  );
}

function loop(times: string, step: NodeProto, output: string): NodeProto {
  const array = (name: string): ValueInfoProto => value(name, [`${name}_rows`, OUTPUTS]);
  const body = create(GraphProtoSchema, {
    name: 'body',
    node: [node('Identity', ['c'], ['c_out']), step],
    input: [value('i', [], 'INT64'), value('c', [], 'BOOL'), array('h')],
    output: [value('c_out', [], 'BOOL'), array('h_out')],
  });
  return node('Loop', [times, 'always', 'h0'], [output], { body });
}

/** Adds the greatest of its numbers to the output, so that they all have to be there. */
function addMax(name: string): NodeProto[] {
  return [node('ReduceMax', [name], ['m'], { keepdims: 0 }), node('Add', ['h0', 'm'], ['y'])];
}
