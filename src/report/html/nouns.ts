import { z } from 'zod';
import { GRANULARITY_NAMES, type Noun } from '../../recipe/terms.ts';
import type { Report } from '../report.ts';
import { unitOf } from '../wording.ts';

/** What a page calls things. */
interface Nouns {
  /** What is kept or removed. */
  readonly unit: Noun;
  /** What has a sparsity of its own. */
  readonly group: Noun;
}

const recipeSchema = z.object({ granularity: z.enum(GRANULARITY_NAMES) });

export function nounsOf({ recipe, structures }: Pick<Report, 'recipe' | 'structures'>): Nouns {
  const { granularity } = recipeSchema.parse(recipe);
  const group =
    structures === null ? { one: 'tensor', many: 'tensors' } : { one: 'family', many: 'families' };
  return { unit: unitOf(granularity), group };
}

/** For the start of a title. */
export function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
