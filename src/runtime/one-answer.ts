/** Whether all that a model predicts is the same, in each place of a sample. */
export class OneAnswer {
  readonly #first: (number | undefined)[] = [];
  #isOne = true;

  /** @param place where in a sample it is predicted; 0 where all positions predict from the same classes */
  add(predicted: number, place = 0): void {
    this.#first[place] ??= predicted;
    if (predicted !== this.#first[place]) this.#isOne = false;
  }

  /** False where nothing was predicted. */
  get isOne(): boolean {
    return this.#first.length > 0 && this.#isOne;
  }
}
