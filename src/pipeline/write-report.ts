import { open, stat, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { type Recipe, roundToOf } from '../recipe/recipe.ts';
import { compressedSize } from '../report/compressed-size.ts';
import type { Figures } from '../report/figures.ts';
import type { Evaluation, Report } from '../report/report.ts';
import { createVerdict } from '../report/verdict.ts';
import { type RuntimeSettings, runtimeVersion } from '../runtime/session.ts';
import { MASKS_FILE, REPORT_FILE, REPORT_PAGE } from './artifact-names.ts';
import type { DenseModel } from './dense-model.ts';
import { hashRange } from './hash-range.ts';
import type { CountRule } from './passes/count-rule.ts';
import type { Progress } from './progress.ts';
import type { ReportContent } from './subject.ts';

const MEDIA_TYPES: ReadonlyMap<string, string> = new Map([
  ['.json', 'application/json'],
  ['.html', 'text/html'],
]);

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
  readonly rule: CountRule;
  readonly content: ReportContent;
  readonly unused: Figures['unused'];
  /** Files of the pruned model; none of a dry run. */
  readonly prunedFiles: readonly string[];
  readonly evaluation: Evaluation | null;
  readonly repair: Report['repair'];
  /** What the model was run with; null where it was not run. */
  readonly runtime: RuntimeSettings | null;
  readonly outputDirectory: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Hashes what was written, measures sizes, and writes `report.json` and `report.html`. */
export async function writeReport(input: ReportInput): Promise<{ summary: Summary; artifacts: Artifact[] }> {
  const { model, recipe, rule, content, evaluation, outputDirectory } = input;
  const artifacts: Artifact[] = [];
  for (const file of [...input.prunedFiles, MASKS_FILE]) artifacts.push(await describe(input, file));

  const { total, tensors, scores, structures, loss_bound, ...figures } = content;
  const sizes = await measureSizes(input);
  const report: Report = {
    schema_version: 1,
    model: {
      name: model.name,
      sha256: model.sha256,
      format: model.inventory.format,
      size_bytes: model.sizeBytes,
    },
    recipe: filledIn(recipe, rule),
    total,
    tensors,
    scores,
    evaluation,
    repair: [...input.repair],
    structures,
    verdict: createVerdict({
      ...figures,
      total,
      sizes,
      structures,
      granularity: recipe.granularity,
      evaluation,
      repair: input.repair,
      beta: rule.beta,
      unused: input.unused,
    }),
    loss_bound,
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

/** The recipe with what it left open. */
function filledIn(recipe: Recipe, { beta }: CountRule): Report['recipe'] {
  return {
    ...recipe,
    ...(recipe.granularity === 'weight' ? {} : { round_to: roundToOf(recipe) }),
    ...(recipe.budget || recipe.target ? {} : { beta }),
  };
}

async function measureSizes({
  model,
  prunedFiles,
  outputDirectory,
  signal,
}: ReportInput): Promise<Report['sizes']> {
  const dense = await sizeOf(model.directory, model.inventory.files, signal);
  const pruned = prunedFiles.length === 0 ? null : await sizeOf(outputDirectory, prunedFiles, signal);
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
