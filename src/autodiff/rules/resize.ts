import { TensorProto_DataType } from '../../formats/onnx/onnx-schema.ts';
import type { Size } from '../../graph/value-facts.ts';
import { type GradientNode, type GradientRule, type GradientRules, Undifferentiable } from '../derivative.ts';

/** Resize multiplies every axis by a matrix; its gradient multiplies by the transposed ones. */
const resize: GradientRule = (at) => {
  refuseWhatIsNoMatrix(at);
  const input = at.input(0);
  const last = at.rank(input) - 1;
  let gradient = at.gradient();
  for (const { axis, place } of resizedAxes(at).toReversed()) {
    const matrix = transposedMatrix(at, axis, place);
    if (axis === last) {
      gradient = at.op('MatMul', [gradient, at.transpose(matrix, [1, 0])]);
    } else {
      const rowsAtAxis = at.reshape(gradient, [...Array.from({ length: axis + 1 }, () => 0), -1]);
      gradient = at.op('MatMul', [matrix, rowsAtAxis]);
    }
  }
  return [at.reshapeLike(gradient, input)];
};

interface ResizedAxis {
  readonly axis: number;
  /** Its place among the scales or sizes. */
  readonly place: number;
}

/** The axes whose matrix may be another than that of the identity. */
function resizedAxes(at: GradientNode): ResizedAxis[] {
  const input = at.input(0);
  const rank = at.rank(input);
  const [from, to] = [at.shape(input), at.shape(at.output())];
  const scalesName = scalesOf(at);
  const scales = scalesName === null ? null : at.constant(scalesName);
  const named = at.integers('axes') ?? Array.from({ length: rank }, (_, axis) => axis);
  const axes = named.map((axis, place) => ({ axis: axis < 0 ? axis + rank : axis, place }));
  const keepsSize = ({ axis, place }: ResizedAxis) => {
    if (from?.[axis] == null || from[axis] !== to?.[axis]) return false;
    // Sizes that follow the batch are taken for the same: samples do not mix.
    return typeof from[axis] === 'number' || scales === null || scales[place] === 1;
  };
  // onnxruntime then copies, whatever the scales.
  if (axes.every(keepsSize)) return [];
  const isIdentity = (resized: ResizedAxis) => {
    if (scales !== null) return scales[resized.place] === 1;
    // Sizes that are the same mean a scale of 1, but a scale slightly off 1 may leave the size and still move the pixels.
    return keepsSize(resized) && (scalesName === null || from?.[resized.axis] === 'varies');
  };
  return axes.filter((resized) => !isIdentity(resized)).sort((a, b) => a.axis - b.axis);
}

/** The matrix of one axis, [input size, output size]: row i is what Resize makes of the i-th unit vector. */
function transposedMatrix(at: GradientNode, axis: number, place: number): string {
  const [one, scales] = [at.integerVector([1]), scalesOf(at)];
  const [from, to] = [at.sizeValue(at.input(0), axis), at.sizeValue(at.output(), axis)];
  const square = at.op('Concat', [from, from], { axis: 0 });
  const units = at.unsqueeze(at.op('EyeLike', [at.op('Expand', [at.scalar(0), square])]), [0, 3]);
  const scale = (given: string) => {
    const own = at.op('Slice', [given, at.integerVector([place]), at.integerVector([place + 1])]);
    return at.op('Concat', [at.builder.floats([1, 1], [2]), own, copies(at)], { axis: 0 });
  };
  const amount =
    scales === null ? [null, at.op('Concat', [one, from, to, one], { axis: 0 })] : [scale(scales)];
  const resized = at.op('Resize', [units, null, ...amount], {
    mode: at.text('mode', 'nearest'),
    coordinate_transformation_mode: at.text('coordinate_transformation_mode', 'half_pixel'),
    nearest_mode: at.text('nearest_mode', 'round_prefer_floor'),
    cubic_coeff_a: { float: at.float('cubic_coeff_a', -0.75) },
    exclude_outside: at.integer('exclude_outside', 0),
    antialias: at.has('antialias') ? at.integer('antialias', 0) : undefined,
  });
  const firstCopy = at.op('Gather', [resized, at.builder.integer(0)], { axis: 3 });
  return at.op('Squeeze', [firstCopy, at.integerVector([0])]);
}

/**
 * How many copies the unit vectors' Resize makes of each, a vector of one float: where no size changes, onnxruntime copies whatever the scales, so a second
 * copy keeps an axis that stays as long as it is from being copied, unless the node's own sizes all stay.
 */
function copies(at: GradientNode): string {
  const [from, to] = [at.shape(at.input(0)), at.shape(at.output())];
  const isOther = (size: Size, axis: number) =>
    typeof size === 'number' && typeof to?.[axis] === 'number' && size !== to[axis];
  if (from?.some(isOther)) return at.builder.floats([2], [1]);
  const isSame = at.op('Equal', [at.shapeValue(at.input(0)), at.shapeValue(at.output())]);
  const changed = at.op('Cast', [at.op('Not', [isSame])], { to: TensorProto_DataType.FLOAT });
  return at.add(at.builder.reduce('ReduceMax', changed, [0], true), at.scalar(1));
}

/** The scales, which exporters leave empty where they give sizes. */
function scalesOf(at: GradientNode): string | null {
  const name = at.optionalInput(2);
  return at.optionalInput(3) === null ? name : null;
}

function refuseWhatIsNoMatrix(at: GradientNode): void {
  const coordinates = at.text('coordinate_transformation_mode', 'half_pixel');
  if (coordinates === 'tf_crop_and_resize') {
    throw new Undifferentiable('coordinate_transformation_mode "tf_crop_and_resize" has no gradient rule');
  }
  const policy = at.text('keep_aspect_ratio_policy', 'stretch');
  if (policy !== 'stretch') {
    throw new Undifferentiable(`keep_aspect_ratio_policy "${policy}" has no gradient rule, "stretch" has`);
  }
}

export const RESIZE_RULES: GradientRules = new Map([['Resize', resize]]);
