import { EmpError } from '../core/errors.ts';

/** For all patterns of a recipe against all names of a model: about 0.1 s at worst. 20 patterns such as `*part*` take 21 million on 10,000 names of 60 characters. */
const MAX_STEPS = 25_000_000;
/** What a search costs beside the characters that it passes over. */
const STEPS_OF_SEARCH = 40;

/** Names that patterns have matched. */
export interface MatchedNames {
  readonly names: ReadonlySet<string>;
  /** The first pattern that matches no name at all, by its place; -1 where each matches one. */
  readonly idle: number;
}

/**
 * Holds a recipe's patterns against names. In a pattern `*` stands for any characters, dots and slashes included, and `?` for one; a pattern is
 * also matched by the name that it spells. Patterns and names both come from clients, so what they take together is counted and bounded.
 */
export class NameMatcher {
  readonly #names: readonly string[];
  #stepsLeft = MAX_STEPS;

  constructor(names: Iterable<string>) {
    this.#names = [...new Set(names)];
  }

  /**
   * The names that at least one pattern matches.
   * @throws EmpError `invalid_request` naming the pattern by whose turn all steps are taken
   */
  match(field: 'include' | 'exclude', patterns: readonly string[]): MatchedNames {
    const names = new Set<string>();
    let idle = -1;
    for (const pattern of new Set(patterns)) {
      const pieces = pattern.split('*');
      let isIdle = true;
      for (const name of this.#names) {
        if (!isIdle && names.has(name)) continue;
        const matches = name === pattern || this.#matches(name, pieces);
        if (this.#stepsLeft < 0) throw tooManySteps(field, patterns.indexOf(pattern));
        if (!matches) continue;
        names.add(name);
        isIdle = false;
      }
      if (isIdle && idle < 0) idle = patterns.indexOf(pattern);
    }
    return { names, idle };
  }

  /** Each piece between stars is taken where it comes first: what earlier ones have left behind need not be tried again. */
  #matches(name: string, pieces: readonly string[]): boolean {
    this.#stepsLeft -= pieces.length;
    const [first] = pieces;
    const last = pieces[pieces.length - 1];
    const end = name.length - last.length;
    if (pieces.length === 1) return end === 0 && this.#fits(name, first, 0);
    if (end < first.length || !this.#fits(name, first, 0) || !this.#fits(name, last, end)) return false;
    let at = first.length;
    for (let i = 1; i < pieces.length - 1; i++) {
      const found = this.#find(name, pieces[i], at, end);
      if (found < 0) return false;
      at = found + pieces[i].length;
    }
    return true;
  }

  #fits(name: string, piece: string, at: number): boolean {
    for (let i = 0; i < piece.length; i++) {
      this.#stepsLeft--;
      const wanted = piece[i];
      if (wanted !== '?' && wanted !== name[at + i]) return false;
    }
    return true;
  }

  /** Where the piece comes first in the name's stretch; -1 where it does not. */
  #find(name: string, piece: string, start: number, end: number): number {
    if (!piece.includes('?')) {
      const found = name.indexOf(piece, start);
      this.#stepsLeft -= STEPS_OF_SEARCH + (found < 0 ? name.length : found) - start;
      return found + piece.length <= end ? found : -1;
    }
    for (let at = start; at + piece.length <= end && this.#stepsLeft >= 0; at++)
      if (this.#fits(name, piece, at)) return at;
    return -1;
  }
}

function tooManySteps(field: string, index: number): EmpError {
  const message = `takes too long to match: the patterns up to it need more than ${MAX_STEPS.toLocaleString('en-US')} comparisons with the model's names`;
  return new EmpError('invalid_request', `${field}: a pattern ${message}`, [
    { path: `/recipe/${field}/${index}`, message: `${message}; give fewer or shorter patterns` },
  ]);
}
