interface SpeedTargetRow {
  readonly meaning: string;
  /** Why zeros in place do not meet it, and what does. */
  readonly zerosStay: string;
}

const zerosStay = 'bounds the time of a run, and zeros in place save none: use granularity channel or head';

/** The largest beta whose model is measured to be as fast is searched. */
export const SPEED_TARGETS = {
  min_speedup: {
    meaning:
      'How many times as fast as the dense model a batch runs at least, more than 1; both are timed in turn. Structures only. Needs evaluation data, with or without labels.',
    zerosStay,
  },
  max_latency_ms: {
    meaning:
      'Milliseconds that a run of a batch takes at most, by the median, on the worker that computes the job. Structures only. Needs evaluation data, with or without labels.',
    zerosStay,
  },
} as const satisfies Readonly<Record<string, SpeedTargetRow>>;
export type SpeedTargetName = keyof typeof SPEED_TARGETS;
export const SPEED_TARGET_NAMES = Object.keys(SPEED_TARGETS) as [SpeedTargetName, ...SpeedTargetName[]];
