import { open, stat, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import type { StoredModel } from '../formats/stored-model.ts';
import { type Recipe, roundToOf } from '../recipe/recipe.ts';
import { decisionOf } from '../report/decision.ts';
import { type MacFigures, macsOfStructures, macsOfWeights } from '../report/mac-figures.ts';
import type { Evaluation, Report, Undecided } from '../report/report.ts';
import { renderReportMarkdown } from '../report/report-markdown.ts';
import { type Summary, summaryOf } from '../report/summary.ts';
import { createVerdict } from '../report/verdict.ts';
import { countMacs } from '../runtime/count-macs.ts';
import { runtimeVersion } from '../runtime/session.ts';
import type { Amount } from './amount.ts';
import { MASKS_FILE, REPORT_FILE, REPORT_PAGE, REPORT_TEXT } from './artifact-names.ts';
import type { ChosenSize } from './choose-size.ts';
import { hashRange } from './hash-range.ts';
import { bytesOf, compressedSizeOf } from './model-size.ts';
import type { PruneInput, PruneJob } from './prune-job.ts';
import type { PrunedModel, ReportContent } from './scored.ts';

const MEDIA_TYPES: ReadonlyMap<string, string> = new Map([
  ['.json', 'application/json'],
  ['.html', 'text/html'],
  ['.md', 'text/markdown'],
]);

/** A file that a finished job offers, by its path below the output folder. */
export interface Artifact {
  readonly name: string;
  readonly media_type: string;
  readonly size_bytes: number;
  readonly sha256: string;
}

interface ReportInput {
  readonly job: PruneJob;
  readonly amount: Amount;
  readonly pruned: PrunedModel;
  readonly content: ReportContent;
  readonly evaluation: Evaluation | null;
  /** Null without a target of size. */
  readonly sized: ChosenSize | null;
  readonly repair: Report['repair'];
  readonly sensitivity: Report['sensitivity'];
  /** What is doubtful about the evaluation data. */
  readonly doubts: readonly string[];
  readonly isDoubtful: boolean;
}

/** What is told of a report without reading it. */
export interface WrittenReport {
  readonly summary: Summary;
  readonly warnings: Report['verdict']['warnings'];
  readonly artifacts: readonly Artifact[];
}

/** Hashes what was written, measures sizes, and writes `report.json`, `report.html` and `report.md`. */
export async function writeReport(input: ReportInput): Promise<WrittenReport> {
  const { job, amount, pruned, content, evaluation, repair, sensitivity, doubts, isDoubtful } = input;
  const { model, identity, recipe, calibration, runtime, outputDirectory } = job.input;
  const artifacts: Artifact[] = [];
  const prunedFiles = recipe.dry_run ? [] : pruned.model.inventory.files;
  for (const file of [...prunedFiles, MASKS_FILE]) artifacts.push(await describeArtifact(job, file));

  const { total, untouched, tensors, scores, structures, loss_bound, allocation, ...figures } = content;
  const sizes = await measureSizes(input);
  const macs = await macFigures(input);
  const size_target = await sizeTargetFigures(input, sizes, macs);
  const isRun = evaluation !== null || calibration !== null || recipe.granularity !== 'weight';
  const undecided: Undecided = {
    schema_version: 1,
    model: {
      name: identity.name,
      sha256: identity.sha256,
      format: model.inventory.format,
      size_bytes: identity.sizeBytes,
    },
    recipe: filledIn(recipe, amount),
    total,
    untouched,
    tensors,
    scores,
    evaluation,
    allocation,
    sensitivity,
    repair: [...repair],
    structures,
    verdict: createVerdict({
      ...figures,
      total,
      untouched,
      sizes,
      size_target,
      structures,
      granularity: recipe.granularity,
      evaluation,
      repair,
      allocation,
      beta: amount.beta,
      unused: job.unused,
      unreached: job.unreached,
      doubts,
    }),
    loss_bound,
    sizes,
    macs,
    size_target,
    artifacts: artifacts.map(({ name, sha256 }) => ({ name, sha256 })),
    environment: {
      version: packageJson.version,
      onnxruntime: isRun ? await runtimeVersion() : null,
      execution_provider: isRun ? runtime.providers.join(', ') : null,
    },
    origin: job.input.origin ?? null,
  };
  const { schema_version, model: told, ...rest } = undecided;
  const decision = decisionOf(undecided, isDoubtful);
  const report: Report = { schema_version, model: told, decision, ...rest };
  await writeFile(join(outputDirectory, REPORT_FILE), `${JSON.stringify(report, null, 2)}\n`);
  artifacts.push(await describeArtifact(job, REPORT_FILE));
  // Charts take a tenth of a second to load, which a process that only prunes need not spend at its start.
  const { renderReport } = await import('../report/html/page.ts');
  await writeFile(join(outputDirectory, REPORT_PAGE), renderReport(report));
  artifacts.push(await describeArtifact(job, REPORT_PAGE));
  await writeFile(join(outputDirectory, REPORT_TEXT), renderReportMarkdown(report));
  artifacts.push(await describeArtifact(job, REPORT_TEXT));
  return { summary: summaryOf(report), warnings: report.verdict.warnings, artifacts };
}

/** The recipe with what it left open. */
function filledIn(recipe: Recipe, { beta }: Amount): Report['recipe'] {
  return {
    ...recipe,
    ...(recipe.granularity === 'weight' ? {} : { round_to: roundToOf(recipe) }),
    ...(recipe.budget || recipe.target ? {} : { beta }),
  };
}

async function measureSizes(input: ReportInput): Promise<Report['sizes']> {
  const {
    input: { model, recipe, outputDirectory },
    signal,
  } = input.job;
  const pruned = recipe.dry_run ? null : input.pruned.model;
  const dense = await compressedSizeOf(model, signal);
  return {
    dense_bytes: await bytesOf(model),
    pruned_bytes: pruned && (await bytesOf(pruned)),
    dense_zstd_bytes: dense.bytes,
    pruned_zstd_bytes: pruned && (await compressedSizeOf(pruned, signal)).bytes,
    zstd_estimated: dense.estimated,
    mask_bytes: (await stat(join(outputDirectory, MASKS_FILE))).size,
  };
}

async function macFigures({ job, pruned, content }: ReportInput): Promise<MacFigures> {
  const { signal, input } = job;
  const { model, recipe, runtime } = input;
  const count = (counted: StoredModel) =>
    countMacs({ model: counted, runtime, signal }, input.evaluation ?? input.calibration);
  const dense = await count(model);
  if (recipe.granularity === 'weight')
    return macsOfWeights(dense, new Map(content.tensors.map(({ name, n, n_keep }) => [name, n_keep / n])));
  return macsOfStructures(dense, recipe.dry_run ? null : await count(pruned.model));
}

/** A dry run has written no model: what it would be is measured of a candidate. */
async function sizeTargetFigures(
  { job, amount, content, sized }: ReportInput,
  sizes: Report['sizes'],
  macs: MacFigures,
): Promise<Report['size_target']> {
  const { beta } = amount;
  if (sized === null || beta === null) return null;
  const { target, found, at } = sized;
  const { n, n_keep } = content.total;
  const zeroed = job.input.model.inventory.nParameters - (n - n_keep);
  const own = {
    max_parameters: content.structures === null ? zeroed : content.structures.parameters.pruned,
    max_bytes: sizes.pruned_bytes,
    max_compressed_bytes: sizes.pruned_zstd_bytes,
    max_macs: macs.pruned,
  };
  const reached = own[target.name] ?? (await at(beta));
  return {
    ...target,
    ...{ reached, met: reached <= target.limit, beta },
    largest: found.isWithin ? found.point.beta : null,
    evaluations: [...found.evaluations],
  };
}

/** What writes files for a client. */
type ArtifactMaker = Pick<PruneJob, 'progress' | 'signal'> & {
  readonly input: Pick<PruneInput, 'outputDirectory'>;
};

/** With its hash. */
export async function describeArtifact(
  { input, progress, signal }: ArtifactMaker,
  name: string,
): Promise<Artifact> {
  await using handle = await open(join(input.outputDirectory, name));
  const { size } = await handle.stat();
  const sha256 = await hashRange(handle, { offset: 0, byteLength: size }, signal, progress);
  const media_type = MEDIA_TYPES.get(extname(name)) ?? 'application/octet-stream';
  return { name, media_type, size_bytes: size, sha256 };
}
