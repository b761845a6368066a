import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { type ModelProto, TensorProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import { graph, model, node } from './build-model.ts';

const count = fc.integer({ min: 0, max: 700 });
const anyTensor = fc
  .record({
    name: fc.string({ maxLength: 5 }),
    dims: fc.array(fc.bigInt(-2n, 2n ** 40n), { maxLength: 4 }),
    field: fc.constantFrom('floatData', 'doubleData', 'int32Data', 'int64Data', 'uint64Data', 'rawData'),
    count,
    scale: fc.integer({ min: 0, max: 2 ** 30 }),
  })
  .map(({ name, dims, field, count, scale }) => {
    const tensor = create(TensorProtoSchema, { name, dims, dataType: 1 });
    const numbers = Array.from({ length: count }, (_, index) => (index * scale) % 2 ** 30);
    if (field === 'rawData') tensor.rawData = Uint8Array.from(numbers);
    else if (field === 'int64Data' || field === 'uint64Data') tensor[field] = numbers.map(BigInt);
    else tensor[field] = field === 'floatData' ? numbers.map(Math.fround) : numbers;
    return tensor;
  });

/** Models with tensors of every list, small and large, in initializers, attributes and a body. */
export const anyModel: fc.Arbitrary<ModelProto> = fc
  .record({
    initializers: fc.array(anyTensor, { maxLength: 4 }),
    attributes: fc.array(anyTensor, { maxLength: 3 }),
    inner: fc.array(anyTensor, { maxLength: 2 }),
    text: fc.string({ maxLength: 3000 }),
  })
  .map(({ initializers, attributes, inner, text }) => {
    const nodes = attributes.map((value, index) => node('Constant', [], [`c${index}`], { value }));
    const branch = graph({ nodes: [], initializers: inner, inputs: [['x', [1, 2]]], outputs: ['y'] });
    nodes.push(node('If', ['c'], ['y'], { then_branch: branch, axes: [1, -1, 2 ** 40] }));
    const proto = model({ nodes, initializers, inputs: ['x'] });
    proto.docString = text;
    return proto;
  });
