import { elementCount } from '../../formats/model.ts';
import type { AttributeReader } from '../attribute-reader.ts';
import type { OnnxNode } from '../onnx-model.ts';
import { chosenEinsumLayout, einsumLayout } from './einsum-weights.ts';
import type { Shape } from './element-moves.ts';
import { createIndexMap } from './index-map.ts';
import { type AxisRole, createRoles } from './row-layout.ts';
import { type FeatureAxis, QUANTIZED, type SlotLayout, unknownLayout } from './slot-layout.ts';

/** What a constant in a slot of an operator is, or each of those that data choose from; `undefined` where it is no weight after all. */
type Layout = (shape: Shape, operator: AttributeReader, isChosen: boolean) => SlotLayout | undefined;

/** An input of an operator that a constant is a weight in. */
export interface WeightSlot {
  readonly input: number;
  readonly layout: Layout;
}

/** The inputs of an operator whose constants are weights; `com.microsoft` has onnxruntime's own and fused operators. */
export function weightSlotsOf(node: OnnxNode): readonly WeightSlot[] {
  if (node.domain === '') return STANDARD.get(node.op) ?? [];
  return node.domain === 'com.microsoft' ? (MICROSOFT.get(node.op) ?? []) : [];
}

const NO_SHAPE = 'gets it in a shape that is not known from the graph';
const BATCHED = 'multiplies parts of its input by matrices along axes that do not adjoin';
const UNGROUPED = 'has a number of groups that does not divide its filters';
const CHOICE = 'chooses among its matrices inside the operator';
const INSIDE = 'keeps what the weight gives inside the operator';

/**
 * `[..., units, summed]` or, by columns, `[..., summed, units]`. Batch axes are units of their own. A vector is no matrix, and neither is
 * one in disguise (`[1, n, 1]`, the frequencies of rotary embeddings), unless it was written as a matrix.
 * @param trailing axes after the features of the other operand, and of the result
 */
function matrix(
  shape: Shape,
  order: 'rows' | 'columns',
  operand: number,
  trailing: readonly [source: number, result: number],
): SlotLayout | undefined {
  if (shape === null) return unknownLayout(null, NO_SHAPE);
  if (shape.length < 2) return undefined;
  if (shape.length > 2 && shape.filter((size) => size > 1).length < 2) return undefined;
  const last: AxisRole[] = order === 'rows' ? ['unit', 'sum'] : ['sum', 'unit'];
  const roles = createRoles(shape, [...shape.slice(2).map(() => 'unit' as const), ...last]);
  const stacked = shape.slice(0, -2);
  const matrices = stacked.slice(stacked.findIndex((size) => size !== 1));
  const isStacked = elementCount(stacked) !== 1;
  if (isStacked && matrices.includes(1)) return unknownLayout(roles, BATCHED);
  const sizes = shape.slice(-2);
  const axisOf = (role: AxisRole) => {
    const axis = last.indexOf(role);
    const size = sizes[axis];
    if (!isStacked) return { size, map: createIndexMap(sizes, [1 - axis, axis]) };
    const all = [elementCount(stacked), ...sizes];
    const map = createIndexMap(all, [size, 1 - axis, axis]);
    return { size: elementCount(stacked) * size, map, matrices };
  };
  return {
    roles,
    source: { operand, trailing: trailing[0], ...axisOf('sum') },
    result: { trailing: trailing[1], ...axisOf('unit') },
  };
}

/** A matrix product; `transA` and `transB` are attributes of most. */
function product(left: number, right: number): WeightSlot[] {
  const isTurned = (operator: AttributeReader, name: string) => operator.integer(name, 0) !== 0;
  return [
    slot(left, (shape, operator) => {
      const order = isTurned(operator, 'transA') ? 'columns' : 'rows';
      return matrix(shape, order, right, [isTurned(operator, 'transB') ? 0 : 1, 1]);
    }),
    slot(right, (shape, operator) => {
      const order = isTurned(operator, 'transB') ? 'rows' : 'columns';
      return matrix(shape, order, left, [isTurned(operator, 'transA') ? 1 : 0, 0]);
    }),
  ];
}

const columns = (operand: number): Layout => {
  return (shape) => matrix(shape, 'columns', operand, [0, 0]);
};

/** `size` features of a convolution whose filters are of `sizes`: `[groups, ., ., ...kernel]`, with strides along the first three. */
function channels(size: number, sizes: readonly number[], strides: readonly number[]): FeatureAxis {
  const map = createIndexMap(sizes, [...strides, ...sizes.slice(3).map(() => 0)]);
  return { size, trailing: sizes.length - 3, map };
}

/** `[units, in / groups, ...kernel]`: a convolution's filters. */
const filters: Layout = (shape, operator) => {
  if (shape === null) return unknownLayout(null, NO_SHAPE);
  const roles = createRoles(
    shape,
    shape.map((_, axis) => (axis === 0 ? 'unit' : 'sum')),
  );
  const groups = operator.integer('group', 1);
  const [units, inputs, ...kernel] = shape;
  if (shape.length < 3 || groups < 1 || units % groups !== 0) {
    return unknownLayout(roles, UNGROUPED);
  }
  const sizes = [groups, units / groups, inputs, ...kernel];
  return {
    roles,
    source: { operand: 0, ...channels(groups * inputs, sizes, [inputs, 0, 1]) },
    result: channels(units, sizes, [units / groups, 1, 0]),
  };
};

/** `[groups * in, out / groups, ...kernel]`. */
const transposedFilters: Layout = (shape, operator) => {
  const groups = operator.integer('group', 1);
  if (shape === null || shape.length < 3 || groups < 1 || shape[0] % groups !== 0) {
    return unknownLayout(null, shape === null ? NO_SHAPE : UNGROUPED);
  }
  const [inputs, units, ...kernel] = shape;
  const sizes = [groups, inputs / groups, units, ...kernel];
  return {
    roles: createRoles(sizes, ['unit', 'sum', 'unit', ...kernel.map(() => 'sum' as const)]),
    source: { operand: 0, ...channels(inputs, sizes, [inputs / groups, 1, 0]) },
    result: channels(groups * units, sizes, [units, 0, 1]),
  };
};

/** `[directions, gates * hidden, in]`. */
const gates: Layout = (shape) => {
  const roles = createRoles(shape, ['unit', 'unit', 'sum']);
  if (shape === null || roles === null) return unknownLayout(null, NO_SHAPE);
  const map = createIndexMap(shape, [0, 0, 1]);
  return { roles, source: { operand: 0, trailing: 0, size: shape[2], map }, result: INSIDE };
};

/** Packed or otherwise laid out so that rows do not follow from the shape. */
const opaque: Layout = () => unknownLayout(null, 'keeps its weights packed');

/** Rows of packed numbers, which stand for `[N, K]`. */
const packedMatrix: Layout = (_shape, operator) => {
  const sizes = [operator.integer('N', 0), operator.integer('K', 0)];
  const [units, features] = sizes;
  if (units < 1 || features < 1) return unknownLayout(null, NO_SHAPE);
  return {
    // Those of what the bytes stand for, whatever their shape.
    roles: null,
    source: { operand: 0, trailing: 0, size: features, map: createIndexMap(sizes, [0, 1]) },
    result: { trailing: 0, size: units, map: createIndexMap(sizes, [1, 0]) },
  };
};

/** `[experts, units, in]`. */
const experts: Layout = (shape) => unknownLayout(createRoles(shape, ['unit', 'unit', 'sum']), CHOICE);

const slot = (input: number, layout: Layout): WeightSlot => ({ input, layout });

/** Slots whose source or result is not what another operator's would be. */
const except = (slots: readonly WeightSlot[], other: Partial<Pick<SlotLayout, 'source' | 'result'>>) =>
  slots.map(({ input, layout }) =>
    slot(input, (shape, operator, isChosen) => {
      const found = layout(shape, operator, isChosen);
      return found && { ...found, ...other };
    }),
  );
/** Slots that multiply quantized numbers, and give floats. */
const quantizedBefore = (slots: readonly WeightSlot[]) =>
  slots.map(({ input, layout }) =>
    slot(input, (shape, operator, isChosen) => {
      const found = layout(shape, operator, isChosen);
      if (found === undefined || typeof found.source === 'string') return found;
      return { ...found, source: { ...found.source, isQuantized: true } };
    }),
  );
/** The same that give integers. */
const integers = (slots: readonly WeightSlot[]) => except(quantizedBefore(slots), { result: QUANTIZED });
const quantized = (slots: readonly WeightSlot[]) => except(slots, { source: QUANTIZED, result: QUANTIZED });
const recurrent = [
  slot(1, gates),
  ...except([slot(2, gates)], { source: 'keeps the hidden state inside the operator' }),
];
const einsum = (input: number) =>
  slot(input, (shape, operator, isChosen) => {
    const equation = operator.text('equation', '');
    return isChosen ? chosenEinsumLayout(shape, equation, input) : einsumLayout(shape, equation, input);
  });

const STANDARD: ReadonlyMap<string, readonly WeightSlot[]> = new Map([
  ['Gemm', product(0, 1)],
  ['MatMul', product(0, 1)],
  ['MatMulInteger', integers(product(0, 1))],
  ['QLinearMatMul', quantized(product(0, 3))],
  ['Conv', [slot(1, filters)]],
  ['ConvInteger', integers([slot(1, filters)])],
  ['QLinearConv', quantized([slot(3, filters)])],
  ['DeformConv', [slot(1, filters)]],
  ['ConvTranspose', [slot(1, transposedFilters)]],
  ['LSTM', recurrent],
  ['GRU', recurrent],
  ['RNN', recurrent],
  ['Einsum', [einsum(0), einsum(1)]],
]);

const MICROSOFT: ReadonlyMap<string, readonly WeightSlot[]> = new Map([
  ['QGemm', quantized(product(0, 3))],
  ['DynamicQuantizeMatMul', [slot(1, columns(0))]],
  ['MatMulIntegerToFloat', quantizedBefore(product(0, 1))],
  ['MatMulNBits', [slot(1, packedMatrix)]],
  ['MatMulBnb4', [slot(1, opaque)]],
  ['Attention', except([slot(1, columns(0))], { result: INSIDE })],
  ['QAttention', quantized([slot(1, columns(0))])],
  ['DynamicQuantizeLSTM', [slot(1, opaque), slot(2, opaque)]],
  ['MoE', [slot(2, experts), slot(4, experts), slot(6, experts)]],
  ['QMoE', [slot(2, opaque), slot(5, opaque), slot(8, opaque)]],
]);
