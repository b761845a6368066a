import { EmpError } from '../core/errors.ts';
import type { LineTerms } from '../pipeline/explore.ts';
import type { SearchTerms } from '../recipe/lines.ts';
import type { JobFailure } from './job.ts';
import { inputFailure } from './result.ts';
import { bestOf, type FoundCandidate, type LineJob, type LineState } from './search-lines.ts';

/** Lines tried at a time: the first alone, for they are cheap or win often, and all others are held against them. */
const FIRST_ROUNDS = [1, 1, 1, 1];
const ROUND = 3;
/** Models that one line may take. */
const MOST_OF_A_LINE = 10;

/** In standard errors on the samples that are chosen on: what the first model must be within the promise by, and those after one that missed it. */
const MARGINS = [0, 1, 2, 3];
/** What a line is held to, so that luck on these samples does not rule others out. */
const LINE_MARGIN = 1;

/** What is to be done next for a search. */
export type SearchStep =
  | { readonly kind: 'wait' }
  | {
      readonly kind: 'explore';
      readonly lines: readonly { readonly index: number; readonly terms: LineTerms }[];
    }
  /** The best line is followed as far as the promise holds at all. */
  | { readonly kind: 'go_on'; readonly line: number; readonly terms: LineTerms }
  /** Time is up: what is being tried is given up. */
  | { readonly kind: 'stop'; readonly jobs: readonly string[] }
  /** The best model, or the best of those that are further within the promise, by how many were written before. */
  | { readonly kind: 'write'; readonly attempt: number; readonly line: number; readonly beta: number }
  | { readonly kind: 'end'; readonly status: 'succeeded' | 'failed'; readonly error: JobFailure | null };

/**
 * What follows from how the lines of a search stand. Lines are tried in rounds, whose sizes depend on nothing; those of a round are held against the best of the rounds before. So the
 * same search tries the same candidates, however many workers there are and whatever is killed.
 * @param nLines of those, without the one that goes on with the best
 * @param written the jobs of the best models, each further within the promise than the one before, which missed it; null of one that was deleted
 * @param isOverTime whether nothing new is to be tried
 */
export function nextStep(
  terms: SearchTerms,
  nLines: number,
  states: readonly LineState[],
  written: readonly (LineJob | null)[],
  isOverTime: boolean,
): SearchStep {
  const lines = states.slice(0, nLines);
  const further = states.at(nLines);
  const last = written.at(-1);
  if (last) return afterWritten(terms, lines, further, written.length, last);
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
      const bar = bestOf(terms, known, margin)?.amount ?? null;
      return {
        kind: 'explore',
        lines: waiting.map((index) => ({ index, terms: { aim: terms.aim, bar, most, margin } })),
      };
    }
    if (running.length > 0) return { kind: 'wait' };
    const refusal = round.map(({ job }) => job?.error ?? null).find(isOfMeasuredData);
    if (refusal) return { kind: 'end', status: 'failed', error: refusal };
    known = [...known, ...round];
    left -= round.reduce((sum, { exploration }) => sum + (exploration?.candidates.length ?? 0), 0);
    if (waiting.length > 0) break;
  }
  const step = goOn(terms, known, further, isOverTime ? 0 : left);
  if (step) return step;
  const [found] = bestsOf(terms, lines, further);
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

/** The best line, which stopped a margin before the promise, goes on from the best that is known; null once it has. A confidence knows no margin. */
function goOn(
  terms: SearchTerms,
  lines: readonly LineState[],
  further: LineState | undefined,
  left: number,
): SearchStep | null {
  if (further) {
    const running = runningOf([further]);
    if (running.length === 0) return null;
    return left > 0 ? { kind: 'wait' } : { kind: 'stop', jobs: running };
  }
  const most = Math.min(MOST_OF_A_LINE, left);
  const best = bestOf(terms, lines, LINE_MARGIN);
  const known = bestOf(terms, lines, 0);
  if (!best || !known || most === 0 || terms.promise.confidence !== undefined) return null;
  return { kind: 'go_on', line: best.line, terms: { aim: terms.aim, bar: known.amount, most, margin: 0 } };
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
  further: LineState | undefined,
  nWritten: number,
  { status, error, finished_at, summary }: LineJob,
): SearchStep {
  if (finished_at === null) return { kind: 'wait' };
  if (status === 'succeeded') {
    const isMissed = summary?.met === false && terms.promise.confidence === undefined;
    const next = isMissed ? bestsOf(terms, lines, further)[nWritten] : undefined;
    if (!next) return { kind: 'end', status, error: null };
    return { kind: 'write', attempt: nWritten, line: next.line, beta: next.beta };
  }
  const canceled = new EmpError('canceled', 'the job that wrote the best model was canceled');
  return { kind: 'end', status: 'failed', error: error ?? inputFailure(canceled) };
}

/** The best, and the best by each larger margin where that is another; of what went on with a line, by the number of that. */
function bestsOf(
  terms: SearchTerms,
  lines: readonly LineState[],
  further: LineState | undefined,
): FoundCandidate[] {
  const origin = bestOf(terms, lines, LINE_MARGIN)?.line ?? 0;
  const found: FoundCandidate[] = [];
  for (const margin of MARGINS) {
    const one = bestOf(terms, further ? [...lines, further] : lines, margin);
    const before = found.at(-1);
    if (one && (one.line !== before?.line || one.candidate !== before.candidate)) found.push(one);
  }
  return found.map((one) => (one.line === lines.length ? { ...one, line: origin } : one));
}

/** What is wrong with the data that models are measured on is wrong for every line. */
function isOfMeasuredData(error: JobFailure | null): error is JobFailure {
  return error?.errors.some(({ input }) => input === 'evaluation' || input === 'selection') === true;
}
