import { type GradientRule, type GradientRules, type RuleContext, Undifferentiable } from '../rule.ts';

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

function resizedAxes(at: RuleContext): ResizedAxis[] {
  const input = at.input(0);
  const rank = at.rank(input);
  const [from, to] = [at.shape(input), at.shape(at.output())];
  const scalesName = scalesOf(at);
  const scales = scalesName === null ? null : at.constant(scalesName);
  const axes = at.integers('axes') ?? Array.from({ length: rank }, (_, axis) => axis);
  return axes
    .map((axis, place) => ({ axis: axis < 0 ? axis + rank : axis, place }))
    .filter(({ axis, place }) => {
      if (scales !== null) return scales[place] !== 1;
      // Sizes that follow the batch are taken for the same: samples do not mix.
      return from?.[axis] == null || from[axis] !== to?.[axis];
    })
    .sort((a, b) => a.axis - b.axis);
}

/** The matrix of one axis, [input size, output size]: row i is what Resize makes of the i-th unit vector. */
function transposedMatrix(at: RuleContext, axis: number, place: number): string {
  const [one, scales] = [at.integerVector([1]), scalesOf(at)];
  const [from, to] = [at.sizeValue(at.input(0), axis), at.sizeValue(at.output(), axis)];
  const square = at.op('Concat', [from, from], { axis: 0 });
  const units = at.unsqueeze(at.op('EyeLike', [at.op('Expand', [at.scalar(0), square])]), [0, 3]);
  const scale = () => {
    const ones = at.builder.floats([1, 1], [2]);
    const own = at.op('Slice', [scales, at.integerVector([place]), at.integerVector([place + 1])]);
    return at.op('Concat', [ones, own, at.builder.floats([1], [1])], { axis: 0 });
  };
  const amount = scales === null ? [null, at.op('Concat', [one, from, to, one], { axis: 0 })] : [scale()];
  const resized = at.op('Resize', [units, null, ...amount], {
    mode: at.text('mode', 'nearest'),
    coordinate_transformation_mode: at.text('coordinate_transformation_mode', 'half_pixel'),
    nearest_mode: at.text('nearest_mode', 'round_prefer_floor'),
    cubic_coeff_a: { float: at.float('cubic_coeff_a', -0.75) },
    exclude_outside: at.integer('exclude_outside', 0),
    antialias: at.has('antialias') ? at.integer('antialias', 0) : undefined,
  });
  return at.op('Squeeze', [resized, at.integerVector([0, 3])]);
}

/** The scales, which exporters leave empty where they give sizes. */
function scalesOf(at: RuleContext): string | null {
  const name = at.optionalInput(2);
  return at.optionalInput(3) === null ? name : null;
}

function refuseWhatIsNoMatrix(at: RuleContext): void {
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
