import { EmpError } from '../core/errors.ts';
import { readStoredGraph } from '../graph/interface.ts';
import type { EditedInputs } from '../graph/passes/join-constants.ts';
import { comparesOutputs } from '../recipe/needs.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { REPAIRS as REPAIR_ROWS, type RepairName } from '../recipe/terms.ts';
import { REPAIRS } from '../repair/registry.ts';
import type { RepairContext, RepairWork } from '../repair/repair-context.ts';
import { TensorEdits } from '../repair/tensor-edits.ts';
import type { Report } from '../report/report.ts';
import type { Comparison, Evaluator, Measurement } from '../runtime/evaluation.ts';
import { namingData } from './data-errors.ts';
import type { Judges } from './judges.ts';
import type { PruneInput, PruneJob } from './prune-job.ts';
import type { PrunedModel } from './scored.ts';
import { prunedWeights } from './weights/select.ts';

export type RepairStep = Report['repair'][number];

/** The repairs of a recipe, the same for the job's model and for every candidate. */
export class Repairs {
  readonly #job: PruneJob;
  readonly #judge: Evaluator | null;
  readonly #problem: string | null;
  readonly #context: Omit<RepairContext, 'pruned' | 'keptUnits'> | null;

  /** @param judges null without evaluation data */
  constructor(job: PruneJob, judges: Pick<Judges, 'choosing' | 'fitted' | 'problem'> | null) {
    const { input, scratchDirectory, signal, onCalibration: onSamples } = job;
    const { model: dense, recipe, calibration, runtime } = input;
    this.#job = job;
    this.#judge = judges?.choosing ?? null;
    this.#problem = judges?.problem ?? null;
    this.#context = null;
    if (recipe.repair.length === 0) return;
    const samples = judges ? judges.fitted : calibration;
    if (samples === null) throw new TypeError('repairs without calibration data');
    this.#context = { dense, samples, scratchDirectory, runtime, signal, onSamples };
  }

  /** `apply` to the job's own model. */
  async applyForGood(pruned: PrunedModel): Promise<RepairStep[]> {
    if (this.#context !== null) this.#job.clock.enter('repair');
    return (await this.apply(pruned)).steps;
  }

  /**
   * Repairs the pruned model where it lies, one repair after the other. With evaluation data a repair stays only if the loss (without labels, the drift) is lower than without it, on samples
   * that neither the fit nor the report sees.
   * @returns what each repair did, and what was measured last of the model that is left; null where nothing was
   * @throws EmpError what repairs and measuring throw, but for activations that are not finite, which leave the model without that repair
   */
  async apply({
    model: pruned,
    keptUnits,
    masks,
  }: PrunedModel): Promise<{ steps: RepairStep[]; compared: Comparison | null }> {
    const steps: RepairStep[] = [];
    if (this.#context === null) return { steps, compared: null };
    const measure = async () => (this.#judge ? await this.#judge.compare(pruned) : null);
    let compared = await measure();
    const context = { ...this.#context, pruned, keptUnits };
    await using edits = new TensorEdits(pruned, context.scratchDirectory, masks);
    for (const name of this.#job.input.recipe.repair) {
      const work = await attempt(name, context, edits, this.#problem);
      const after = work.nRepaired > 0 ? await measure() : null;
      const [was, is] = [compared?.measurement ?? null, after?.measurement ?? null];
      const problem = work.problem ?? (was && is && this.#problemOf(was, is));
      steps.push({
        name,
        kept: problem === null,
        problem,
        n_repaired: work.nRepaired,
        left_out: work.leftOut.map(({ name, reason }) => ({ name, reason })),
        ...(work.moved && { moved: work.moved.map(({ name, nMoved }) => ({ name, n_moved: nMoved })) }),
        loss_before: was?.loss ?? null,
        loss_after: is?.loss ?? null,
        relative_l2_before: was?.relative_l2 ?? null,
        relative_l2_after: is?.relative_l2 ?? null,
      });
      if (problem !== null) {
        await edits.undo();
        continue;
      }
      await edits.keep();
      if (after !== null) compared = after;
    }
    return { steps, compared };
  }

  #problemOf(before: Measurement, after: Measurement): string | null {
    const { recipe } = this.#job.input;
    return costOf(after, recipe) < costOf(before, recipe) ? null : 'the model is no better with it';
  }
}

/** The loss, or the drift without labels and for a target that needs none; infinite where it is not finite. */
function costOf({ loss, relative_l2 }: Measurement, recipe: Recipe): number {
  const cost = comparesOutputs(recipe) ? relative_l2 : (loss ?? relative_l2);
  return cost ?? Number.POSITIVE_INFINITY;
}

/** Whether one of a recipe's repairs may write what a node's input reads. */
export function writtenBy({ repair }: Pick<Recipe, 'repair'>): EditedInputs {
  return (node, input, tensor) => repair.some((name) => REPAIRS[name].writes(node, input, tensor));
}

/** How many passes over the calibration data the repairs of one model take, about. */
export async function countPasses({ model, recipe }: PruneInput): Promise<number> {
  if (recipe.repair.length === 0 || model.inventory.format !== 'onnx') return 0;
  const graph = await readStoredGraph(model);
  const weights = prunedWeights(model.inventory, recipe).map(({ name }) => name);
  return recipe.repair.reduce(
    (sum, name) => sum + REPAIRS[name].plan(graph, model.inventory, weights).nPasses,
    0,
  );
}

async function attempt(
  name: RepairName,
  context: RepairContext,
  edits: TensorEdits,
  problem: string | null,
): Promise<RepairWork & { readonly problem: string | null }> {
  if (problem !== null) return { nRepaired: 0, leftOut: [], problem };
  try {
    const work = await namingData('calibration', () => REPAIRS[name].repair(context, edits));
    return { ...work, problem: work.nRepaired > 0 ? null : nothingToRepair(name, work.leftOut) };
  } catch (error) {
    if (!(error instanceof EmpError) || error.code !== 'non_finite_activation') throw error;
    return { nRepaired: 0, leftOut: [], problem: error.message };
  }
}

/** Skipped, with the reason of the first that it looked at. */
function nothingToRepair(name: RepairName, [first, ...others]: RepairWork['leftOut']): string {
  const more = others.length > 0 ? ` (and ${others.length} more)` : '';
  const reason = first ? `${first.name} ${first.reason}${more}` : REPAIR_ROWS[name].nothing;
  return `there is nothing that it could repair: ${reason}`;
}
