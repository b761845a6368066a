import { type GradientNode, type GradientRule, type GradientRules, Undifferentiable } from '../derivative.ts';
import { scatterBack } from './scatter.ts';

/** The same elements in another shape: back to the first. */
const reshaped: GradientRule = (at) => [at.reshapeLike(at.gradient(), at.input(0))];

const transpose: GradientRule = (at) => {
  const perm = at.integers('perm');
  // Without a permutation the axes are reversed, which is its own inverse.
  if (perm === null) return [at.op('Transpose', [at.gradient()])];
  const inverse = perm.map((_, axis) => perm.indexOf(axis));
  return [at.transpose(at.gradient(), inverse)];
};

const expand: GradientRule = (at) => [at.unbroadcast(at.gradient(), at.input(0), at.output())];

const concat: GradientRule = (at) => {
  const inputs = Array.from({ length: at.inputCount }, (_, index) => at.input(index));
  const axis = at.axis('axis', 0, at.output());
  const sizes = inputs.map((input) => at.sizeValue(input, axis));
  const split = at.op('Concat', sizes, { axis: 0 });
  return at.builder.nodes('Split', [at.gradient(), split], { axis }, inputs.length);
};

const split: GradientRule = (at) => {
  const parts = at.node.outputs.map(
    (_, index) => at.optionalGradient(index) ?? at.zerosLike(at.output(index)),
  );
  return [at.op('Concat', parts, { axis: at.integer('axis', 0) })];
};

/** Every size n repeated r times is a pair of axes [r, n]; summed over the r. */
const tile: GradientRule = (at) => {
  const [input, repeats] = [at.input(0), at.input(1)];
  const columns = [repeats, at.shapeValue(input)].map((sizes) => at.unsqueeze(sizes, [1]));
  const pairs = at.reshape(at.op('Concat', columns, { axis: 1 }), [-1]);
  const repeatAxes = Array.from({ length: at.rank(input) }, (_, axis) => 2 * axis);
  return [at.sum(at.reshape(at.gradient(), pairs), repeatAxes, false)];
};

/** SpaceToDepth puts the block's positions before the channels; of mode CRD they come after them. */
const depthToSpace: GradientRule = (at) => {
  const blocksize = at.integer('blocksize', 1);
  const gathered = at.op('SpaceToDepth', [at.gradient()], { blocksize });
  if (at.text('mode', 'DCR') === 'DCR') return [gathered];
  const channelsLast = at.transpose(gathered, [0, 2, 3, 1]);
  const parted = at.reshape(channelsLast, [0, 0, 0, blocksize * blocksize, -1]);
  return [at.reshapeLike(at.transpose(parted, [0, 4, 3, 1, 2]), at.input(0))];
};

const spaceToDepth: GradientRule = (at) => [
  at.op('DepthToSpace', [at.gradient()], { blocksize: at.integer('blocksize', 1), mode: 'DCR' }),
];

const pad: GradientRule = (at) => {
  const mode = at.text('mode', 'constant');
  const [pads, axes] = [at.input(1), at.optionalInput(3)];
  if (mode !== 'constant') {
    return [scatterBack(at, (positions) => at.op('Pad', [positions, pads, null, axes], { mode }))];
  }
  if (at.needs(2)) throw new Undifferentiable('no gradient for the value that is padded with');
  // Pads below zero cut off what the pads added, and add zeros where pads below zero cut off.
  return [at.op('Pad', [at.gradient(), at.neg(pads), null, axes])];
};

const slice: GradientRule = (at) => {
  const pads = padsOfSlice(at);
  if (pads !== null) return [at.op('Pad', [at.gradient(), at.integerVector(pads)])];
  const bounds = [at.input(1), at.input(2), at.optionalInput(3), at.optionalInput(4)];
  return [scatterBack(at, (positions) => at.op('Slice', [positions, ...bounds]))];
};

/** Ends from here on mean "to the end"; exporters write the largest int32 or int64. */
const TO_THE_END = 2 ** 31 - 1;

/** How much a slice of step 1 cuts off before and after, axis by axis; null where that is not known beforehand. */
function padsOfSlice(at: GradientNode): number[] | null {
  const [input, result] = [at.shape(at.input(0)), at.shape(at.output())];
  const [starts, ends] = [at.constant(at.input(1)), at.constant(at.input(2))];
  if (input === null || result === null || starts === null || ends === null) return null;
  const axes = constantOr(at, 3, [...starts.keys()]);
  const steps = constantOr(at, 4, [1]);
  if (axes === null || steps === null || steps.some((step) => step !== 1)) return null;
  const [before, after] = [input.map(() => 0), input.map(() => 0)];
  for (const [index, start] of starts.entries()) {
    if (start === 0 && ends[index] >= TO_THE_END) continue;
    const axis = axes[index] < 0 ? axes[index] + input.length : axes[index];
    const [size, kept] = [input[axis], result[axis]];
    if (typeof size !== 'number' || typeof kept !== 'number') return null;
    before[axis] = Math.min(Math.max(start < 0 ? start + size : start, 0), size);
    after[axis] = size - kept - before[axis];
  }
  return [...before, ...after];
}

function constantOr(at: GradientNode, index: number, fallback: readonly number[]): readonly number[] | null {
  const name = at.optionalInput(index);
  return name === null ? fallback : at.constant(name);
}

const trilu: GradientRule = (at) => [
  at.op('Trilu', [at.gradient(), at.optionalInput(1)], { upper: at.integer('upper', 1) }),
];

/** Operators that move elements: the gradient moves them back, and adds up where one was copied. */
export const SHAPE_RULES: GradientRules = new Map([
  ['Reshape', reshaped],
  ['Flatten', reshaped],
  ['Squeeze', reshaped],
  ['Unsqueeze', reshaped],
  ['Transpose', transpose],
  ['Expand', expand],
  ['Concat', concat],
  ['Split', split],
  ['Tile', tile],
  ['DepthToSpace', depthToSpace],
  ['SpaceToDepth', spaceToDepth],
  ['Pad', pad],
  ['Slice', slice],
  ['Trilu', trilu],
]);
