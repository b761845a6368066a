import type { GradientNode } from '../../src/autodiff/derivative.ts';
import { type Sliding, slidingBack, slidingOver } from '../../src/autodiff/rules/convolution.ts';
import { TensorProto_DataType } from '../../src/formats/onnx/onnx-schema.ts';

const { FLOAT, DOUBLE } = TensorProto_DataType;

/** Appends what computes a node's first output in float64, and returns the value's name. All sizes are known. */
export type Float64Form = (at: GradientNode) => string;

const conv: Float64Form = (at) => {
  const [, channels] = at.fixedShape(at.input(0));
  const [units, , ...kernel] = at.fixedShape(at.input(1));
  const [batch, , ...map] = at.fixedShape(at.output());
  const group = at.integer('group', 1);
  const products = windows(at, kernel).map(({ position, pixels }) =>
    at.op('MatMul', [
      at.reshape(kernelAt(at, position), [group, units / group, channels / group]),
      at.reshape(pixels, [batch, group, channels / group, count(map)]),
    ]),
  );
  return withBias(at, at.reshape(at.op('Sum', products), at.fixedShape(at.output())));
};

const convTranspose: Float64Form = (at) => {
  const [batch, channels, ...map] = at.fixedShape(at.input(0));
  const [, units, ...kernel] = at.fixedShape(at.input(1));
  const image = at.fixedShape(at.output()).slice(2);
  const group = at.integer('group', 1);
  const { strides, dilations, padsBefore } = slidingBack(at, { image, kernel, map });
  const columns = at.reshape(at.input(0), [batch, group, channels / group, count(map)]);
  const none = map.map(() => 0);
  const parts = positionsOf(kernel).map((position) => {
    const matrix = at.reshape(kernelAt(at, position), [group, channels / group, units]);
    const product = at.op('MatMul', [at.transpose(matrix, [0, 2, 1]), columns]);
    const apart = map.flatMap((size) => [size, 1]);
    const between = strides.flatMap((stride) => [0, stride - 1]);
    const spread = at.op('Pad', [
      at.reshape(product, [batch, group * units, ...apart]),
      at.integerVector([0, 0, ...none, ...none, 0, 0, ...between]),
    ]);
    const spans = map.map((size, axis) => size * strides[axis]);
    const before = position.map((index, axis) => index * dilations[axis] - padsBefore[axis]);
    const after = image.map((size, axis) => size - spans[axis] - before[axis]);
    return at.op('Pad', [
      at.reshape(spread, [batch, group * units, ...spans]),
      at.integerVector([0, 0, ...before, 0, 0, ...after]),
    ]);
  });
  return withBias(at, at.op('Sum', parts));
};

const averagePool: Float64Form = (at) => {
  const kernel = at.integers('kernel_shape') ?? [];
  const sum = (image: string | null) =>
    at.op(
      'Sum',
      windows(at, kernel, image).map(({ pixels }) => pixels),
    );
  if (at.integer('count_include_pad', 0) === 1) return at.div(sum(null), scalar(at, count(kernel)));
  return at.div(sum(null), sum(at.op('Expand', [scalar(at, 1), at.shapeValue(at.input(0))])));
};

const globalAveragePool: Float64Form = (at) => at.mean(at.input(0), pixelAxes(at));

const hardSigmoid: Float64Form = (at) => {
  const line = at.add(
    at.mul(at.input(0), scalar(at, at.float('alpha', 0.2))),
    scalar(at, at.float('beta', 0.5)),
  );
  return at.op('Clip', [line, scalar(at, 0), scalar(at, 1)]);
};

const instanceNormalization: Float64Form = (at) => {
  const [, channels] = at.fixedShape(at.input(0));
  const [factors, shifts] = [1, 2].map((slot) =>
    at.reshape(at.input(slot), [1, channels, ...pixelAxes(at).map(() => 1)]),
  );
  const centred = at.sub(at.input(0), at.mean(at.input(0), pixelAxes(at)));
  const variance = at.mean(at.mul(centred, centred), pixelAxes(at));
  const deviation = at.op('Sqrt', [at.add(variance, scalar(at, at.float('epsilon', 1e-5)))]);
  return at.add(at.mul(at.div(centred, deviation), factors), shifts);
};

/** Of a number's float32 and of what that leaves: exact to 48 bits where numbers are copied, as nearest neighbours are. */
const resize: Float64Form = (at) => {
  const attributes = {
    mode: at.text('mode', 'nearest'),
    coordinate_transformation_mode: at.text('coordinate_transformation_mode', 'half_pixel'),
    nearest_mode: at.text('nearest_mode', 'round_prefer_floor'),
  };
  const sizes = [1, 2, 3].map((slot) => at.optionalInput(slot));
  const resized = (part: string) =>
    at.op('Cast', [at.op('Resize', [at.op('Cast', [part], { to: FLOAT }), ...sizes], attributes)], {
      to: DOUBLE,
    });
  const large = at.op('Cast', [at.op('Cast', [at.input(0)], { to: FLOAT })], { to: DOUBLE });
  return at.add(resized(large), resized(at.sub(at.input(0), large)));
};

/** Operators that onnxruntime's CPU provider has in float32 and not in float64. */
export const FLOAT64_FORMS: ReadonlyMap<string, Float64Form> = new Map([
  ['AveragePool', averagePool],
  ['Conv', conv],
  ['ConvTranspose', convTranspose],
  ['GlobalAveragePool', globalAveragePool],
  ['HardSigmoid', hardSigmoid],
  ['InstanceNormalization', instanceNormalization],
  ['Resize', resize],
]);

/** For each position of a kernel the pixels that it meets as it slides over the padded image, in the shape of the map. */
function windows(at: GradientNode, kernel: readonly number[], image: string | null = null) {
  const size = at.fixedShape(at.input(0)).slice(2);
  const map = at.fixedShape(at.output()).slice(2);
  const { strides, dilations, padsBefore }: Sliding = slidingOver(at, size, kernel);
  const ends = (position: readonly number[]) =>
    position.map((index, axis) => index * dilations[axis] + (map[axis] - 1) * strides[axis] + 1);
  const last = ends(kernel.map((positions) => positions - 1));
  const padsAfter = last.map((end, axis) => end - size[axis] - padsBefore[axis]);
  const pads = at.integerVector([0, 0, ...padsBefore, 0, 0, ...padsAfter]);
  const padded = at.op('Pad', [image ?? at.input(0), pads]);
  const axes = at.integerVector(pixelAxes(at));
  return positionsOf(kernel).map((position) => {
    const starts = at.integerVector(position.map((index, axis) => index * dilations[axis]));
    const steps = at.integerVector(strides);
    const pixels = at.op('Slice', [padded, starts, at.integerVector(ends(position)), axes, steps]);
    return { position, pixels };
  });
}

/** The kernel's numbers at one position, `[..., 1, 1]`. */
function kernelAt(at: GradientNode, position: readonly number[]): string {
  const [starts, ends] = [position, position.map((index) => index + 1)].map((to) => at.integerVector(to));
  return at.op('Slice', [at.input(1), starts, ends, at.integerVector(pixelAxes(at))]);
}

function withBias(at: GradientNode, result: string): string {
  const bias = at.optionalInput(2);
  if (bias === null) return result;
  return at.add(result, at.reshape(bias, [1, -1, ...pixelAxes(at).map(() => 1)]));
}

function positionsOf(kernel: readonly number[]): number[][] {
  return kernel.reduce<number[][]>(
    (found, size) =>
      found.flatMap((position) => Array.from({ length: size }, (_, index) => [...position, index])),
    [[]],
  );
}

function pixelAxes(at: GradientNode): number[] {
  return [...at.fixedShape(at.input(0)).keys()].slice(2);
}

function count(sizes: readonly number[]): number {
  return sizes.reduce((product, size) => product * size, 1);
}

function scalar(at: GradientNode, value: number): string {
  return at.op('Cast', [at.scalar(value)], { to: DOUBLE });
}
