import { signal } from '@preact/signals';

const KEPT_AS = 'api-key';

/** What the page asks for: a key or a token, for the first time, or because the last one was refused for a reason. Null where it needs none. */
export const keyWanted = signal<{ readonly refusal: string | null } | null>(null);
/** Whether requests carry one: then links alone cannot fetch anything. */
export const hasKey = signal(currentKey() !== null);

let waiting: PromiseWithResolvers<void> | null = null;

/** Of this tab alone, until it is closed. */
export function currentKey(): string | null {
  return sessionStorage.getItem(KEPT_AS);
}

/**
 * Asks for a key or a token; resolves once one is given.
 * @param refused the one that was sent; null where none was
 * @param reason why the server refuses
 */
export function askForKey(refused: string | null, reason: string): Promise<void> {
  // Another request has asked meanwhile, and was given one.
  if (currentKey() !== refused) return Promise.resolve();
  waiting ??= Promise.withResolvers();
  keyWanted.value ??= { refusal: refused === null ? null : reason };
  return waiting.promise;
}

export function giveKey(key: string): void {
  sessionStorage.setItem(KEPT_AS, key);
  hasKey.value = true;
  keyWanted.value = null;
  waiting?.resolve();
  waiting = null;
}
