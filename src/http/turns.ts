/** Lets a crowd through a few at a time, and others between: many who hear of one thing would all be answered before anybody else. */
export class Turns {
  readonly #atATime: number;
  #waiting: (() => void)[] = [];

  /** @param atATime how many are let through at once: together a few milliseconds of work */
  constructor(atATime: number) {
    this.#atATime = atATime;
  }

  /** Resolves at the caller's turn, first come first served. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) setImmediate(this.#serve);
    });
  }

  readonly #serve = (): void => {
    for (const resolve of this.#waiting.splice(0, this.#atATime)) resolve();
    // The loop reads what has arrived before it comes back to this.
    if (this.#waiting.length > 0) setImmediate(this.#serve);
  };
}
