import type { Logger } from 'pino';

/** A queue, a worker or their events, with what they are connected by. */
interface Connected {
  close(): Promise<void>;
  disconnect(): Promise<void>;
}

/**
 * Closes a connection in order. Where its server is away and commands wait for it, taking leave fails as they do, and what is left of the connection would go on trying
 * to come back: then it is cut.
 */
export async function closeConnection(connected: Connected, log: Logger): Promise<void> {
  try {
    await connected.close();
  } catch (error) {
    log.warn({ err: error }, 'a connection to the queue was not closed in order');
    // Of one that waits to try again it never says that it is done.
    connected.disconnect().catch(() => {});
  }
}
