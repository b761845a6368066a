import { EmpError } from '../core/errors.ts';
import { inTermsOfSearch, type SearchRequest } from '../jobs/search-lines.ts';
import type { Recipe } from '../recipe/recipe.ts';
import type { StructureOverview } from '../structure/overview.ts';
import { type JobInputs, planJob } from './plan-job.ts';

/**
 * Which recipes, amounts aside, a search can try on a model and data, and why not the others.
 * @param structures what an analysis of the model has found; null where there was none
 * @throws EmpError what speaks against the first, where something speaks against each
 */
export async function planLines(
  recipes: readonly Recipe[],
  inputs: JobInputs,
  structures: StructureOverview | null,
): Promise<Pick<SearchRequest, 'lines' | 'left_out'>> {
  const lines: SearchRequest['lines'][number][] = [];
  const leftOut: { readonly recipe: Recipe; readonly error: EmpError }[] = [];
  for (const recipe of recipes) {
    try {
      const { lane = 'long' } = await planJob(recipe, inputs, structures);
      lines.push({ recipe, lane });
    } catch (error) {
      if (!(error instanceof EmpError)) throw error;
      leftOut.push({ recipe, error });
    }
  }
  if (lines.length === 0) throw refusalOf(leftOut[0]?.error);
  return { lines, left_out: leftOut.map(({ recipe, error }) => ({ recipe, reason: error.message })) };
}

/** What is wrong with a line's recipe, as who asked for a search may know it. */
function refusalOf(error: EmpError | undefined): EmpError {
  if (error === undefined) {
    const message = 'no line that is allowed serves the aim';
    return new EmpError('invalid_request', message, [{ path: '/allow', message }]);
  }
  return new EmpError(error.code, error.message, inTermsOfSearch(error.findings));
}
