import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EmpError } from '../../src/core/errors.ts';
import { GRANULARITY_NAMES, type Granularity } from '../../src/recipe/terms.ts';
import type { Feeds } from '../../src/runtime/session.ts';
import type { FoundAttention } from './attentions.ts';
import { findNoNumbers, readFeeds, runModel } from './feeds.ts';
import { findUnmasked } from './masked-weights.ts';
import type { Exported } from './python.ts';
import { isExact, type Trial, trialsOf } from './recipes.ts';
import { DenseModel } from './removed-structures.ts';
import type { JobEnd, Refusal, Service } from './service.ts';

/** Of an output's largest number, by the variant; others compute in float32. Rounding may fall otherwise where sums are of other lengths. */
const TOLERANCES: Readonly<Record<string, number>> = { fp16: 2e-2, dynamic: 1e-2, qdq: 2e-2 };
const TOLERANCE = 2e-5;
/** What a service says of itself, not of what it was sent. */
const OWN_FAULTS: readonly string[] = ['internal_error', 'worker_crashed', 'limit_exceeded', 'canceled'];

/** What became of one way of pruning a model. */
export interface Outcome {
  readonly trial: string;
  readonly verdict: 'ok' | 'refused' | 'failed' | 'wrong';
  /** Why, where it is not ok. */
  readonly reason: string | null;
}

export interface CheckedExport {
  readonly exported: Exported;
  readonly outcomes: readonly Outcome[];
  readonly attentions: readonly FoundAttention[];
}

/** Prunes an export in every way that is tried, and holds what comes back against the dense model. */
export async function checkExport(exported: Exported, service: Service): Promise<CheckedExport> {
  if (exported.error !== undefined) return unusable(exported, 'failed', 'export', exported.error);
  const path = join(exported.folder, 'model.onnx');
  const dense = new Uint8Array(await readFile(path));
  const feeds = await readFeeds(exported.folder, dense).catch(messageOf);
  if (typeof feeds === 'string') return unusable(exported, 'failed', 'dense model', feeds);
  const model_id = await service.uploadModel(path);
  const dataset_id = await service.uploadSamples(exported.folder);
  const { families } = await service.structures(model_id);
  const analysed = await DenseModel.open(path, dense);
  const kinds = new Set(families.map(({ kind }) => kind));
  const granularities = GRANULARITY_NAMES.filter(
    (name) => name === 'weight' || [...kinds].includes(name as never),
  );
  const outcomes: Outcome[] = [];
  for (const granularity of granularities) {
    for (const trial of trialsOf(granularity)) {
      const data = dataOf(trial, dataset_id, exported.variant === 'plain');
      const job = { model_id, recipe: trial.recipe, ...data };
      const judge = { exported, dense, feeds, analysed, granularity, trial };
      outcomes.push(await judgeEnd(await service.run(job), judge));
    }
  }
  return { exported, outcomes, attentions: analysed.attentions };
}

function unusable(
  exported: Exported,
  verdict: Outcome['verdict'],
  trial: string,
  reason: string,
): CheckedExport {
  return { exported, outcomes: [{ trial, verdict, reason }], attentions: [] };
}

/** Evaluation measures latency for a second or two, which is not spent on every variant. */
function dataOf({ data }: Trial, dataset_id: string, isEvaluated: boolean): object {
  if (data === 'none') return {};
  const calibration = { calibration_dataset_id: dataset_id };
  return data === 'both' && isEvaluated ? { ...calibration, evaluation_dataset_id: dataset_id } : calibration;
}

interface Judge {
  readonly exported: Exported;
  readonly dense: Uint8Array;
  readonly feeds: readonly Feeds[];
  readonly analysed: DenseModel;
  readonly granularity: Granularity;
  readonly trial: Trial;
}

async function judgeEnd(end: JobEnd, judge: Judge): Promise<Outcome> {
  const { trial } = judge;
  if (end.status !== 'succeeded') {
    const isOwn = OWN_FAULTS.includes(end.refusal.code);
    return { trial: trial.name, verdict: isOwn ? 'failed' : 'refused', reason: textOf(end.refusal) };
  }
  const wrong = await findWrong(end.model, end.masks, judge).catch(messageOf);
  return { trial: trial.name, verdict: wrong === null ? 'ok' : 'wrong', reason: wrong };
}

/** What is wrong with an artifact; null where nothing is. */
async function findWrong(model: Uint8Array, masks: Uint8Array, judge: Judge): Promise<string | null> {
  const { exported, dense, feeds, analysed, granularity, trial } = judge;
  if (!isExact(trial)) return await findNoNumbers(model, dense, feeds);
  if (granularity === 'weight') {
    await runModel(model, feeds);
    return await findUnmasked(dense, model, masks);
  }
  const { error, removed } = await analysed.compare(model, masks, feeds);
  if (removed === 0) return 'nothing was removed';
  const tolerance = TOLERANCES[exported.variant] ?? TOLERANCE;
  return error <= tolerance ? null : `differs by ${error.toExponential(1)} from the masked model`;
}

function textOf({ code, detail }: Refusal): string {
  return `${code}: ${detail}`;
}

function messageOf(error: unknown): string {
  if (!(error instanceof EmpError)) throw error;
  return error.message;
}
