import { z } from 'zod';

export const count = z.int().nonnegative();
export const share = z.number().min(0).max(1);
/** Null where it is not known, or not finite. */
export const figure = z.number().nullable();
