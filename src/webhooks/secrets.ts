import { EmpError } from '../core/errors.ts';
import { freshId } from '../storage/ids.ts';
import type { Question, Store } from '../storage/store.ts';
import { freshSecret } from './signature.ts';

/** Two at a time, so that a new one is valid before the old one goes; each has a place, which is taken at once or not at all. */
const PLACES: readonly Question[] = [
  { kind: 'secrets', id: 'webhooks-1' },
  { kind: 'secrets', id: 'webhooks-2' },
];

/** What webhooks of a tenant are signed by. */
export interface WebhookSecret {
  readonly id: string;
  readonly created_at: string;
  readonly secret: string;
}

/** The secrets of a tenant. */
export class WebhookSecrets {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Oldest first. */
  async list(): Promise<WebhookSecret[]> {
    const found = await Promise.all(PLACES.map((place) => this.#read(place)));
    return found.filter((one) => one !== null).sort((a, b) => (a.created_at < b.created_at ? -1 : 1));
  }

  /** Makes one, which is valid at once. @throws EmpError conflict where there are two */
  async create(): Promise<WebhookSecret> {
    const secret = { id: freshId('whs'), created_at: new Date().toISOString(), secret: freshSecret() };
    const mine = JSON.stringify(secret);
    for (const place of PLACES) if ((await this.#store.decideOnce(place, mine)) === mine) return secret;
    const message =
      'there are two secrets, and no more may be valid at a time: delete the one that your receivers no longer use';
    throw new EmpError('conflict', message);
  }

  /** What is sent from now on is not signed by it. False where it is not there. */
  async remove(id: string): Promise<boolean> {
    for (const place of PLACES)
      if ((await this.#read(place))?.id === id) return await this.#store.withdrawAnswer(place);
    return false;
  }

  async #read(place: Question): Promise<WebhookSecret | null> {
    const text = await this.#store.readAnswer(place);
    return text === null ? null : JSON.parse(text);
  }
}
