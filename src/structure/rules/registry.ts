import type { StructureRules } from '../structure-rule.ts';
import { ATTENTION_RULES } from './attention.ts';
import { EINSUM_RULES } from './einsum.ts';
import { ELEMENTWISE_RULES } from './elementwise.ts';
import { EXPERT_RULES } from './experts.ts';
import { FUSED_RULES } from './fused.ts';
import { FUSED_ATTENTION_RULES } from './fused-attention.ts';
import { INDEXING_RULES } from './indexing.ts';
import { LAYER_RULES } from './layer.ts';
import { LOOKUP_RULES } from './lookup.ts';
import { NORM_RULES } from './norm.ts';
import { QUANTIZED_RULES } from './quantized.ts';
import { RECURRENT_RULES } from './recurrent.ts';
import { REDUCE_RULES } from './reduce.ts';
import { RESHAPE_RULES } from './reshape.ts';
import { SIZE_RULES } from './sizes.ts';
import { SPREAD_RULES } from './spread.ts';

/** All rules, by operator and domain. */
export const STRUCTURE_RULES: StructureRules = new Map(
  [
    ELEMENTWISE_RULES,
    EINSUM_RULES,
    LAYER_RULES,
    ATTENTION_RULES,
    FUSED_ATTENTION_RULES,
    FUSED_RULES,
    EXPERT_RULES,
    NORM_RULES,
    QUANTIZED_RULES,
    RECURRENT_RULES,
    REDUCE_RULES,
    RESHAPE_RULES,
    INDEXING_RULES,
    LOOKUP_RULES,
    SIZE_RULES,
    SPREAD_RULES,
  ].flatMap((rules) => [...rules]),
);
