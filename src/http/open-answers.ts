import { Turns } from './turns.ts';

export interface OpenAnswersLimits {
  readonly inAll: number;
  /** Of one address. */
  readonly perClient: number;
}

/** Answers that stay open until something happens: each holds a connection and some memory, so there is a limit to them. */
export class OpenAnswers {
  /** Many of them wait for the same. */
  readonly turns = new Turns(8);
  readonly #limits: OpenAnswersLimits;
  readonly #byClient = new Map<string, number>();
  #inAll = 0;

  constructor(limits: OpenAnswersLimits) {
    this.#limits = limits;
  }

  /** Dispose of it when the answer has ended. Null where the client, or all of them, have as many as they may. */
  open(client: string): Disposable | null {
    const ofClient = this.#byClient.get(client) ?? 0;
    if (this.#inAll >= this.#limits.inAll || ofClient >= this.#limits.perClient) return null;
    this.#inAll++;
    this.#byClient.set(client, ofClient + 1);
    return { [Symbol.dispose]: () => this.#close(client) };
  }

  #close(client: string): void {
    this.#inAll--;
    const left = (this.#byClient.get(client) ?? 0) - 1;
    if (left > 0) this.#byClient.set(client, left);
    else this.#byClient.delete(client);
  }
}
