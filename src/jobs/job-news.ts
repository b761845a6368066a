import type { Logger } from 'pino';
import type { Backend, NewsSender } from './backends/backend.ts';
import { closeConnection } from './close-connection.ts';
import { KEPT_NEWS, type Lane } from './job-lanes.ts';

/** Beside what BullMQ tells by itself: `progress`, `completed` and `failed`. */
const CANCEL_ASKED = 'cancel-asked';
const ENDED = 'ended';

/**
 * What processes tell each other of the jobs of a lane, over what the queue's server offers.
 *
 * Deliberately not in it: anything that must not be lost. News may come late, twice, or not at all where a connection was lost; it is a
 * reason to look. How far a job is, the queue knows; how it ended, and that it is to end, the store.
 */
export interface JobNews {
  /** Tells that a job has ended, where the queue does not. */
  tellEnded(id: string): void;
  /** Tells whoever computes a job that it is to end. */
  tellCancelAsked(id: string): void;
  close(): Promise<void>;
}

/** Who hears of which jobs. */
export interface NewsHearers {
  /** A job has made progress, or has ended. */
  changed?(id: string): void;
  /** A job has ended. */
  ended?(): void;
  /** A job has succeeded, after so many milliseconds. */
  succeeded?(ms: number): void;
  /** A job is to end. */
  cancelAsked?(id: string): void;
}

/** @param sender a queue or a worker, by whose connection news is sent: that of `QueueEvents` waits for news */
export async function openJobNews(
  backend: Backend,
  lane: Lane,
  sender: NewsSender,
  log: Logger,
  { changed, ended, succeeded, cancelAsked }: NewsHearers,
): Promise<JobNews> {
  const events = backend.createQueueEvents(lane);
  events.on('error', (error) => log.warn({ err: error }, 'queue events'));
  const hear = (name: string, hearer: ((id: string) => void) | undefined) => {
    if (hearer) events.on(name, ({ jobId }) => hearer(jobId));
  };
  events.on('completed', ({ returnvalue }) => {
    // As `computeInChildren` returns it; a worker of an earlier version returns nothing.
    if (typeof returnvalue === 'number') succeeded?.(returnvalue);
  });
  for (const name of ['progress', 'completed', 'failed', ENDED]) hear(name, changed);
  for (const name of ['completed', 'failed', ENDED]) hear(name, ended);
  hear(CANCEL_ASKED, cancelAsked);
  await events.waitUntilReady();
  const tell = (event: string, jobId: string) => {
    sender
      .getBackend()
      .publishEvent({ event, jobId }, KEPT_NEWS)
      .catch((error) => log.warn({ err: error, job: jobId }, 'news could not be told'));
  };
  return {
    tellEnded: (id) => tell(ENDED, id),
    tellCancelAsked: (id) => tell(CANCEL_ASKED, id),
    close: () => closeConnection(events, log),
  };
}
