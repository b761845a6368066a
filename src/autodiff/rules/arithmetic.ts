import { TensorProto_DataType } from '../../formats/onnx/onnx-schema.ts';
import { type GradientNode, type GradientRule, type GradientRules, Undifferentiable } from '../derivative.ts';

/** Number by number: y = f(x), with `slope` = f'(x). */
export function unary(slope: (at: GradientNode) => string): GradientRule {
  return (at) => [at.mul(at.gradient(), slope(at))];
}

/** Number by number over inputs that are broadcast to the output's shape: `gradientOf` has that shape. */
function broadcasting(gradientOf: (at: GradientNode, slot: number) => string): GradientRule {
  return (at) =>
    at.node.inputs.map((_, slot) =>
      at.needs(slot) ? at.unbroadcast(gradientOf(at, slot), at.input(slot), at.output()) : null,
    );
}

const same: GradientRule = (at) => [at.gradient()];

/** In inference Dropout is the identity. */
const dropout: GradientRule = (at) => {
  const mode = at.optionalInput(2);
  if (mode !== null && at.constant(mode)?.[0] !== 0) throw new Undifferentiable('drops numbers by chance');
  return [at.gradient()];
};

/** (a / b)' = da / b - db y / b */
const div = broadcasting((at, slot) => {
  const share = at.div(at.gradient(), at.input(1));
  return slot === 0 ? share : at.neg(at.mul(share, at.output()));
});

/** (x^e)' = e x^(e-1) dx + log(x) y de; 0 instead of 0 / 0 where e = 0, and instead of 0 * log(0). As in PyTorch. */
const pow = broadcasting((at, slot) => {
  const [dy, x, exponent, zero] = [at.gradient(), at.input(0), at.input(1), at.scalar(0)];
  if (slot === 1) {
    const gradient = at.mul(dy, at.mul(at.op('Log', [x]), at.output()));
    return at.op('Where', [at.op('Equal', [x, zero]), zero, gradient]);
  }
  const known = at.constant(exponent);
  if (known?.length === 1) return at.mul(dy, powerSlope(at, x, known[0]));
  const e = at.op('Cast', [exponent], { to: TensorProto_DataType.FLOAT });
  const gradient = at.mul(dy, at.mul(e, at.op('Pow', [x, at.sub(e, at.scalar(1))])));
  return at.op('Where', [at.op('Equal', [e, zero]), zero, gradient]);
});

function powerSlope(at: GradientNode, x: string, exponent: number): string {
  if (exponent === 0) return at.scalar(0);
  if (exponent === 1) return at.scalar(1);
  const power = exponent === 2 ? x : at.op('Pow', [x, at.scalar(exponent - 1)]);
  return at.mul(power, at.scalar(exponent));
}

/** Min, Max: to the input that was taken; in equal parts to equal ones, as in PyTorch. */
const extreme: GradientRule = (at) => {
  const taken = at.node.inputs.map((_, slot) => at.indicator(at.op('Equal', [at.input(slot), at.output()])));
  const part = at.div(at.gradient(), at.op('Sum', taken));
  return taken.map((isTaken, slot) =>
    at.needs(slot) ? at.unbroadcast(at.mul(part, isTaken), at.input(slot), at.output()) : null,
  );
};

const where: GradientRule = (at) => {
  const [condition, dy, zero] = [at.input(0), at.gradient(), at.scalar(0)];
  const branch = (slot: number, gradient: () => string) =>
    at.needs(slot) ? at.unbroadcast(gradient(), at.input(slot), at.output()) : null;
  return [
    null,
    branch(1, () => at.op('Where', [condition, dy, zero])),
    branch(2, () => at.op('Where', [condition, zero, dy])),
  ];
};

/** Clip: to x strictly between the limits, as in PyTorch's hardtanh; to a limit where it was taken. From the output, for onnxruntime to fuse it with a Conv. */
const clip: GradientRule = (at) => {
  const [dy, y, low, high] = [at.gradient(), at.output(), at.optionalInput(1), at.optionalInput(2)];
  const above = low === null ? null : at.op('Greater', [y, low]);
  const below = high === null ? null : at.op('Less', [y, high]);
  const between = above !== null && below !== null ? at.op('And', [above, below]) : (above ?? below);
  const taken = (slot: number, inside: string | null) =>
    inside !== null && at.needs(slot)
      ? at.unbroadcast(at.op('Where', [inside, at.scalar(0), dy]), at.input(slot), y)
      : null;
  return [between === null ? dy : at.where(between, dy), taken(1, above), taken(2, below)];
};

/** y[i] = start + i delta; how many there are changes by jumps alone. */
const range: GradientRule = (at) => {
  const dy = at.gradient();
  const [from, count, step] = [at.builder.integer(0), at.op('Size', [dy]), at.builder.integer(1)];
  const places = at.op('Cast', [at.op('Range', [from, count, step])], { to: TensorProto_DataType.FLOAT });
  const total = (terms: string, input: string) => at.reshapeLike(at.sum(terms, [0]), input);
  return [
    at.needs(0) ? total(dy, at.input(0)) : null,
    null,
    at.needs(2) ? total(at.mul(dy, places), at.input(2)) : null,
  ];
};

/** Arithmetic and elementary functions, number by number. */
export const ARITHMETIC_RULES: GradientRules = new Map<string, GradientRule>([
  ['Identity', same],
  // Prepared models compute in float32 alone.
  ['Cast', same],
  ['Dropout', dropout],
  ['Add', broadcasting((at) => at.gradient())],
  ['Sub', broadcasting((at, slot) => (slot === 0 ? at.gradient() : at.neg(at.gradient())))],
  ['Mul', broadcasting((at, slot) => at.mul(at.gradient(), at.input(1 - slot)))],
  ['Div', div],
  ['Sum', broadcasting((at) => at.gradient())],
  ['Mean', broadcasting((at) => at.mul(at.gradient(), at.scalar(1 / at.inputCount)))],
  ['Min', extreme],
  ['Max', extreme],
  ['Where', where],
  ['Clip', clip],
  ['Range', range],
  ['Pow', pow],
  ['Neg', (at) => [at.neg(at.gradient())]],
  ['Abs', unary((at) => at.op('Sign', [at.input(0)]))],
  // (1 / x)' = -y^2
  ['Reciprocal', unary((at) => at.neg(at.mul(at.output(), at.output())))],
  // 1 / (2 y)
  ['Sqrt', (at) => [at.div(at.mul(at.gradient(), at.scalar(0.5)), at.output())]],
  ['Exp', unary((at) => at.output())],
  ['Log', (at) => [at.div(at.gradient(), at.input(0))]],
  ['Sin', unary((at) => at.op('Cos', [at.input(0)]))],
  ['Cos', unary((at) => at.neg(at.op('Sin', [at.input(0)])))],
  // 1 + y^2
  ['Tan', unary((at) => at.add(at.scalar(1), at.mul(at.output(), at.output())))],
  ['Sinh', unary((at) => at.op('Cosh', [at.input(0)]))],
  ['Cosh', unary((at) => at.op('Sinh', [at.input(0)]))],
  // 1 / sqrt(1 - x^2)
  ['Asin', (at) => [at.div(at.gradient(), circle(at))]],
  ['Acos', (at) => [at.neg(at.div(at.gradient(), circle(at)))]],
  // 1 / (1 + x^2)
  ['Atan', (at) => [at.div(at.gradient(), at.add(at.scalar(1), square(at, at.input(0))))]],
  // 1 / sqrt(x^2 + 1), 1 / sqrt(x^2 - 1), 1 / (1 - x^2)
  ['Asinh', (at) => [at.div(at.gradient(), at.op('Sqrt', [at.add(square(at, at.input(0)), at.scalar(1))]))]],
  ['Acosh', (at) => [at.div(at.gradient(), at.op('Sqrt', [at.sub(square(at, at.input(0)), at.scalar(1))]))]],
  ['Atanh', (at) => [at.div(at.gradient(), at.sub(at.scalar(1), square(at, at.input(0))))]],
]);

/** sqrt(1 - x^2) */
function circle(at: GradientNode): string {
  return at.op('Sqrt', [at.sub(at.scalar(1), square(at, at.input(0)))]);
}

function square(at: GradientNode, a: string): string {
  return at.mul(a, a);
}
