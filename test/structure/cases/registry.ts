import { qualifiedOp } from '../../../src/graph/onnx-model.ts';
import { ATTENTION_CASES } from './attention.ts';
import { ELEMENTWISE_CASES } from './elementwise.ts';
import { EXPERTS_CASES } from './experts.ts';
import { FUSED_CASES } from './fused.ts';
import { FUSED_ATTENTION_CASES } from './fused-attention.ts';
import { SELECTIONS_CASES } from './indexing.ts';
import { LAYERS_CASES } from './layers.ts';
import { LOOKUP_CASES } from './lookup.ts';
import { NORMS_CASES } from './norms.ts';
import { QUANTIZED_CASES } from './quantized.ts';
import { RECURRENT_CASES } from './recurrent.ts';
import { REDUCTIONS_CASES } from './reductions.ts';
import { RESHAPES_CASES } from './reshapes.ts';
import type { RuleCase } from './rule-case.ts';
import { SPREAD_CASES } from './spread.ts';

export const RULE_CASES: readonly RuleCase[] = [
  ...ELEMENTWISE_CASES,
  ...LAYERS_CASES,
  ...ATTENTION_CASES,
  ...FUSED_ATTENTION_CASES,
  ...FUSED_CASES,
  ...EXPERTS_CASES,
  ...NORMS_CASES,
  ...QUANTIZED_CASES,
  ...REDUCTIONS_CASES,
  ...RESHAPES_CASES,
  ...SELECTIONS_CASES,
  ...LOOKUP_CASES,
  ...SPREAD_CASES,
  ...RECURRENT_CASES,
];

/** The operators of a case whose rules it tries. */
export function operatorsOf({ model }: RuleCase): string[] {
  return [...new Set(model.graph?.node.map(qualifiedOp))];
}
