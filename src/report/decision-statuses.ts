/** What a model, or a search, comes to; the badge that says so, and what it means. */
export const STATUSES = {
  within: {
    badge: 'Within the promise',
    tone: 'good',
    meaning: 'all that was asked is kept, and something is gained',
  },
  estimated: {
    badge: 'Within the promise by estimate',
    tone: 'warn',
    meaning:
      'what was measured is within the target, but its interval reaches beyond; no confidence was asked for',
  },
  not_met: { badge: 'Promise not kept', tone: 'bad', meaning: 'the target is missed, or is not shown' },
  unsafe: {
    badge: 'Unsafe',
    tone: 'bad',
    meaning: 'the model is dead or broken, or its figures mean nothing',
  },
  nothing_gained: {
    badge: 'Nothing gained',
    tone: 'warn',
    meaning: 'neither smaller compressed, nor fewer parameters, nor faster beyond the noise',
  },
  harmed: {
    badge: 'Harmed',
    tone: 'bad',
    meaning: 'it is measured to be clearly worse in what no target bounds',
  },
  measured: { badge: 'Measured, not promised', tone: 'plain', meaning: 'no target' },
  not_measured: { badge: 'Not measured', tone: 'warn', meaning: 'what it costs is not known' },
  running: { badge: 'Still searching', tone: 'plain', meaning: 'of a search alone' },
  failed: { badge: 'Failed', tone: 'bad', meaning: 'of a search alone: it failed or was canceled' },
} as const;

export type Status = keyof typeof STATUSES;

/** Why a model is unsafe, the gravest first. */
export const UNSAFE = {
  not_finite: 'outputs of the pruned model are not finite',
  doubtful_data: 'what it was measured on or fitted to is doubtful',
  dense_guesses: 'the dense model itself is no better than a guess',
  one_answer: 'the pruned model predicts, or puts out, the same for every sample',
  guesses: 'the pruned model is no better than a guess',
  far_off: 'its outputs are as far from the dense model as zeros are',
  layer_emptied: 'a layer keeps none of its weights',
} as const;

export type UnsafeReason = keyof typeof UNSAFE;
