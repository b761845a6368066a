import type { Search } from '../jobs/search-reader.ts';
import { targetOfTerms } from '../recipe/lines.ts';
import { untriedOf } from '../report/search-outcomes.ts';
import type { SearchFacts } from '../report/search-report.ts';
import { viewOfSearch } from './search-view.ts';

/** What a search's report tells, of what clients are told. */
export function factsOfSearch(search: Search): SearchFacts {
  const { id, status, aim, error, dense, candidates, front, best, lines, left_out, doubts } =
    viewOfSearch(search);
  return {
    ...{ id, status, aim, dense, doubts, lines },
    target: targetOfTerms(search.record.terms),
    untried: untriedOf(status, search.record.terms.limits, candidates.length, lines),
    external: search.record.terms.promise.external ?? null,
    error: error?.detail ?? null,
    front: front.map((place) => candidates[place]),
    nCandidates: candidates.length + search.told.filter(({ metric }) => metric !== null).length,
    best: best && {
      recipe: best.recipe,
      job: best.job.id,
      met: best.met,
      nMissed: best.missed.length,
      summary: best.job.summary,
    },
    leftOut: left_out,
  };
}
