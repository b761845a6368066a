import { separateConstants } from '../../../src/graph/passes/separate-constants.ts';
import { floats, integers, model, node } from '../../models/build-model.ts';

/** A model whose nodes share a scale, a weight and zeros. */
export const sharing = () =>
  model({
    nodes: [
      node('Add', ['x', 'scale'], ['a']),
      node('Mul', ['a', 'scale'], ['b']),
      node('MatMul', ['b', 'w'], ['c']),
      node('MatMul', ['c', 'w'], ['d']),
      node('ConstantOfShape', ['size'], ['zeros']),
      node('Add', ['d', 'zeros'], ['e']),
      node('Add', ['e', 'zeros'], ['y']),
    ],
    initializers: [floats('scale', [3]), floats('w', [3, 3]), integers('size', [3])],
    inputs: [['x', [2, 3]]],
    outputs: [['y', [2, 3]]],
  });

/** The same with the scale and the zeros apart. */
export function separated() {
  const proto = sharing();
  const weight = proto.graph!.initializer[1];
  const copies = new Map<string, string>();
  separateConstants(proto, { weights: new Set([weight]), copies });
  return { proto, copies };
}
