import type { ModelProto } from '../../src/formats/onnx/onnx-schema.ts';
import { random } from '../structure/cases/rule-case.ts';
import { integers, node } from './build-model.ts';
import { build } from './traced-model.ts';

interface Normalized {
  readonly channels: number;
  readonly groups: number;
  /** How it is written: as the operator, with a scale a group (opset 18) or a channel (21), or as older exporters take it apart. */
  readonly form: 'by group' | 'by channel' | 'in parts';
}

/** A convolution of an image, its channels normalized in groups, and a convolution that reads them. */
export function groupNormModel({ channels, groups, form }: Normalized): ModelProto {
  const scales = form === 'by group' ? groups : channels;
  const parts = [
    node('Reshape', ['a', 'by_group'], ['r']),
    node('InstanceNormalization', ['r', 'ones', 'zeros'], ['n']),
    node('Shape', ['a'], ['sizes']),
    node('Reshape', ['n', 'sizes'], ['back']),
    node('Mul', ['back', 'scale'], ['scaled']),
    node('Add', ['scaled', 'bias'], ['b']),
  ];
  const perChannel = [channels, 1, 1];
  return build({
    opset: form === 'by channel' ? 21 : 18,
    inputs: [['x', ['batch', 3, 6, 6]]],
    nodes: [
      node('Conv', ['x', 'first'], ['a'], { pads: [1, 1, 1, 1] }),
      ...(form === 'in parts'
        ? parts
        : [node('GroupNormalization', ['a', 'scale', 'bias'], ['b'], { num_groups: groups })]),
      node('Relu', ['b'], ['c']),
      node('Conv', ['c', 'last'], ['y']),
    ],
    initializers: [
      random('first', [channels, 3, 3, 3]),
      random('last', [4, channels, 1, 1]),
      random('scale', form === 'in parts' ? perChannel : [scales]),
      random('bias', form === 'in parts' ? perChannel : [scales]),
      ...(form === 'in parts'
        ? [integers('by_group', [0, groups, -1]), random('ones', [groups]), random('zeros', [groups])]
        : []),
    ],
  });
}
