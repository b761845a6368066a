import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Connections beyond the limit that are told so; further ones are dropped without a word. */
const TOLD = 100;

/** How many connections are open, of how many may be. Idle ones are closed before new ones are turned away. */
export class Connections {
  readonly #max: number;
  readonly #surplus = new WeakSet<Socket>();
  #open = 0;

  constructor(server: Server, max: number) {
    this.#max = max;
    server.maxConnections = max + TOLD;
    server.on('connection', (socket) => {
      this.#open++;
      socket.once('close', () => this.#open--);
      if (this.#open <= max) return;
      this.#surplus.add(socket);
      server.closeIdleConnections();
    });
  }

  /** Whether a connection is one too many: it came when there were enough, and there still are. */
  isSurplus(socket: Socket): boolean {
    return this.#open > this.#max && this.#surplus.has(socket);
  }
}
