import type { OnnxNode } from '../../graph/onnx-model.ts';
import type { GradientRules } from '../derivative.ts';
import { ACTIVATION_RULES } from './activation.ts';
import { ARITHMETIC_RULES } from './arithmetic.ts';
import { CONV_RULES } from './conv.ts';
import { EINSUM_RULES } from './einsum.ts';
import { INDEXING_RULES } from './indexing.ts';
import { LINEAR_RULES } from './linear.ts';
import { NORM_RULES } from './norm.ts';
import { POOL_RULES } from './pool.ts';
import { REDUCE_RULES } from './reduce.ts';
import { RESIZE_RULES } from './resize.ts';
import { SHAPE_RULES } from './shape.ts';

/** Standard operators whose outputs carry no gradient: integers, booleans, shapes, and what is constant piece by piece. */
const WITHOUT_GRADIENT = new Set([
  ...['Shape', 'Size', 'Constant', 'ConstantOfShape'],
  ...['NonZero', 'EyeLike', 'IsNaN', 'IsInf'],
  ...['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual', 'Not', 'And', 'Or', 'Xor'],
  ...['ArgMax', 'ArgMin', 'Sign', 'Floor', 'Ceil', 'Round'],
  ...['RandomNormalLike', 'RandomUniformLike', 'Bernoulli'],
]);
/** The inputs that gradients go through, of operators that take counts and indices from wherever a model computes them. */
const GRADIENT_INPUTS: ReadonlyMap<string, readonly number[]> = new Map([
  ['CastLike', [0]],
  ['OneHot', [2]],
  ['Range', [0, 2]],
]);
/** TensorProto's float types: a cast to any other ends a gradient. */
const FLOAT_TYPES = new Set([1, 10, 11, 16]);

/** The rules of the standard operators by name. */
export const RULES: GradientRules = new Map(
  [
    ACTIVATION_RULES,
    ARITHMETIC_RULES,
    CONV_RULES,
    EINSUM_RULES,
    INDEXING_RULES,
    LINEAR_RULES,
    NORM_RULES,
    POOL_RULES,
    REDUCE_RULES,
    RESIZE_RULES,
    SHAPE_RULES,
  ].flatMap((rules) => [...rules]),
);

/** Whether no gradient goes through a node, whatever it reads. */
export function carriesNoGradient(node: OnnxNode): boolean {
  if (node.domain !== '') return false;
  if (node.op === 'Cast') return !FLOAT_TYPES.has(node.integer('to', 1));
  return WITHOUT_GRADIENT.has(node.op);
}

/** Whether a gradient may go through an input of a node that carries any. */
export function takesGradient(node: OnnxNode, input: number): boolean {
  if (node.domain !== '') return true;
  return GRADIENT_INPUTS.get(node.op)?.includes(input) ?? true;
}
