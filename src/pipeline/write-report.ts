import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { effectiveSampleSize, type ScoreStatistics } from '../core/statistics.ts';
import type { ModelInventory, ModelTensor } from '../formats/model.ts';
import { compressedSize } from '../report/compressed-size.ts';
import type { Report, ScoreHistogram, TensorReport } from '../report/report.ts';
import { createVerdict } from '../report/verdict.ts';
import { type AppliedTensor, MASKS_FILE, REPORT_FILE } from './apply.ts';
import type { Decision } from './decide.ts';
import { EXPONENT_BIAS, EXPONENT_BINS } from './passes/operation.ts';
import { KEEP_ALL } from './passes/rows.ts';
import type { Recipe } from './recipe.ts';

/** A file that a finished job offers, by its path below the output folder. */
export interface Artifact {
  readonly name: string;
  readonly media_type: string;
  readonly size_bytes: number;
  readonly sha256: string;
}

/** The whole job in six numbers. */
export type Summary = Pick<
  Report['total'],
  'n' | 'n_keep' | 'sparsity' | 'n_eff' | 'preserved_mass' | 'preserved_mass_bound'
>;

interface ReportInput {
  readonly model: {
    readonly name: string;
    readonly sha256: string;
    readonly sizeBytes: number;
    readonly directory: string;
    readonly inventory: ModelInventory;
  };
  readonly recipe: Recipe;
  readonly tensors: readonly ModelTensor[];
  readonly decision: Decision;
  readonly applied: readonly AppliedTensor[];
  readonly outputDirectory: string;
  readonly signal: AbortSignal;
}

/** Hashes what was written, measures sizes, and writes `report.json`. */
export async function writeReport(input: ReportInput): Promise<{ summary: Summary; artifacts: Artifact[] }> {
  const { model, recipe, decision, outputDirectory, signal } = input;
  const artifacts: Artifact[] = [];
  for (const file of recipe.dry_run ? [] : model.inventory.files) {
    artifacts.push(await describe(outputDirectory, file, signal));
  }
  artifacts.push(await describe(outputDirectory, MASKS_FILE, signal));

  const tensors = await tensorReports(input);
  const total = totalOf(input, tensors);
  const sizes = await measureSizes(input);
  const report: Report = {
    schema_version: 1,
    model: {
      name: model.name,
      sha256: model.sha256,
      format: model.inventory.format,
      size_bytes: model.sizeBytes,
    },
    recipe: recipe.budget ? recipe : { ...recipe, beta: recipe.beta ?? 1 },
    total,
    tensors,
    evaluation: null,
    repair: [],
    structures: null,
    verdict: createVerdict({
      total,
      tensors,
      sizes,
      beta: recipe.budget ? null : (recipe.beta ?? 1),
      zeroRows: decision.zeroRows,
      raised: decision.raised,
    }),
    loss_bound: null,
    sizes,
    artifacts: artifacts.map(({ name, sha256 }) => ({ name, sha256 })),
    environment: { version: packageJson.version, onnxruntime: null, execution_provider: null },
  };
  await writeFile(join(outputDirectory, REPORT_FILE), `${JSON.stringify(report, null, 2)}\n`);
  artifacts.push(await describe(outputDirectory, REPORT_FILE, signal));
  const { threshold: _, ...summary } = total;
  return { summary, artifacts };
}

async function tensorReports({
  tensors,
  decision,
  applied,
  outputDirectory,
}: ReportInput): Promise<TensorReport[]> {
  await using masks = await open(join(outputDirectory, MASKS_FILE));
  const reports: TensorReport[] = [];
  for (const [i, { name, shape, dtype }] of tensors.entries()) {
    const { nKeep, keptSum, mask } = applied[i];
    const statistics = decision.statistics[i];
    const { n, max, sum } = statistics;
    const { buffer } = await masks.read(new Uint8Array(mask.byteLength), 0, mask.byteLength, mask.offset);
    reports.push({
      name,
      shape: [...shape],
      dtype,
      n,
      n_keep: nKeep,
      sparsity: 1 - nKeep / n,
      n_eff: max === 0 ? null : effectiveSampleSize(statistics),
      threshold: thresholdOf(decision, i),
      preserved_mass: max === 0 ? null : Math.min(1, keptSum / sum),
      score_histogram: scoreHistogram(decision, i),
      mask_sha256: createHash('sha256').update(buffer).digest('hex'),
    });
  }
  return reports;
}

function thresholdOf({ decisions }: Decision, tensor: number): number | null {
  if (decisions.by === 'row' || decisions.thresholds[tensor] === KEEP_ALL) return null;
  return decisions.thresholds[tensor];
}

function totalOf({ decision, applied }: ReportInput, tensors: readonly TensorReport[]): Report['total'] {
  const n = tensors.reduce((sum, tensor) => sum + tensor.n, 0);
  const n_keep = tensors.reduce((sum, tensor) => sum + tensor.n_keep, 0);
  const unscale = (sum: number, { scaleExponent }: ScoreStatistics) => sum * 2 ** -scaleExponent;
  const mass = decision.statistics.reduce((sum, statistics) => sum + unscale(statistics.sum, statistics), 0);
  const kept = applied.reduce((sum, { keptSum }, i) => sum + unscale(keptSum, decision.statistics[i]), 0);
  return {
    n,
    n_keep,
    sparsity: 1 - n_keep / n,
    n_eff: decision.global?.nEff ?? null,
    threshold: decision.global?.threshold ?? null,
    preserved_mass: mass > 0 ? Math.min(1, kept / mass) : 1,
    preserved_mass_bound: Math.min(1, decision.preservedMassBound),
  };
}

function scoreHistogram({ exponents }: Decision, tensor: number): ScoreHistogram {
  const counts = exponents.subarray(tensor * EXPONENT_BINS, (tensor + 1) * EXPONENT_BINS);
  const first = counts.findIndex((count, field) => field > 0 && count > 0);
  const last = counts.findLastIndex((count, field) => field > 0 && count > 0);
  return {
    log2_min: first < 0 ? 0 : first - EXPONENT_BIAS,
    counts: first < 0 ? [] : Array.from(counts.subarray(first, last + 1)),
    zero: counts[0],
  };
}

async function measureSizes({
  model,
  recipe,
  outputDirectory,
  signal,
}: ReportInput): Promise<Report['sizes']> {
  const dense = await sizeOf(model.directory, model.inventory.files, signal);
  const pruned = recipe.dry_run ? null : await sizeOf(outputDirectory, model.inventory.files, signal);
  return {
    dense_bytes: dense.bytes,
    pruned_bytes: pruned?.bytes ?? null,
    dense_zstd_bytes: dense.zstdBytes,
    pruned_zstd_bytes: pruned?.zstdBytes ?? null,
    zstd_estimated: dense.estimated,
    mask_bytes: (await stat(join(outputDirectory, MASKS_FILE))).size,
  };
}

async function sizeOf(directory: string, files: readonly string[], signal: AbortSignal) {
  const total = { bytes: 0, zstdBytes: 0, estimated: false };
  for (const file of files) {
    const path = join(directory, file);
    const zstd = await compressedSize(path, signal);
    total.bytes += (await stat(path)).size;
    total.zstdBytes += zstd.bytes;
    total.estimated ||= zstd.estimated;
  }
  return total;
}

async function describe(directory: string, name: string, signal: AbortSignal): Promise<Artifact> {
  const path = join(directory, name);
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(path, { highWaterMark: 1 << 20, signal })) hash.update(bytes);
  return {
    name,
    media_type: name.endsWith('.json') ? 'application/json' : 'application/octet-stream',
    size_bytes: (await stat(path)).size,
    sha256: hash.digest('hex'),
  };
}
