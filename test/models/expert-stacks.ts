import { tensor } from './build-model.ts';
import { drawNumbers, drawScales, FORMATS, pack, quantizedTensor, unpack } from './quantized-numbers.ts';

export const [TOKENS, EXPERTS, HIDDEN, INNER] = [5, 3, 32, 64];

/** Name, units and features of what experts of one operator multiply by, `[experts, units, features]`. */
export type Stack = readonly [name: string, units: number, features: number];
export const STACKS: readonly [Stack, Stack] = [
  ['w1', INNER, HIDDEN],
  ['w2', HIDDEN, INNER],
];

/** A stack in `bits`, in blocks of `block`, or 0 for one scale a unit. */
export function quantizedStack(
  [name, units, features]: Stack,
  bits: 4 | 8,
  block: number,
  hasZeroPoints: boolean,
) {
  const format = bits === 4 ? FORMATS.uint4 : FORMATS.uint8;
  const seed = name.charCodeAt(1);
  const own = block === 0 ? features : block;
  const [rows, blocks, perByte] = [EXPERTS * units, features / own, 8 / bits];
  const perRow = block === 0 ? 1 : Math.ceil(blocks / perByte) * perByte;
  const scales = drawScales(rows * blocks, seed);
  const zeros = drawNumbers(format, [rows * perRow], seed + 1);
  const packed = (tensorName: string, shape: number[], numbers: number[]) =>
    quantizedTensor(tensorName, FORMATS.uint8, shape, [...pack(numbers, bits)]);
  const perExpert = block === 0 ? [units / perByte] : [units, perRow / perByte];
  return {
    name,
    dims: [EXPERTS, units, features],
    initializers: [
      packed(name, [EXPERTS, units, features / perByte], drawNumbers(format, [rows, features], seed + 2)),
      tensor(`${name}_scale`, [EXPERTS, units, ...(block === 0 ? [] : [blocks])], new Float32Array(scales)),
      ...(hasZeroPoints ? [packed(`${name}_zero`, [EXPERTS, ...perExpert], zeros)] : []),
    ],
    dequantize: (bytes: Uint8Array) => {
      const numbers = unpack(bytes, format, rows * features);
      return Float32Array.from({ length: rows * features }, (_, i) => {
        const [row, at] = [Math.floor(i / features), Math.floor((i % features) / own)];
        const zero = hasZeroPoints ? zeros[row * perRow + at] : 2 ** (bits - 1);
        return (numbers[i] - zero) * scales[row * blocks + at];
      });
    },
  };
}
