import type { Logger } from 'pino';
import { type Backend, KEPT_NEWS, type NewsSender } from './backends/backend.ts';
import { type Subscription, Wakeups } from './wakeups.ts';

/** Beside what BullMQ tells by itself: `progress`, `completed` and `failed`. */
const CANCEL_ASKED = 'cancel-asked';
const ENDED = 'ended';

/**
 * What processes tell each other of jobs, over what the queue's server offers.
 *
 * Deliberately not in it: anything that must not be lost. News may come late, twice, or not at all where a connection was lost; it is a
 * reason to look. How far a job is, the queue knows; how it ended, and that it is to end, the store.
 */
export interface JobNews {
  /** Dispose of it when no longer interested. Wakes at a job's progress and at its end. */
  subscribe(id: string): Subscription;
  /** Tells that a job has ended, where the queue does not. */
  tellEnded(id: string): void;
  /** Tells whoever computes a job that it is to end. */
  tellCancelAsked(id: string): void;
  close(): Promise<void>;
}

/**
 * @param sender a queue or a worker, by whose connection news is sent: that of `QueueEvents` waits for news
 * @param onCancelAsked of one who computes jobs: hears which are to end
 */
export async function openJobNews(
  backend: Backend,
  sender: NewsSender,
  log: Logger,
  onCancelAsked?: (id: string) => void,
): Promise<JobNews> {
  const events = backend.createQueueEvents();
  events.on('error', (error) => log.warn({ err: error }, 'queue events'));
  const wakeups = new Wakeups();
  for (const name of ['progress', 'completed', 'failed', ENDED])
    events.on(name, ({ jobId }) => wakeups.wake(jobId));
  if (onCancelAsked) events.on(CANCEL_ASKED, ({ jobId }) => onCancelAsked(jobId));
  await events.waitUntilReady();
  const tell = (event: string, jobId: string) => {
    sender
      .getBackend()
      .publishEvent({ event, jobId }, KEPT_NEWS)
      .catch((error) => log.warn({ err: error, job: jobId }, 'news could not be told'));
  };
  return {
    subscribe: (id) => wakeups.subscribe(id),
    tellEnded: (id) => tell(ENDED, id),
    tellCancelAsked: (id) => tell(CANCEL_ASKED, id),
    close: () => events.close(),
  };
}
