import type { Tenant } from '../../storage/tenant.ts';

/** Of what a process sends at a time: one receiver that hangs leaves a tenant's others half, and five tenants must hang to fill it. */
const SHARES = { tenant: 10, receiver: 5 };
/** Whoever is held back comes again by then, though the line has not moved as was thought. */
const MAX_PAUSE_MS = 60_000;
const MIN_PAUSE_MS = 5;

/** Who may be sent to now: a place to be given back, or how long to wait before asking again. */
export type Admission = { readonly free: () => void } | { readonly pauseMs: number };

/** How many webhooks of one tenant, and for one receiver of it, this process sends at a time. */
export class DeliveryShares {
  readonly #shares = new Map<string, Share>();

  /** @param host of the receiver */
  admit(tenant: Tenant, host: string): Admission {
    const keys = [
      [`${tenant ?? ''} ${host}`, SHARES.receiver],
      [tenant ?? '', SHARES.tenant],
    ] as const;
    for (const [key, size] of keys) {
      const share = this.#shares.get(key);
      if (share && share.taken >= size) return { pauseMs: share.pauseMs(size) };
    }
    const leave = keys.map(([key]) => this.#enter(key));
    return { free: () => leave.forEach((one) => void one()) };
  }

  #enter(key: string): () => void {
    const share = this.#shares.get(key) ?? new Share();
    this.#shares.set(key, share);
    const leave = share.enter();
    return () => {
      leave();
      if (share.taken === 0) this.#shares.delete(key);
    };
  }
}

/** What is sent now of one share, and the line of those that it holds back. */
class Share {
  readonly #begun = new Set<{ readonly at: number }>();
  #lastMs = 0;
  /** When the last of the line is to come again. */
  #end = 0;

  get taken(): number {
    return this.#begun.size;
  }

  enter(): () => void {
    const begun = { at: performance.now() };
    this.#begun.add(begun);
    return () => {
      this.#begun.delete(begun);
      this.#lastMs = performance.now() - begun.at;
    };
  }

  /** One after the other, as fast as places become free: all at once would keep the queue busy with coming and going. */
  pauseMs(size: number): number {
    const now = performance.now();
    const [oldest = { at: now }] = this.#begun;
    const step = Math.max(MIN_PAUSE_MS, Math.max(this.#lastMs, now - oldest.at) / size);
    this.#end = Math.min(Math.max(now, this.#end) + step, now + MAX_PAUSE_MS);
    return Math.ceil(this.#end - now);
  }
}
