import type { ServerResponse } from 'node:http';

/** A comment, as Server-Sent Events have them: readers pass over it. */
const HEARTBEAT = ': still here\n\n';

/** Keeps open streams from looking idle, by one timer for all of them. */
export class StreamHeartbeats {
  readonly #intervalMs: number;
  readonly #streams = new Set<ServerResponse>();
  #timer: NodeJS.Timeout | undefined;

  /** @param intervalMs proxies drop connections on which nothing moves for a minute, some for half of one */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** Dispose of it when the stream ends. */
  start(stream: ServerResponse): Disposable {
    this.#streams.add(stream);
    this.#timer ??= setInterval(() => this.#beat(), this.#intervalMs);
    return { [Symbol.dispose]: () => this.#stop(stream) };
  }

  #beat(): void {
    // One that its reader does not empty is not filled further, and ends as idle connections do.
    for (const stream of this.#streams) if (!stream.writableNeedDrain) stream.write(HEARTBEAT);
  }

  #stop(stream: ServerResponse): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
