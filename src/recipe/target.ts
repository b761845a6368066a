import { z } from 'zod';
import { SIZE_TARGET_NAMES, SIZE_TARGETS, type SizeTargetName } from './size-targets.ts';
import { SPEED_TARGET_NAMES, SPEED_TARGETS, type SpeedTargetName } from './speed-targets.ts';
import { TARGET_NAMES, TARGETS, type TargetName } from './terms.ts';

const MIN_CONFIDENCE = 0.5;
const MAX_CONFIDENCE = 0.9999;

type AnyTargetName = TargetName | SizeTargetName | SpeedTargetName;

function targetValue(name: TargetName) {
  const { max, isMaxAllowed, meaning } = TARGETS[name];
  const value = z.number().min(0);
  return (isMaxAllowed ? value.max(max) : value.lt(max)).optional().describe(meaning);
}

function sizeLimit(name: SizeTargetName) {
  return z.int().positive().optional().describe(SIZE_TARGETS[name].meaning);
}

const qualityShape = {
  max_loss_increase: targetValue('max_loss_increase'),
  max_accuracy_drop: targetValue('max_accuracy_drop'),
  max_disagreement: targetValue('max_disagreement'),
  max_kl: targetValue('max_kl'),
  max_relative_l2: targetValue('max_relative_l2'),
  max_cosine_distance: targetValue('max_cosine_distance'),
} satisfies Record<TargetName, z.ZodType>;

const confidence = z
  .number()
  .min(MIN_CONFIDENCE)
  .max(MAX_CONFIDENCE)
  .optional()
  .describe(
    'Makes a promise of it: on data like the evaluation data the limit holds with this probability, shown by exact tests on samples that no choice saw. Without it the target is met when the estimate on those samples is within it.',
  );

/** What a model may cost, of which one is given, and the confidence of that. */
export const promiseShape = { ...qualityShape, confidence };

/** Targets of quality, and of size or speed, of which one each may be given, and the confidence of a promise. */
export const targetSchema = z
  .strictObject({
    ...promiseShape,
    max_parameters: sizeLimit('max_parameters'),
    max_bytes: sizeLimit('max_bytes'),
    max_compressed_bytes: sizeLimit('max_compressed_bytes'),
    max_macs: sizeLimit('max_macs'),
    min_speedup: z.number().gt(1).optional().describe(SPEED_TARGETS.min_speedup.meaning),
    max_latency_ms: z.number().positive().optional().describe(SPEED_TARGETS.max_latency_ms.meaning),
    batch_size: z
      .int()
      .min(1)
      .optional()
      .describe(
        'Evaluation samples that a target of speed, and the latencies of the report, are timed on at a time; as many as the figures are measured with unless given.',
      ),
  } satisfies Record<AnyTargetName | 'confidence' | 'batch_size', z.ZodType>)
  .superRefine((target, context) => {
    const others = [...SIZE_TARGET_NAMES, ...SPEED_TARGET_NAMES];
    const countOf = (names: readonly AnyTargetName[]) =>
      names.filter((name) => target[name] !== undefined).length;
    const [quality, other, speed] = [TARGET_NAMES, others, SPEED_TARGET_NAMES].map(countOf);
    const refuse = (message: string) => context.addIssue({ code: 'custom', message });
    if (quality > 1 || other > 1 || quality + other === 0)
      refuse(`give one of ${TARGET_NAMES.join(', ')}, or one of ${others.join(', ')}, or one of each`);
    else if (quality === 0 && target.confidence !== undefined)
      refuse(
        `confidence goes with one of ${TARGET_NAMES.join(', ')}: ${speed > 0 ? 'a speed is met by the whole of its 95 % interval' : 'a size is counted, not estimated'}`,
      );
    if (speed === 0 && target.batch_size !== undefined)
      refuse(`batch_size goes with one of ${SPEED_TARGET_NAMES.join(', ')}: nothing else is timed`);
  })
  .describe(
    'Of quality: the smallest beta whose evaluation stays within this of the dense model is searched, on the selection data, or without them on one half of the evaluation samples, which `seed` draws; the report is of the other half, or of all evaluation samples. What needs no labels is kept in every float output that has the samples on an axis, but caches. Of size: the largest beta whose model is no larger than this, which takes no data. Of speed: the largest beta whose model is measured to be as fast, beyond the noise. With one of quality and one of size or speed the beta is that of quality, and `size_target` of the report, or `speed_target` of its evaluation, says whether its model keeps the other too.',
  );

export type Target = z.output<typeof targetSchema>;

interface Targeted {
  readonly target?: Target | undefined;
}

/** What a target of quality bounds, and by how much; null without one. */
export function targetOf({ target }: Targeted): { name: TargetName; limit: number } | null {
  return firstOf(TARGET_NAMES, target);
}

/** What a target of size bounds, and by how much; null without one. */
export function sizeTargetOf({ target }: Targeted): { name: SizeTargetName; limit: number } | null {
  return firstOf(SIZE_TARGET_NAMES, target);
}

/** What a target of speed asks for; null without one. */
export function speedTargetOf({ target }: Targeted): { name: SpeedTargetName; limit: number } | null {
  return firstOf(SPEED_TARGET_NAMES, target);
}

function firstOf<N extends AnyTargetName>(names: readonly N[], target: Target | undefined) {
  for (const name of names) {
    const limit = target?.[name];
    if (limit !== undefined) return { name, limit };
  }
  return null;
}
