import { z } from 'zod';
import { STATUSES, type Status, UNSAFE, type UnsafeReason } from './decision-statuses.ts';
import { figure } from './figures.ts';

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
