/** A queue each, with slots of its own: what ends in seconds never waits for what takes minutes. */
export const LANES = ['short', 'long'] as const;
export type Lane = (typeof LANES)[number];

/** News of a lane's jobs: of a thousand that run one each. BullMQ's ten thousand would be megabytes. */
export const KEPT_NEWS = 1000;

/** As in AMQP and JMS: the higher goes first, and the default leaves room on both sides. */
export const PRIORITY = { lowest: 0, usual: 4, highest: 9 } as const;

/** What decides when a job starts; records of earlier versions have neither. */
export interface Turn {
  readonly lane?: Lane;
  readonly priority?: number;
  /** Among the jobs of its lane and priority: of all tenants the lowest goes first. */
  readonly turn?: number;
}

/** When a job has its turn. */
export interface Prospect {
  /** How many jobs of its lane start before it; null where it does not wait for a slot. */
  readonly position: number | null;
  /** When it is expected to have ended, by what the last jobs of its lane took; null where that says nothing. */
  readonly eta: string | null;
}

export const NO_PROSPECT: Prospect = { position: null, eta: null };

export function laneOf({ lane = 'long' }: Turn): Lane {
  return lane;
}

export function priorityOf({ priority = PRIORITY.usual }: Turn): number {
  return priority;
}

/** Turns that a priority has. BullMQ has 2^21 numbers for all; the jobs of a backlog that never ends and is longer take their turns as they come. */
const TURNS = 200_000;

/** The queue's own priority, of which the lowest number goes first; 0 would be none, and would go before all. */
export function messagePriority(job: Turn): number {
  const { turn = 0 } = job;
  return (PRIORITY.highest - priorityOf(job)) * TURNS + Math.min(turn, TURNS - 1) + 1;
}

/** The other way round. */
export function turnOf(messagePriority: number): Required<Pick<Turn, 'priority' | 'turn'>> {
  const level = Math.floor((messagePriority - 1) / TURNS);
  return { priority: PRIORITY.highest - level, turn: (messagePriority - 1) % TURNS };
}
