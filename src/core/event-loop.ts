const ELEMENTS_A_TURN = 1 << 20;

/**
 * Shares the event loop with whoever else needs it, so that a server stays responsive during a long computation: a turn
 * after about a million elements, that is every few milliseconds, and none for less.
 */
export class Turns {
  #worked = 0;

  /** Whether it is time to `await next()`, after `elements` more were worked on. */
  due(elements: number): boolean {
    this.#worked += elements;
    return this.#worked >= ELEMENTS_A_TURN;
  }

  next(): Promise<void> {
    this.#worked = 0;
    return new Promise((resolve) => setImmediate(resolve));
  }
}
