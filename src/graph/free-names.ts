/**
 * Characters of a name that is glued of names of the file: longer ones give way to numbers, lest a long name is repeated for each of the many things that
 * it is a part of the names of.
 */
export const MAX_GLUED = 256;

/** Names that are given once each. */
export class FreeNames {
  readonly #taken = new Set<string>();
  readonly #counts = new Map<string, number>();

  /** The first of the names that is free, which it is no more; null for none. The empty name is never free. */
  take(...names: readonly string[]): string | null {
    const free = names.find((name) => name !== '' && !this.#taken.has(name)) ?? null;
    if (free !== null) this.#taken.add(free);
    return free;
  }

  /** `stem` with the first free number from 2 on. */
  number(stem: string): string {
    for (let count = this.#counts.get(stem) ?? 2; ; count++) {
      const name = this.take(`${stem}${count}`);
      if (name === null) continue;
      this.#counts.set(stem, count + 1);
      return name;
    }
  }
}
