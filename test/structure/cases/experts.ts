import type { TensorProto } from '../../../src/formats/onnx/onnx-schema.ts';
import { type AttributeValue, node } from '../../models/build-model.ts';
import { drawNumbers, drawScales, FORMATS, quantizedTensor } from '../../models/quantized-numbers.ts';
import { weights } from '../../models/runtime-model.ts';
import { MICROSOFT } from '../../models/traced-model.ts';
import { of, type RuleCase, random } from './rule-case.ts';

const EXPERT = 'is an expert of a router that chooses among all';
const GATE = 'is a gate';
const BLOCKS = 'is in one of the two blocks of features that have to stay';
const ORDER = 'has the weights of its experts in an order of its own';

const bytes = (name: string, dims: readonly number[]) =>
  quantizedTensor(name, FORMATS.uint8, dims, drawNumbers(FORMATS.uint8, dims, name.charCodeAt(0)));
const scales = (name: string, dims: readonly number[]) =>
  weights(
    name,
    dims,
    drawScales(
      dims.reduce((count, size) => count * size),
      name.charCodeAt(1),
    ),
  );

const mixture = (
  inputs: string[],
  attributes: Record<string, AttributeValue>,
  initializers: TensorProto[],
) => ({
  nodes: [node('MoE', inputs, ['y'], { k: 2, ...attributes }, MICROSOFT)],
  initializers,
});

/** Three experts of `hidden` units on `width` features, quantized in rows or in blocks of 16. */
function quantized(
  [width, hidden, bits]: readonly [number, number, number],
  block: 0 | 16,
  attributes: Record<string, AttributeValue>,
  isShifted: boolean,
) {
  const packed = 8 / bits;
  const fusion = attributes.activation_type === 'swiglu' ? 2 : 1;
  const layers = [
    ['1', fusion * hidden, width],
    ['2', width, hidden],
  ] as const;
  const grid = (rows: number, features: number) => (block ? [3, rows, features / block] : [3, rows]);
  const zeros = (rows: number, features: number) =>
    grid(rows, features).map((size, axis, { length }) => (axis === length - 1 ? size / packed : size));
  const zeroPoints = isShifted ? ['', '', '', 'z1', 'z2'] : [];
  const of3 = { ...attributes, k: 2, expert_weight_bits: bits, ...(block ? { block_size: block } : {}) };
  return {
    nodes: [
      node('QMoE', ['x', 'r', 'w1', 's1', 'b1', 'w2', 's2', 'b2', ...zeroPoints], ['y'], of3, MICROSOFT),
    ],
    initializers: [
      ...[random('x', [4, width]), random('r', [4, 3])],
      ...layers.flatMap(([name, rows, features]) => [
        bytes(`w${name}`, [3, rows, features / packed]),
        scales(`s${name}`, grid(rows, features)),
        random(`b${name}`, [3, rows]),
        ...(isShifted ? [bytes(`z${name}`, zeros(rows, features))] : []),
      ]),
    ],
  };
}

export const EXPERTS_CASES: readonly RuleCase[] = [
  of(
    'MoE with biases',
    21,
    [EXPERT],
    mixture(['x', 'r', 'w1', 'b1', 'w2', 'b2'], { activation_type: 'gelu', normalize_routing_weights: 1 }, [
      ...[random('x', [5, 6]), random('r', [5, 4])],
      ...[random('w1', [4, 10, 6]), random('b1', [4, 10]), random('w2', [4, 6, 10]), random('b2', [4, 6])],
    ]),
  ),
  of(
    'MoE of sequences, gate and value interleaved',
    21,
    [GATE, EXPERT],
    mixture(['x', 'r', 'w1', 'b1', 'w2'], { activation_type: 'swiglu', swiglu_fusion: 1 }, [
      ...[random('x', [2, 3, 6]), random('r', [6, 4])],
      ...[random('w1', [4, 20, 6]), random('b1', [4, 20]), random('w2', [4, 6, 10])],
    ]),
  ),
  of(
    'MoE whose weights are declared in the old order',
    0,
    [ORDER],
    mixture(['x', 'r', 'w1', '', 'w2'], {}, [
      ...[random('x', [5, 6]), random('r', [5, 4])],
      ...[random('w1', [4, 6, 10]), random('w2', [4, 10, 6])],
    ]),
  ),
  of(
    'MoE whose weights are declared in the old order, gate and value interleaved',
    0,
    [ORDER],
    mixture(['x', 'r', 'w1', '', 'w2'], { activation_type: 'swiglu', swiglu_fusion: 1 }, [
      ...[random('x', [5, 6]), random('r', [5, 4])],
      ...[random('w1', [4, 6, 12]), random('w2', [4, 6, 6])],
    ]),
  ),
  of(
    'QMoE of 4 bits by row, two zero points a byte',
    17,
    [EXPERT],
    quantized([8, 18, 4], 0, { activation_type: 'relu' }, true),
  ),
  of('QMoE of 8 bits by row', 38, [EXPERT], quantized([16, 18, 8], 0, { activation_type: 'silu' }, false)),
  of(
    'QMoE of 4 bits in blocks',
    8,
    [EXPERT, BLOCKS],
    quantized([48, 48, 4], 16, { activation_type: 'gelu' }, false),
  ),
  of(
    'QMoE of 4 bits in blocks, two zero points a byte, gate and value interleaved',
    8,
    [GATE, EXPERT, BLOCKS],
    quantized([64, 96, 4], 16, { activation_type: 'swiglu', swiglu_fusion: 1 }, true),
  ),
  of(
    'QMoE of weights that a provider has packed',
    0,
    [ORDER],
    quantized([16, 18, 8], 0, { weights_prepacked: 1 }, false),
  ),
];
