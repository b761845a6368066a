import { EmpError } from '../core/errors.ts';
import type { LineTerms } from '../pipeline/explore.ts';
import type { SearchTerms } from '../recipe/lines.ts';
import type { JobFailure, JobSummary } from './job.ts';
import { inputFailure } from './result.ts';
import { bestOf, type FoundCandidate, foundOf, type LineJob, type LineState } from './search-lines.ts';

/** Lines tried at a time: the first alone, for they are cheap or win often, and all others are held against them. */
const FIRST_ROUNDS = [1, 1, 1, 1];
const ROUND = 3;
/** Models that one line may take. */
const MOST_OF_A_LINE = 12;

/** Looks at the samples that no candidate saw: each is another chance for a model to seem within by luck. */
const MOST_WRITTEN = 4;
/** What a line is held to by others, so that luck on these samples does not rule these out. */
const LINE_MARGIN = 1;

/** What is to be done next for a search. */
export type SearchStep =
  | { readonly kind: 'wait' }
  | {
      readonly kind: 'explore';
      readonly lines: readonly { readonly index: number; readonly terms: LineTerms }[];
    }
  /** Time is up: what is being tried is given up. */
  | { readonly kind: 'stop'; readonly jobs: readonly string[] }
  /** The best model, or the best of those that are further within the promise, by how many were written before. */
  | { readonly kind: 'write'; readonly attempt: number; readonly line: number; readonly beta: number }
  | { readonly kind: 'end'; readonly status: 'succeeded' | 'failed'; readonly error: JobFailure | null };

/**
 * What follows from how the lines of a search stand. Lines are tried in rounds, whose sizes depend on nothing; those of a round are held against the best of the rounds before. So the
 * same search tries the same candidates, however many workers there are and whatever is killed.
 * @param written the jobs of the best models, each further within the promise than the one before, which missed it
 * @param isOverTime whether nothing new is to be tried
 */
export function nextStep(
  terms: SearchTerms,
  lines: readonly LineState[],
  written: readonly LineJob[],
  isOverTime: boolean,
): SearchStep {
  const last = written.at(-1);
  if (last) return afterWritten(terms, lines, written, last);
  let left = terms.limits.max_candidates;
  let known: LineState[] = [];
  for (const indices of rounds(lines.length)) {
    const round = indices.map((index) => lines[index]);
    const most = Math.min(MOST_OF_A_LINE, Math.floor(left / round.length));
    const running = runningOf(round);
    if (isOverTime && running.length > 0) return { kind: 'stop', jobs: running };
    const waiting = indices.filter((index) => lines[index].job === null);
    if (waiting.length > 0 && most > 0 && !isOverTime) {
      const margin = lineMargin(terms);
      const bar = bestOf(withinBy(margin, foundOf(terms, known)))?.amount ?? null;
      return {
        kind: 'explore',
        lines: waiting.map((index) => ({ index, terms: { aim: terms.aim, bar, most, margin } })),
      };
    }
    if (running.length > 0) return { kind: 'wait' };
    const isAnyKnown = [...known, ...round].some(({ exploration }) => exploration !== null);
    const refusal = round
      .map(({ job }) => job?.error ?? null)
      .find((error) => isOfMeasuredData(error) || (!isAnyKnown && isBeyondLimits(error)));
    if (refusal) return { kind: 'end', status: 'failed', error: refusal };
    known = [...known, ...round];
    left -= round.reduce((sum, { exploration }) => sum + (exploration?.candidates.length ?? 0), 0);
    if (waiting.length > 0) break;
  }
  const found = bestAfter(terms, lines, []);
  if (found) return { kind: 'write', attempt: 0, line: found.line, beta: found.beta };
  const failures = known.flatMap(({ job }) => job?.error ?? []);
  const isAnyTried = known.some(({ exploration }) => exploration !== null);
  if (isAnyTried || failures.length === 0) return { kind: 'end', status: 'succeeded', error: null };
  return { kind: 'end', status: 'failed', error: failures[0] };
}

/** A confidence is tested by itself. */
function lineMargin({ promise }: SearchTerms): number {
  return promise.confidence === undefined ? LINE_MARGIN : 0;
}

/** The jobs of lines that are being tried. */
function runningOf(lines: readonly LineState[]): string[] {
  return lines.flatMap(({ job }) => (job !== null && job.finished_at === null ? job.id : []));
}

/** The numbers of the lines of each round. */
function rounds(nLines: number): number[][] {
  const found: number[][] = [];
  for (let from = 0; from < nLines; from += found.at(-1)?.length ?? 1) {
    const size = Math.min(FIRST_ROUNDS[found.length] ?? ROUND, nLines - from);
    found.push(Array.from({ length: size }, (_, i) => from + i));
  }
  return found;
}

/**
 * The best of many candidates is a little lucky on the samples that it was chosen on. Where it misses its promise on the others, the best that is further within takes its place.
 * With a confidence the job itself steps back, from rung to rung.
 */
function afterWritten(
  terms: SearchTerms,
  lines: readonly LineState[],
  written: readonly LineJob[],
  { status, error, finished_at, summary }: LineJob,
): SearchStep {
  if (finished_at === null) return { kind: 'wait' };
  if (status === 'succeeded') {
    const isMissed =
      (summary?.met === false || summary?.decision === 'unsafe') && terms.promise.confidence === undefined;
    const next = isMissed && written.length < MOST_WRITTEN ? bestAfter(terms, lines, written) : null;
    if (!next) return { kind: 'end', status, error: null };
    return { kind: 'write', attempt: written.length, line: next.line, beta: next.beta };
  }
  const canceled = new EmpError('canceled', 'the job that wrote the best model was canceled');
  return { kind: 'end', status: 'failed', error: error ?? inputFailure(canceled) };
}

/**
 * The best candidate, and after each that missed its promise the best of those that are within by as many standard errors as models fall back by. Those of a line fall alike: one needs what
 * the last of its line fell by. Of a line of which none has been written nothing is known: it needs nothing after the first miss, then one error and two, and no more than others fell by. The
 * last look, which no other follows, takes one more.
 * Where none is so far within, it is the one that is farthest. Null where none is left.
 */
function bestAfter(
  terms: SearchTerms,
  lines: readonly LineState[],
  missed: readonly LineJob[],
): FoundCandidate | null {
  let left = foundOf(terms, lines);
  let best = bestOf(left);
  const falls = new Map<number, number>();
  for (const [n, { summary }] of missed.entries()) {
    if (best === null) return null;
    const last: FoundCandidate = best;
    left = left.filter((one) => one.line !== last.line || one.errorsWithin > last.errorsWithin);
    falls.set(last.line, fallOf(last, summary));
    const ofOthers = Math.min(...falls.values(), n);
    const isLast = n + 2 === MOST_WRITTEN;
    const margin = (line: number) => (falls.get(line) ?? ofOthers) + (isLast ? 1 : 0);
    best = bestOf(left.filter((one) => one.errorsWithin >= margin(one.line))) ?? farthestOf(left);
  }
  return best;
}

/** By how many standard errors a model is further from the promise on the samples of the report than on those that it was chosen on. One that missed by nobody knows what missed by one. */
function fallOf({ excess, errorsWithin }: FoundCandidate, summary: JobSummary | null): number {
  const beyond = summary?.beyond_limit ?? 0;
  if (beyond <= 0 || excess >= 0 || !Number.isFinite(errorsWithin)) return errorsWithin + 1;
  return (errorsWithin * (excess - beyond)) / excess;
}

function withinBy(margin: number, found: readonly FoundCandidate[]): FoundCandidate[] {
  return found.filter(({ errorsWithin }) => errorsWithin >= margin);
}

function farthestOf(found: readonly FoundCandidate[]): FoundCandidate | null {
  return found.reduce<FoundCandidate | null>(
    (far, one) => (far === null || one.errorsWithin > far.errorsWithin ? one : far),
    null,
  );
}

/** What not even the first line could do within the limits of a job, to run the dense model, no other can. */
function isBeyondLimits(error: JobFailure | null): error is JobFailure {
  return error?.code === 'limit_exceeded';
}

/** What is wrong with the data that models are measured on is wrong for every line. */
function isOfMeasuredData(error: JobFailure | null): error is JobFailure {
  return error?.errors.some(({ input }) => input === 'evaluation' || input === 'selection') === true;
}
