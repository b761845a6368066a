import { z } from 'zod';
import { figure } from './figures.ts';

/** What a model, or a search, comes to; the badge that says so, and what it means. */
export const STATUSES = {
  within: {
    badge: 'Within the promise',
    tone: 'good',
    meaning: 'all that was asked is kept, and something is gained',
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
  harmed: { badge: 'Harmed', tone: 'bad', meaning: 'no target, and it is measured to be clearly worse' },
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
  one_answer: 'the pruned model predicts the same for every sample',
  guesses: 'the pruned model is no better than a guess',
  far_off: 'its outputs are as far from the dense model as zeros are',
  layer_emptied: 'a layer keeps none of its weights',
} as const;

export type UnsafeReason = keyof typeof UNSAFE;

const meanings = (rows: Readonly<Record<string, string>>) =>
  Object.entries(rows)
    .map(([name, meaning]) => `\`${name}\`: ${meaning}`)
    .join('; ');

const statuses = Object.keys(STATUSES) as [Status, ...Status[]];
const reasons = Object.keys(UNSAFE) as [UnsafeReason, ...UnsafeReason[]];

const decisionFigureSchema = z.object({
  name: z.enum([
    'download',
    'disk',
    'parameters',
    'weights',
    'loss',
    'drift',
    'accuracy',
    'agreement',
    'speed',
  ]),
  title: z.string(),
  value: figure.describe('Of the pruned model: bytes, a count, a loss, a share, or how many times as fast.'),
  was: figure.describe('Of the dense model, in the same unit.'),
  low: figure.describe(
    'Of the interval: two standard errors on both sides, or 95 % of a median. Null where the value is exact or has none.',
  ),
  high: figure,
  is_difference: z
    .boolean()
    .nullable()
    .describe('Whether it differs from what it was by more than its own noise; null where it is not known.'),
  text: z.string().describe('The value, or `no difference`, or `not known`.'),
  interval: z.string().describe('The interval in words.'),
  before: z.string().describe('What it was, in words.'),
});

const nextStepSchema = z.object({
  text: z.string(),
  recipe: z
    .record(z.string(), z.unknown())
    .nullable()
    .describe('The fields of the recipe to change; null where it stays.'),
  request: z.string().nullable().describe('The call to make, as method and path.'),
});

export const decisionSchema = z
  .object({
    status: z
      .enum(statuses)
      .describe(meanings(Object.fromEntries(statuses.map((name) => [name, STATUSES[name].meaning])))),
    reasons: z.array(z.enum(reasons)).describe(`Why it is unsafe: ${meanings(UNSAFE)}.`),
    badge: z.string(),
    sentence: z.string().describe('At most 30 words.'),
    figures: z.array(decisionFigureSchema).describe('Five.'),
    next: z.array(nextStepSchema).describe('What to do, the first thing first.'),
  })
  .describe(
    'The first screen: whether to ship it, what is gained and lost, how sure that is, what to do next.',
  );

export type Decision = z.output<typeof decisionSchema>;
export type DecisionFigure = z.output<typeof decisionFigureSchema>;
export type NextStep = z.output<typeof nextStepSchema>;
