import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import { answerInTime } from './answer-in-time.ts';
import type { Backend, BulkMessage } from './backends/backend.ts';
import { closeConnection } from './close-connection.ts';
import { LANES, type Lane } from './job-lanes.ts';
import { JobLine, type Retry } from './job-line.ts';
import { JobLines } from './job-lines.ts';
import { type JobNews, openJobNews } from './job-news.ts';
import { LaneOutlook } from './lane-outlook.ts';
import { Wakeups } from './wakeups.ts';

/** Where the jobs of all lanes are queued, and told of. */
export interface LaneQueues {
  readonly lines: JobLines;
  readonly news: Readonly<Record<Lane, JobNews>>;
  readonly wakeups: Wakeups;
  /** Puts a message into the short lane that stands for no job, unless one of its id is there. */
  send(message: BulkMessage): Promise<void>;
  /** Calls back when any job has ended; may miss one. */
  onEnded(listener: () => void): void;
  close(): Promise<void>;
}

export async function openLaneQueues(backend: Backend, log: Logger, retry: Retry): Promise<LaneQueues> {
  const wakeups = new Wakeups();
  const endings = new EventEmitter<{ ended: [] }>();
  const open = async (lane: Lane) => {
    const queue = backend.createQueue(lane);
    queue.on('error', (error) => log.warn({ err: error, lane }, 'queue'));
    const outlook = new LaneOutlook(queue);
    const [news] = await Promise.all([
      openJobNews(backend, lane, queue, log, {
        changed: (id) => wakeups.wake(id),
        ended: () => endings.emit('ended'),
        succeeded: (ms) => outlook.noteTime(ms),
      }),
      queue.waitUntilReady(),
    ]);
    return { queue, news, line: new JobLine(queue, outlook, log, retry) };
  };
  const [short, long] = await Promise.all([open('short'), open('long')]);
  const lanes = { short, long };
  return {
    lines: new JobLines({ short: short.line, long: long.line }),
    news: { short: short.news, long: long.news },
    wakeups,
    async send(message) {
      await answerInTime(short.queue.addBulk([message]), log);
    },
    onEnded: (listener) => endings.on('ended', listener),
    async close() {
      await Promise.all(
        LANES.flatMap((lane) => [closeConnection(lanes[lane].queue, log), lanes[lane].news.close()]),
      );
    },
  };
}
