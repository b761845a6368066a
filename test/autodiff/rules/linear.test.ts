import { LINEAR_RULES } from '../../../src/autodiff/rules/linear.ts';
import { describeRules, type RuleCase } from '../rule-check.ts';
import { describeSecondOrder } from '../second-order-check.ts';

const x = (...shape: number[]) => ({ shape });
const fixed = (...shape: number[]) => ({ shape, fixed: true });

const MATMULS: RuleCase[] = [
  { operator: 'MatMul', name: 'by a weight', inputs: [x(2, 3), fixed(3, 4)] },
  { operator: 'MatMul', name: 'of a weight', inputs: [fixed(3, 4), fixed(4, 2)] },
  { operator: 'MatMul', name: 'of a sequence by a weight', inputs: [x(2, 5, 3), fixed(3, 4)] },
  { operator: 'MatMul', name: 'of rank 4 by a weight', inputs: [x(2, 3, 5, 3), fixed(3, 4)] },
  { operator: 'MatMul', name: 'batched', inputs: [x(2, 5, 3), x(2, 3, 4)] },
  { operator: 'MatMul', name: 'batched twice', inputs: [x(2, 3, 5, 3), x(2, 3, 3, 4)] },
  { operator: 'MatMul', name: 'a matrix by a batch', inputs: [fixed(5, 3), x(2, 3, 4)] },
  { operator: 'MatMul', name: 'one by a batch', inputs: [fixed(1, 5, 3), x(2, 3, 4)] },
  { operator: 'MatMul', name: 'a batch by one', inputs: [x(2, 5, 3), fixed(1, 3, 4)] },
  { operator: 'MatMul', name: 'each by each', inputs: [x(2, 1, 5, 3), fixed(1, 4, 3, 2)] },
  { operator: 'MatMul', name: 'of ranks 4 and 3', inputs: [x(2, 4, 5, 3), fixed(4, 3, 2)] },
  { operator: 'MatMul', name: 'of ranks 3 and 4', inputs: [fixed(1, 5, 3), x(2, 4, 3, 2)] },
  { operator: 'MatMul', name: 'of sizes 1', inputs: [x(2, 1, 1), fixed(1, 1, 3)] },
  { operator: 'MatMul', name: 'by a vector', inputs: [x(2, 3), fixed(3)] },
  { operator: 'MatMul', name: 'of a sequence by a vector', inputs: [x(2, 5, 3), fixed(3)] },
  { operator: 'MatMul', name: 'of a vector', inputs: [fixed(3), fixed(3, 4)] },
  { operator: 'MatMul', name: 'of a vector by a batch', inputs: [fixed(3), x(2, 3, 4)] },
  { operator: 'MatMul', name: 'of a vector by rank 4', inputs: [fixed(3), x(2, 5, 3, 4)] },
  { operator: 'MatMul', name: 'of two vectors', inputs: [fixed(3), fixed(3)] },
  { operator: 'MatMul', name: 'of two vectors of unknown size', inputs: [x(3), x(3)] },
  { operator: 'MatMul', name: 'by a weight of unknown shape', inputs: [x(2, 5, 3), x(3, 4)] },
];

const GEMMS: RuleCase[] = [0, 1].flatMap((transA) =>
  [0, 1].map((transB) => ({
    operator: 'Gemm',
    name: `transA ${transA} transB ${transB}`,
    inputs: [transA ? fixed(3, 2) : x(2, 3), transB ? fixed(4, 3) : fixed(3, 4), fixed(4)],
    attributes: { transA, transB, alpha: { float: 0.5 }, beta: { float: 2 } },
  })),
);

const CASES: readonly RuleCase[] = [
  ...MATMULS,
  ...GEMMS,
  { operator: 'Gemm', name: 'plain', inputs: [x(2, 3), fixed(3, 4), fixed(4)] },
  { operator: 'Gemm', name: 'nothing added', inputs: [x(2, 3), fixed(3, 4)] },
  { operator: 'Gemm', name: 'a scalar added', inputs: [x(2, 3), fixed(3, 4), fixed()] },
  { operator: 'Gemm', name: 'one added', inputs: [x(2, 3), fixed(3, 4), fixed(1)] },
  { operator: 'Gemm', name: 'a column added', inputs: [x(2, 3), fixed(3, 4), x(2, 1)] },
  { operator: 'Gemm', name: 'a matrix added', inputs: [x(2, 3), fixed(3, 4), x(2, 4)] },
  { operator: 'Gemm', name: 'a row added', inputs: [x(2, 3), fixed(3, 4), fixed(1, 4)] },
];

describeRules('products of matrices', LINEAR_RULES, CASES);
describeSecondOrder('second derivatives of products of matrices', CASES);
