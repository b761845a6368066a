import { z } from 'zod';
import type { Report } from '../report.ts';
import { UNITS } from '../wording.ts';

export interface Noun {
  readonly one: string;
  readonly many: string;
}

/** What a page calls things. */
interface Nouns {
  /** What is kept or removed. */
  readonly unit: Noun;
  /** What has a sparsity of its own. */
  readonly group: Noun;
}

const recipeSchema = z.object({ granularity: z.enum(['weight', 'channel', 'head', 'kan_node']) });

export function nounsOf({ recipe, structures }: Pick<Report, 'recipe' | 'structures'>): Nouns {
  const { granularity } = recipeSchema.parse(recipe);
  const group =
    structures === null ? { one: 'tensor', many: 'tensors' } : { one: 'family', many: 'families' };
  return { unit: UNITS[granularity], group };
}

/** For the start of a title. */
export function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
