import { rm } from 'node:fs/promises';
import { sizeTargetOf, speedTargetOf, targetOf } from '../recipe/target.ts';
import { amountOf } from './amount.ts';
import { beginJob, type PruneContext } from './begin-job.ts';
import { Candidates } from './candidates.ts';
import { withAllocation } from './choose-allocation.ts';
import { chooseBeta } from './choose-amount.ts';
import { chooseSize } from './choose-size.ts';
import { chooseSpeed } from './choose-speed.ts';
import { evaluate } from './evaluate.ts';
import { lookAtData } from './look-at-data.ts';
import type { PruneInput } from './prune-job.ts';
import { Repairs } from './repairs.ts';
import { scoreJob } from './score-job.ts';
import { measureSensitivity } from './sensitivity.ts';
import { type WrittenReport, writeReport } from './write-report.ts';

export interface PruneOutcome extends WrittenReport {
  readonly timings_ms: Readonly<Record<string, number>>;
}

/**
 * Effective Model Pruning of one model. The same input gives the same masks and model, whatever the number of threads and the size of chunks, unless a target of speed is measured.
 * @throws EmpError for what is wrong with the model, the data, the scores or the recipe; the signal's reason when aborted
 */
export async function prune(given: PruneInput, context: PruneContext): Promise<PruneOutcome> {
  const job = await beginJob(given, context);
  const { recipe } = job.input;

  // Score: a criterion gives every weight, or every structure, an importance score s.
  await using scores = await scoreJob(job);

  // Choose the amount: the recipe's beta, tested where there is a target, or the smallest of which a candidate, pruned, repaired and measured, stays within the target; of a target of size or speed the largest.
  const { judges: opened, doubts, isDoubtful, samples } = await lookAtData(job);
  await using judges = opened;
  const repairs = new Repairs(job, judges);
  const sensitivity = await measureSensitivity(job, scores, judges);
  await using scored = await withAllocation(job, scores, repairs, judges);
  const reported =
    judges &&
    new Candidates({ job, scored, repairs, evaluator: judges.reporting, choosing: judges.choosing });
  const chosen =
    recipe.target && targetOf(recipe) && reported
      ? await chooseBeta(recipe.target, { job, scored, repairs, judges, reported })
      : null;
  const size = sizeTargetOf(recipe);
  const speed = speedTargetOf(recipe);
  if (size || speed) job.clock.enter('decide');
  const sized = size && (await chooseSize(size, job, scored, repairs));
  const timed = speed && judges && (await chooseSpeed(speed, job, scored, judges.reporting));
  const { beta } = chosen?.climbed ?? chosen?.found ?? (sized ?? timed)?.found.point ?? {};
  const amount = amountOf(recipe, beta);

  // Decide: of each group of N scores the floor(beta * N_eff) highest stay, N_eff = (sum |s|)^2 / sum s^2; or as many in all, shared among the tensors as calibration data say.
  job.clock.enter('decide');
  const decided = await scored.decide(amount);

  // Write: the other weights become zeros in place, the other structures are removed; of a dry run keep masks alone.
  job.clock.enter('apply');
  const pruned = await decided.writeForGood();

  // Repair what that shifted; with evaluation data the model is measured on the way, and what does not help is undone.
  const repair = await repairs.applyForGood(pruned);

  // Evaluate: what it costs, beside the dense model, the same spread evenly, and other betas.
  if (judges) job.clock.enter('evaluate');
  const evaluation =
    reported &&
    (await evaluate({ job, judges, candidates: reported, amount, decided, pruned, chosen, timed, samples }));

  // Report.
  job.clock.enter('report');
  const content = await pruned.content(repair);
  // Its memory is not to stand beside what the report's charts take.
  await scored[Symbol.asyncDispose]();
  const report = await writeReport({
    ...{ job, amount, pruned, content, evaluation, sized, repair, doubts, isDoubtful },
    sensitivity,
  });
  await rm(job.scratchDirectory, { recursive: true });
  return { ...report, timings_ms: job.clock.stop() };
}
