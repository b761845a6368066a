import { createHash } from 'node:crypto';
import { type FileHandle, open, stat, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { commonScale, effectiveSampleSize, rescale, sumOf } from '../core/statistics.ts';
import { compressedSize } from '../report/compressed-size.ts';
import type { Evaluation, Report, TensorReport } from '../report/report.ts';
import { createScoreDistribution } from '../report/score-distribution.ts';
import { createVerdict } from '../report/verdict.ts';
import { type RuntimeSettings, runtimeVersion } from '../runtime/session.ts';
import type { AppliedTensor } from './apply.ts';
import { MASKS_FILE, REPORT_FILE, REPORT_PAGE } from './artifact-names.ts';
import type { Decision, ScoredModel } from './decide.ts';
import type { DenseModel } from './dense-model.ts';
import { type HessianTrace, lossBound } from './loss-bound.ts';
import type { CountRule } from './passes/count-rule.ts';
import { KEEP_ALL } from './passes/operation.ts';
import { keyDigits } from './passes/runner.ts';
import type { Progress } from './progress.ts';
import type { Recipe } from './recipe.ts';

const MEDIA_TYPES: ReadonlyMap<string, string> = new Map([
  ['.json', 'application/json'],
  ['.html', 'text/html'],
]);

/** Bytes hashed at a time. */
const HASHED_BYTES = 1 << 20;

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
  readonly model: DenseModel;
  readonly recipe: Recipe;
  readonly scored: ScoredModel;
  readonly rule: CountRule;
  readonly decision: Decision;
  readonly applied: readonly AppliedTensor[];
  readonly evaluation: Evaluation | null;
  readonly hessian: HessianTrace | null;
  /** What the model was run with; null where it was not run. */
  readonly runtime: RuntimeSettings | null;
  readonly outputDirectory: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Hashes what was written, measures sizes, and writes `report.json` and `report.html`. */
export async function writeReport(input: ReportInput): Promise<{ summary: Summary; artifacts: Artifact[] }> {
  const { model, recipe, scored, rule, decision, evaluation, outputDirectory } = input;
  const artifacts: Artifact[] = [];
  for (const file of recipe.dry_run ? [] : model.inventory.files) {
    artifacts.push(await describe(input, file));
  }
  artifacts.push(await describe(input, MASKS_FILE));

  const tensors = await tensorReports(input);
  const total = totalOf(input, tensors);
  const { histogram, statistics } = scored.summary;
  const scores = createScoreDistribution({ histogram, statistics, ...keyDigits(scored.scores) });
  const sizes = await measureSizes(input);
  const report: Report = {
    schema_version: 1,
    model: {
      name: model.name,
      sha256: model.sha256,
      format: model.inventory.format,
      size_bytes: model.sizeBytes,
    },
    recipe: recipe.budget || recipe.target ? recipe : { ...recipe, beta: rule.beta },
    total,
    tensors,
    scores,
    evaluation,
    repair: [],
    structures: null,
    verdict: createVerdict({
      total,
      tensors,
      sizes,
      evaluation,
      beta: rule.beta,
      zeroRows: decision.zeroRows,
      raised: decision.raised,
    }),
    loss_bound:
      recipe.criterion === 'magnitude' ? lossBound(decision.statistics, input.applied, input.hessian) : null,
    sizes,
    artifacts: artifacts.map(({ name, sha256 }) => ({ name, sha256 })),
    environment: {
      version: packageJson.version,
      onnxruntime: input.runtime && (await runtimeVersion()),
      execution_provider: input.runtime?.providers.join(', ') ?? null,
    },
  };
  await writeFile(join(outputDirectory, REPORT_FILE), `${JSON.stringify(report, null, 2)}\n`);
  artifacts.push(await describe(input, REPORT_FILE));
  // Charts take a tenth of a second to load, which a process that only prunes need not spend at its start.
  const { renderReport } = await import('../report/html/page.ts');
  await writeFile(join(outputDirectory, REPORT_PAGE), renderReport(report));
  artifacts.push(await describe(input, REPORT_PAGE));
  const { threshold: _, ...summary } = total;
  return { summary, artifacts };
}

async function tensorReports({
  scored,
  decision,
  applied,
  outputDirectory,
  signal,
}: ReportInput): Promise<TensorReport[]> {
  await using masks = await open(join(outputDirectory, MASKS_FILE));
  const reports: TensorReport[] = [];
  for (const [i, { name, shape, dtype }] of scored.tensors.entries()) {
    const { nKeep, keptSum, mask } = applied[i];
    const statistics = decision.statistics[i];
    const { n, max, sum } = statistics;
    const { log2Min: log2_min, counts, zero } = decision.exponents[i];
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
      score_histogram: { log2_min, counts: [...counts], zero },
      mask_sha256: await hashRange(masks, mask, signal),
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
  const { statistics } = decision;
  const scale = commonScale(statistics);
  const total = (sums: readonly number[]) =>
    sumOf(Float64Array.from(sums, (sum, i) => rescale(sum, scale - statistics[i].scaleExponent)));
  const mass = total(statistics.map(({ sum }) => sum));
  const kept = total(applied.map(({ keptSum }) => keptSum));
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

async function describe({ outputDirectory, progress, signal }: ReportInput, name: string): Promise<Artifact> {
  await using handle = await open(join(outputDirectory, name));
  const { size } = await handle.stat();
  const sha256 = await hashRange(handle, { offset: 0, byteLength: size }, signal, progress);
  const media_type = MEDIA_TYPES.get(extname(name)) ?? 'application/octet-stream';
  return { name, media_type, size_bytes: size, sha256 };
}

/** SHA-256 of a stretch of a file, in hexadecimal. */
async function hashRange(
  handle: FileHandle,
  { offset, byteLength }: { readonly offset: number; readonly byteLength: number },
  signal: AbortSignal,
  progress?: Progress,
): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(Math.min(HASHED_BYTES, byteLength));
  for (let done = 0; done < byteLength; ) {
    signal.throwIfAborted();
    const length = Math.min(buffer.byteLength, byteLength - done);
    const { bytesRead } = await handle.read(buffer, 0, length, offset + done);
    if (bytesRead === 0) throw new Error(`a file ended at byte ${offset + done} while it was hashed`);
    hash.update(buffer.subarray(0, bytesRead));
    done += bytesRead;
    progress?.advance(bytesRead);
  }
  return hash.digest('hex');
}
