import { z } from 'zod';
import { ALLOCATION_NAMES, ALLOCATIONS, sharingContradictions } from './allocations.ts';
import { CRITERIA, CRITERION_NAMES, type Criterion, type CriterionRow, scoringOf } from './criteria.ts';
import { SIZE_TARGETS } from './size-targets.ts';
import { SPEED_TARGETS } from './speed-targets.ts';
import { sizeTargetOf, speedTargetOf, targetOf, targetSchema } from './target.ts';
import {
  GRANULARITIES,
  GRANULARITY_NAMES,
  type Granularity,
  kindOf,
  REPAIR_NAMES,
  REPAIRS,
  type RepairName,
  type RepairRow,
  SCOPE_NAMES,
  SCOPES,
} from './terms.ts';
import { criterionMeanings, listMeanings } from './words.ts';

/** Naming every prunable tensor of the networks that are reproduced takes up to 12 of 35 characters; `*` stands for what the layers of larger ones share. */
const MAX_GLOBS = 64;
const MAX_GLOB_LENGTH = 256;
const MAX_SWEEP = 20;
/** Each is a pass over the calibration data; the standard error falls with the square root of their number. */
const MAX_PROBES = 1000;
const MAX_ROUND_TO = 1024;
/** Each prunes the model and runs it on the calibration data. */
const MAX_MOVES = 200;
const DEFAULT_CRITERION = 'magnitude';

const beta = z.number().positive().max(1e6);
const globs = z.array(z.string().min(1).max(MAX_GLOB_LENGTH)).max(MAX_GLOBS);

/**
 * What to prune and how much. Everything has a default, but that of the criterion, `magnitude`, is for weights: structures need one to be named. `beta` scales EMP's count, `budget` replaces it by a fixed sparsity per group,
 * to compare with, `target` searches the beta, or tests the one that is given.
 */
export const recipeSchema = z
  .strictObject({
    criterion: z.enum(CRITERION_NAMES).default(DEFAULT_CRITERION).describe(criterionMeanings()),
    scope: z
      .enum(SCOPE_NAMES)
      .default('global')
      .describe(
        `What shares one N_eff. Of weights: ${listMeanings(SCOPES, ({ weights }) => weights)}. Of structures: ${listMeanings(SCOPES, ({ structures }) => structures)}.`,
      ),
    allocation: z
      .enum(ALLOCATION_NAMES)
      .default('scope')
      .describe(
        `By what the weights that scope and amount keep in all are shared among the tensors. ${listMeanings(ALLOCATIONS, ({ meaning }) => meaning)}. With \`auto\` every tensor keeps its highest scores, one at least, and the total stays exactly what scope and amount say; each rule is tried on the calibration data, repaired as the job's model is. Weights of ONNX models only.`,
      ),
    allocation_moves: z
      .int()
      .min(0)
      .max(MAX_MOVES)
      .default(0)
      .describe(
        'With `allocation` `auto`: so often 8 to 25 % of what one tensor keeps is given to another, both drawn by `seed`, and stays there where that brings the model nearer to the dense one. 30 are worth trying; each takes as long as a rule.',
      ),
    sensitivity: z
      .boolean()
      .default(false)
      .describe(
        'Whether each tensor is pruned alone, to three sparsities, and the report says how far that moves the model on the calibration data; nothing else depends on it. Weights of ONNX models only; three runs of the calibration data a tensor.',
      ),
    granularity: z
      .enum(GRANULARITY_NAMES)
      .default('weight')
      .describe(
        `What is kept or removed. ${listMeanings(GRANULARITIES, ({ meaning }) => meaning)}. ONNX only, but for \`kan_node\`, which takes an efficient-kan checkpoint too; \`GET /v1/models/{id}/structures\` shows what a model has.`,
      ),
    round_to: z
      .int()
      .min(1)
      .max(MAX_ROUND_TO)
      .optional()
      .describe(
        'What every family keeps is rounded up to a multiple of it, counted in channels, of which a structure may hold several, in heads or in KAN nodes: onnxruntime computes convolutions in blocks of channels, of 8 with AVX2 and of 16 with AVX-512. Default 8 for channels, 1 for heads and KAN nodes.',
      ),
    beta: beta
      .optional()
      .describe(
        'Deployment knob: floor(beta * N_eff) are kept. Default 1. With a `target` of quality nothing is searched: this beta is tested, with `confidence` after the milder rungs below it.',
      ),
    budget: z
      .strictObject({ sparsity: z.number().min(0).lt(1) })
      .optional()
      .describe("A fixed sparsity per group instead of EMP's count."),
    target: targetSchema.optional(),
    sweep_betas: z
      .array(beta)
      .max(MAX_SWEEP)
      .refine((betas) => new Set(betas).size === betas.length, 'must not name a beta twice')
      .optional()
      .describe('The model is also pruned and evaluated at each of these, without being scored again.'),
    include: globs
      .optional()
      .describe(
        'Globs on tensor names (`*` any characters, `?` one); given, only matching tensors are scored, prunable by default or not; of structures, those that a matching weight computes.',
      ),
    exclude: globs
      .optional()
      .describe('Globs on tensor names that are left alone, and with them the structures that they compute.'),
    min_density: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe('Least share kept of the weights of every tensor, or of the structures of every family.'),
    hessian_probes: z
      .int()
      .min(0)
      .max(MAX_PROBES)
      .default(0)
      .describe(
        'Random vectors by which the trace of the Hessian of the loss is estimated (Hutchinson) on labelled calibration data, for `loss_bound` of the report; 0 for none. Criterion `magnitude` only.',
      ),
    hessian_trace: z
      .number()
      .nonnegative()
      .nullable()
      .default(null)
      .describe('That trace where it is known, in place of an estimate. Criterion `magnitude` only.'),
    repair: z
      .array(z.enum(REPAIR_NAMES))
      .max(REPAIR_NAMES.length)
      .refine((names) => new Set(names).size === names.length, 'must not name a repair twice')
      .default([])
      .describe(
        `What puts right that pruning shifted, in the order given, by forward passes over the calibration data (no labels). ${listMeanings(REPAIRS, ({ meaning, advice }) => `${meaning} (${advice})`)}. Removed weights stay zero; only \`least_squares_masks\` and \`swaps\` change which they are. With evaluation data each is measured and undone where it does not help; one that finds nothing to repair is skipped, and the report says why. Every candidate of a search or sweep and the uniform baseline get the same. ONNX models only.`,
      ),
    seed: z
      .int()
      .min(0)
      .max(2 ** 32 - 1)
      .default(0)
      .describe(
        'Of the scores of criterion `random`, of `allocation_moves`, and of what samples are drawn by: the half of the evaluation data that a target is searched on without selection data, the calibration samples that repairs are judged by.',
      ),
    dry_run: z.boolean().default(false).describe('Score and decide; report without writing a model.'),
  })
  .superRefine((recipe, context) => {
    for (const [name, message] of contradictions(recipe))
      context.addIssue({ code: 'custom', message, path: [name] });
  });

export type Recipe = z.output<typeof recipeSchema>;

/** Fields that do not go with others, and why. */
function* contradictions(recipe: Recipe): Generator<[name: keyof Recipe, message: string], void> {
  const { criterion, granularity, scope, round_to, seed, repair, dry_run } = recipe;
  const curvature: (keyof Recipe)[] = [];
  if (recipe.hessian_probes > 0) curvature.push('hessian_probes');
  if (recipe.hessian_trace !== null) curvature.push('hessian_trace');
  for (const name of criterion === 'magnitude' ? [] : curvature)
    yield [name, `goes with criterion magnitude, whose loss change it bounds, not with ${criterion}`];
  if (curvature.length > 1) yield ['hessian_trace', 'give only one of hessian_probes, hessian_trace'];

  const criteria = criteriaOf(granularity);
  if (granularity === 'weight') {
    if (!criteria.includes(criterion))
      yield ['criterion', `${criterion} scores structures, and the granularity is weight`];
    if (round_to !== undefined)
      yield ['round_to', 'rounds counts of structures, and the granularity is weight'];
  } else {
    if (!criteria.includes(criterion))
      yield ['criterion', `${scoresNo(criterion)} ${granularity}: expected ${criteria.join(', ')}`];
    if (SCOPES[scope].structures === null)
      yield ['scope', `${scope} is for weights: a ${granularity} goes as a whole`];
    for (const name of repair) {
      const { insteadForStructures }: RepairRow = REPAIRS[name];
      if (insteadForStructures !== null)
        yield [
          'repair',
          `${name} chooses which weights are kept, and a ${granularity} goes as a whole: give ${insteadForStructures}`,
        ];
    }
  }

  yield* sharingContradictions(recipe);
  if (recipe.sensitivity && granularity !== 'weight')
    yield ['sensitivity', `prunes tensors one by one, and the granularity is ${granularity}`];
  yield* repairContradictions(repair);
  const isDrawn = targetOf(recipe) !== null || repair.length > 0 || recipe.allocation_moves > 0;
  if (seed !== 0 && criterion !== 'random' && !isDrawn)
    yield [
      'seed',
      `goes with criterion random, which draws by it, not with ${criterion}; or with a target of quality or a repair, whose samples are drawn by it, or with allocation_moves`,
    ];
  if (repair.length > 0 && dry_run)
    yield ['repair', 'changes the model that is written, and dry_run writes none'];

  const other = sizeTargetOf(recipe) ?? speedTargetOf(recipe);
  const zerosStay =
    granularity === 'weight' && other && { ...SIZE_TARGETS, ...SPEED_TARGETS }[other.name].zerosStay;
  if (zerosStay) yield ['target', `${other.name} ${zerosStay}`];
  if (other && targetOf(recipe) === null && recipe.beta !== undefined)
    yield ['beta', `is what is searched for ${other.name}: give none with it`];

  if (recipe.budget === undefined) return;
  const others = (['beta', 'target'] as const).filter((name) => recipe[name] !== undefined);
  if (others.length > 0) yield ['budget', `replaces EMP's count: give no ${others.join(' and no ')} with it`];
}

/** A recipe may have the default without having named it. */
function scoresNo(criterion: Criterion): string {
  return criterion === DEFAULT_CRITERION
    ? `must be given: its default, ${criterion}, scores no`
    : `${criterion} scores no`;
}

/** The criteria that score components of a granularity. */
export function criteriaOf(granularity: Granularity): Criterion[] {
  return CRITERION_NAMES.filter((name) => {
    const { only }: CriterionRow = CRITERIA[name];
    return scoringOf(name, kindOf(granularity)) !== null && (only ?? granularity) === granularity;
  });
}

/** The multiple that kept counts of structures are rounded up to. */
export function roundToOf({ round_to, granularity }: Pick<Recipe, 'round_to' | 'granularity'>): number {
  return round_to ?? GRANULARITIES[granularity].roundTo ?? 1;
}

/** Repairs that undo what others of the same recipe have done. */
function* repairContradictions(names: Recipe['repair']): Generator<[name: 'repair', message: string], void> {
  const rows = names.map((name): [RepairName, RepairRow] => [name, REPAIRS[name]]);
  const choosing = rows.filter(([, { insteadForStructures }]) => insteadForStructures !== null);
  if (choosing.length > 1) {
    const all = choosing.map(([name]) => name).join(' and ');
    yield [
      'repair',
      `${all} each choose which weights are kept, and only the last choice would stand: give one of them`,
    ];
    return;
  }
  for (const [at, [name, { keptValues }]] of rows.entries()) {
    const fit = rows.slice(0, at).find(([, before]) => before.keptValues === 'fitted');
    if (keptValues === 'dense' && fit)
      yield [
        'repair',
        `${name} keeps the dense model's values, and would bring them back behind ${fit[0]}: give it before ${fit[0]}`,
      ];
  }
}
