import { z } from 'zod';
import { SIZE_TARGET_NAMES, type SizeTargetName } from '../recipe/size-targets.ts';
import { SPEED_TARGET_NAMES, type SpeedTargetName } from '../recipe/speed-targets.ts';
import { TARGET_NAMES, type TargetName } from '../recipe/terms.ts';

/** A target as a report holds it; one of another version may have others. */
export const targetFigures = z.object({
  ...(Object.fromEntries(
    [...TARGET_NAMES, ...SIZE_TARGET_NAMES, ...SPEED_TARGET_NAMES].map((name) => [
      name,
      z.number().optional(),
    ]),
  ) as Record<TargetName | SizeTargetName | SpeedTargetName, z.ZodOptional<z.ZodNumber>>),
  confidence: z.number().optional(),
  batch_size: z.number().optional(),
});
