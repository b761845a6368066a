import type { NodeProto } from '../../src/formats/onnx/onnx-schema.ts';
import { integers, node, value } from './build-model.ts';
import { weights } from './runtime-model.ts';

export const FEATURES = 6;
const BOXES = [4, 3] as const;
const CLASSES = 5;

/** What makes an output of the numbers of its head, by how it is to be read. */
interface HeadKind {
  readonly width: number;
  readonly shape: (number | string)[];
  readonly tail: (from: string, to: string) => NodeProto[];
}

export const HEAD_KINDS = {
  boxes: {
    width: BOXES[0] * BOXES[1],
    shape: ['batch', ...BOXES],
    tail: (from, to) => [node('Reshape', [from, 'box_shape'], [to])],
  },
  logits: { width: CLASSES, shape: ['batch', CLASSES], tail: (from, to) => [node('Identity', [from], [to])] },
  probabilities: {
    width: CLASSES,
    shape: ['batch', CLASSES],
    tail: (from, to) => [node('Softmax', [from], [to], { axis: -1 })],
  },
  sides: { width: CLASSES, shape: ['batch', CLASSES], tail: (from, to) => [node('Sigmoid', [from], [to])] },
  transposed: {
    width: CLASSES,
    shape: [CLASSES, 'batch'],
    tail: (from, to) => [node('Transpose', [from], [to], { perm: [1, 0] })],
  },
  number: { width: 1, shape: ['batch', 1], tail: (from, to) => [node('Identity', [from], [to])] },
} as const satisfies Readonly<Record<string, HeadKind>>;

export interface Head {
  readonly name: string;
  readonly kind: keyof typeof HEAD_KINDS;
  /** Row-major `[FEATURES, width]`. */
  readonly numbers: readonly number[];
}

/** A linear head for each output: `x [batch, FEATURES]` times its weight `<name>.w`. */
export function headedParts(heads: readonly Head[]) {
  return {
    inputs: [value('x', ['batch', FEATURES])],
    nodes: heads.flatMap(({ name, kind }) => [
      node('MatMul', ['x', `${name}.w`], [`${name}.z`]),
      ...HEAD_KINDS[kind].tail(`${name}.z`, name),
    ]),
    initializers: [
      ...heads.map(({ name, kind, numbers }) =>
        weights(`${name}.w`, [FEATURES, HEAD_KINDS[kind].width], numbers),
      ),
      integers('box_shape', [-1, ...BOXES]),
    ],
    outputs: heads.map(({ name, kind }) => value(name, [...HEAD_KINDS[kind].shape])),
  };
}
