import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { elementCount, weightShape } from '../formats/model.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import { AIMS, type Aim } from '../recipe/lines.ts';
import { compareRounds, differsInSpeed } from '../report/speed.ts';
import { countMacs } from '../runtime/count-macs.ts';
import type { Evaluator } from '../runtime/evaluation.ts';
import type { Metrics } from '../runtime/model-metrics.ts';
import { CANDIDATES_FILE } from './artifact-names.ts';
import { beginJob, type PruneContext } from './begin-job.ts';
import { type BetaPoint, Candidates, type Weight } from './candidates.ts';
import { openTest } from './choose-amount.ts';
import { searchLine } from './line-search.ts';
import { lookAtData } from './look-at-data.ts';
import { bytesOf, compressedSizeOf } from './model-size.ts';
import type { PruneInput, PruneJob } from './prune-job.ts';
import { Repairs } from './repairs.ts';
import { scoreJob } from './score-job.ts';
import type { PrunedModel } from './scored.ts';
import { standardErrorsWithin } from './search.ts';
import { selectTensors } from './weights/select.ts';
import { type Artifact, describeArtifact } from './write-report.ts';

/** What of a search a line is tried for. */
export interface LineTerms {
  readonly aim: Aim;
  /** The least of what the aim lessens that is known to be within the promise; null where nothing is. */
  readonly bar: number | null;
  /** Models measured at most. */
  readonly most: number;
  /** In standard errors, by which a model is to be within the promise at first. */
  readonly margin: number;
}

/** A model of a line as it was measured, on the samples that choices are made on. */
export interface Candidate extends BetaPoint, Weight {
  /** Of its batch by the dense model's; null where it was not measured. */
  readonly relative_latency: number | null;
  /** Whether the promise holds by these figures. */
  readonly is_within: boolean;
}

type DenseWeight = Omit<Weight, 'latency_ms' | 'dense_latency_ms' | 'latency_differs'>;

/** What a line came to, as its job's one file holds it. */
export interface Exploration {
  readonly dense: Metrics & DenseWeight;
  /** That choices are made on. */
  readonly n_samples: number;
  readonly candidates: readonly Candidate[];
  readonly doubts: readonly string[];
}

interface ExploreOutcome {
  readonly artifacts: readonly Artifact[];
  readonly timings_ms: Readonly<Record<string, number>>;
}

/**
 * Tries a recipe with a target at the amounts that could be better than what is known. Nothing of the samples that the target's report is of is looked at beyond the dense model.
 * @throws EmpError as `prune`
 */
export async function explore(
  given: PruneInput,
  { aim, bar, most, margin }: LineTerms,
  context: PruneContext,
): Promise<ExploreOutcome> {
  const job = await beginJob(given, context);
  const { recipe, outputDirectory } = job.input;
  const { target } = recipe;
  const { judges: opened, doubts } = await lookAtData(job);
  await using judges = opened;
  if (!target || !judges) throw new TypeError('a line without a target, or evaluation data');
  await using scored = await scoreJob(job);
  const { choosing } = judges;
  const denseWeighs = await denseWeight(job);
  const weigh = scales(job, aim, denseWeighs, choosing);
  const repairs = new Repairs(job, judges);
  const candidates = new Candidates({ job, scored, evaluator: choosing, choosing, repairs, weigh });
  let isTested = false;
  const tried = await searchLine({
    bar,
    most,
    margin,
    async weigh(beta) {
      const { sparsity, weight } = await candidates.weighAt(beta);
      return { beta, sparsity, amount: lessenedIn(weight, aim) };
    },
    async attempt(beta) {
      const measured = await candidates.comparedAt(beta);
      if (!isTested) openTest(target, judges, measured);
      isTested = true;
      const { weight } = measured;
      if (weight === null) throw new TypeError('a candidate that was not weighed');
      const { measurement, sparsity } = measured;
      // One that gives the same whatever comes in keeps no promise.
      const errorsWithin = measured.isConstant
        ? Number.NEGATIVE_INFINITY
        : standardErrorsWithin(target, choosing.dense, measurement);
      return { beta, sparsity, amount: lessenedIn(weight, aim), errorsWithin, measurement, weight };
    },
  });
  job.clock.enter('report');
  const exploration: Exploration = {
    dense: { ...choosing.dense, ...denseWeighs },
    n_samples: choosing.nSamples,
    candidates: tried.map(({ beta, sparsity, errorsWithin, measurement, weight }) => ({
      beta,
      sparsity,
      ...measurement,
      ...weight,
      relative_latency: relativeLatency(weight),
      is_within: sparsity > 0 && errorsWithin >= 0,
    })),
    doubts,
  };
  await writeFile(join(outputDirectory, CANDIDATES_FILE), `${JSON.stringify(exploration, null, 2)}\n`);
  await rm(job.scratchDirectory, { recursive: true });
  return { artifacts: [await describeArtifact(job, CANDIDATES_FILE)], timings_ms: job.clock.stop() };
}

async function denseWeight({ input: { model, runtime, evaluation }, signal }: PruneJob) {
  return {
    parameters: model.inventory.nParameters,
    bytes: await bytesOf(model),
    compressed_bytes: (await compressedSizeOf(model, signal)).bytes,
    macs: (await countMacs({ model, runtime, signal }, evaluation)).total,
  };
}

/** Weighs pruned models, on the scales of an aim. */
function scales({ input, signal }: PruneJob, aim: Aim, dense: DenseWeight, evaluator: Evaluator) {
  const { recipe, model, runtime, evaluation } = input;
  const isOfWeights = recipe.granularity === 'weight';
  const scored = isOfWeights ? selectTensors(model.inventory, recipe) : [];
  const nScored = scored.reduce((sum, tensor) => sum + elementCount(weightShape(tensor)), 0);
  const countOf = async (counted: StoredModel) =>
    (await countMacs({ model: counted, runtime, signal }, evaluation)).total;
  return async (pruned: PrunedModel, isMeasured: boolean): Promise<Weight> => {
    const latency = AIMS[aim].lessens === 'relative_latency' ? await evaluator.latency(pruned.model) : null;
    return {
      parameters: pruned.model.inventory.nParameters - Math.round(pruned.sparsity * nScored),
      bytes: await bytesOf(pruned.model),
      compressed_bytes: (await compressedSizeOf(pruned.model, signal)).bytes,
      macs: isOfWeights ? dense.macs : isMeasured ? await countOf(pruned.model) : null,
      latency_ms: latency?.pruned_ms ?? null,
      dense_latency_ms: latency?.dense_ms ?? null,
      latency_differs: latency && differsInSpeed(compareRounds('all', latency.rounds)),
    };
  };
}

/** What the aim lessens. */
function lessenedIn(weight: Weight, aim: Aim): number {
  const { lessens } = AIMS[aim];
  return (
    (lessens === 'relative_latency' ? relativeLatency(weight) : weight[lessens]) ?? Number.POSITIVE_INFINITY
  );
}

function relativeLatency({ latency_ms, dense_latency_ms }: Weight): number | null {
  return latency_ms === null || dense_latency_ms === null ? null : latency_ms / dense_latency_ms;
}
