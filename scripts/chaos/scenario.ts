import type { RestartableService } from '../../test/services/service.ts';
import type { JobCounts, Ledger } from './ledger.ts';
import type { Site } from './site.ts';

export const PARTS = ['kills', 'redis', 'postgres', 'disk', 'clock', 'delivery'] as const;
export type Part = (typeof PARTS)[number];

/** What a scenario has at hand. */
export interface Trial {
  readonly site: Site;
  readonly ledger: Ledger;
  /** The queue's server; null where the queue is embedded. */
  readonly queue: RestartableService | null;
}

/** One way of disturbing the service; a row of the table. */
export interface Scenario {
  readonly part: Part;
  /** What is done, as the table says it. */
  readonly name: string;
  readonly backend: 'redis' | 'postgres' | 'embedded';
  /** Settings of the service's processes, beside those of its queue and data. */
  readonly environment?: Readonly<Record<string, string>>;
  /** A scenario's own data directory, of so many MiB, which it can fill. */
  readonly diskMebibytes?: number;
  /** Codes with which a job may fail, as they tell its owner what happened. */
  readonly honestFailures?: readonly string[];
  /** Why it cannot be run here; null where it can. */
  obstacle?(): Promise<string | null>;
  /** Disturbs; resolves when the last fault is over. What was acknowledged is looked at afterwards. */
  run(trial: Trial): Promise<void>;
}

/** What is counted of a scenario. */
export interface Counts extends JobCounts {
  readonly childrenLeft: number;
}

export interface Outcome {
  readonly scenario: Scenario;
  readonly seconds: number;
  /** Null where it did not run; the notes say why. */
  readonly counts: Counts | null;
  /** Why the scenario could not be carried to its end; null where it was. */
  readonly brokeOff: string | null;
  /** What went wrong, or is worth knowing. */
  readonly notes: readonly string[];
}

/** What has to be zero. */
export const ZEROES = ['lost', 'corrupt', 'different', 'waiting', 'childrenLeft'] as const;

export function isFailed({ counts, brokeOff }: Outcome): boolean {
  return brokeOff !== null || (counts !== null && ZEROES.some((name) => counts[name] > 0));
}
