import { ConfigError } from './config.ts';

/** What the roles open, and the order in which it ends: the last first. */
export class Opened {
  readonly #closers: (() => Promise<void> | void)[] = [];
  readonly #signal: AbortSignal;
  readonly #aborted: Promise<never>;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    this.#aborted = new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
    this.#aborted.catch(() => {});
  }

  /** Waits until it is open, to be closed when all is. @throws the signal's reason at once where it aborts: a server may never answer */
  async add<T>(opening: Promise<T>, close: (one: T) => Promise<void> | void): Promise<T> {
    this.#signal.throwIfAborted();
    const one = await Promise.race([opening, this.#aborted]);
    this.#closers.push(() => close(one));
    return one;
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }
}

/** What the system refuses is told with the settings that asked for it. @throws ConfigError, and what else goes wrong as it is */
export async function naming<T>(
  settings: Readonly<Record<string, string | number>>,
  begun: Promise<T>,
): Promise<T> {
  try {
    return await begun;
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    const shown = Object.entries(settings).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
    throw new ConfigError(`${shown.join(', ')}: ${error.message}`);
  }
}
