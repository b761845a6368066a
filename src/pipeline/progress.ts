/** Stages of a job, in the order in which its progress names them. */
export const STAGES = [
  'inventory',
  'score',
  'curvature',
  'decide',
  'apply',
  'repair',
  'evaluate',
  'report',
] as const;
export type Stage = (typeof STAGES)[number];

export interface ProgressUpdate {
  /** Never one before the last in `STAGES`. */
  readonly stage: Stage;
  /** 0 to 100 over the whole job; never falls. */
  readonly percent: number;
}

/**
 * Progress by bytes done. How many bytes a job will go through is known roughly beforehand (ties may need one more
 * reading), so the percentage stops short of 100 until the job is done.
 */
export class Progress {
  readonly #planned: number;
  readonly #emit: (update: ProgressUpdate) => void;
  #done = 0;
  #stage: Stage = 'inventory';
  #percent = 0;

  constructor(plannedBytes: number, emit: (update: ProgressUpdate) => void) {
    this.#planned = Math.max(1, plannedBytes);
    this.#emit = emit;
    this.#emit({ stage: 'inventory', percent: 0 });
  }

  /** Names the stage, unless the job has been there: candidates take turns in being repaired and evaluated. */
  enter(entered: Stage): void {
    // What is measured before the first change to a model is there to decide how much.
    const stage = entered === 'evaluate' && isBefore(this.#stage, 'apply') ? 'decide' : entered;
    if (!isBefore(this.#stage, stage)) return;
    this.#stage = stage;
    this.#emit({ stage, percent: this.#percent });
  }

  /** Counts `bytes` as gone through for good. */
  advance(bytes: number): void {
    this.#done += bytes;
    this.peek(0);
  }

  /** Shows `bytes` of work under way, to be counted by `advance` when it is done. */
  peek(bytes: number): void {
    const percent = Math.min(99, Math.floor((100 * (this.#done + bytes)) / this.#planned));
    if (percent <= this.#percent) return;
    this.#percent = percent;
    this.#emit({ stage: this.#stage, percent });
  }
}

function isBefore(one: Stage, other: Stage): boolean {
  return STAGES.indexOf(one) < STAGES.indexOf(other);
}

/** What each stage takes in all, as often as it is entered. */
export class StageClock {
  readonly #progress: Progress;
  readonly #timings: Partial<Record<Stage, number>> = {};
  #stage: Stage = 'inventory';
  #since = performance.now();

  constructor(progress: Progress) {
    this.#progress = progress;
  }

  enter(stage: Stage): void {
    if (stage === this.#stage) return;
    this.#stop();
    this.#stage = stage;
    this.#progress.enter(stage);
  }

  /** Milliseconds by stage. */
  stop(): Readonly<Record<string, number>> {
    this.#stop();
    return Object.fromEntries(Object.entries(this.#timings).map(([stage, ms]) => [stage, Math.round(ms)]));
  }

  #stop(): void {
    const now = performance.now();
    this.#timings[this.#stage] = (this.#timings[this.#stage] ?? 0) + now - this.#since;
    this.#since = now;
  }
}
