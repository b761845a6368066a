import { join } from 'node:path';
import { describeTarget } from '../report/cost.ts';
import { describeUntried, isNothingFaster, untriedOf } from '../report/search-outcomes.ts';
import { closestMiss, enoughFor, missWords } from './closest-miss.ts';
import { appendSummary, fetchJob, SUMMARIES } from './finish-job.ts';
import { followSearch } from './follow-search.ts';
import { requireFiles, uploadModel, uploadSamples } from './given-data.ts';
import type { ReportView, SearchView } from './job-views.ts';
import { openOutputFolder } from './output-folder.ts';
import { createProgress } from './progress-line.ts';
import { EXIT, type ExitCode } from './refusal.ts';
import {
  costWords,
  decisionLines,
  exitCodeOf,
  frontTable,
  labelled,
  promiseWords,
  recipeWords,
  sizeWords,
} from './result-words.ts';
import { type CommonFlags, type DataFlags, type Run, samplesOf } from './run.ts';
import { verifyCommand } from './verify-command.ts';

/** What a search is asked for, beside the model and the data. */
export interface FindFlags extends CommonFlags, DataFlags {
  /** The request's fields that flags gave. */
  readonly terms: Readonly<Record<string, unknown>>;
  /** Whether all that is better than the rest is listed. */
  readonly front?: boolean;
  /** Where results go that nobody asked for elsewhere. */
  readonly parent?: string;
}

const PARENT = 'emp-output';

/**
 * Searches for the best model within a promise, and writes it.
 * @returns 3 where nothing keeps the promise, or the best is unsafe
 */
export async function find(run: Run, models: readonly string[], flags: FindFlags): Promise<ExitCode> {
  const { client, terminal, resources, program } = run;
  const samples = samplesOf(flags);
  await requireFiles([
    ...models,
    ...Object.values(samples).flatMap(({ files, labels = [] }) => [...files, labels].flat()),
  ]);
  const output = resources.use(await openOutputFolder(flags.output, models[0], flags.parent ?? PARENT));
  const data = {
    evaluation_dataset_id: await uploadSamples(client, samples.evaluation),
    calibration_dataset_id: await uploadSamples(client, samples.calibration),
    selection_dataset_id: await uploadSamples(client, samples.selection),
  };
  const model_id = await uploadModel(client, models);
  const { id } = await client.post<SearchView>('/v1/searches', {
    model_id,
    ...data,
    promise: {},
    ...flags.terms,
  });
  const search = await followSearch(client, id, createProgress(terminal.stderr));
  const { best } = search;
  const report = best && (await fetchJob(client, best.job, output));
  if (report) {
    await output.write('search.json', `${JSON.stringify(search, null, 2)}\n`);
    output.keep();
  }
  await appendSummary(flags.summary, () => SUMMARIES.ofSearch(client, search));
  if (flags.json) terminal.stdout.write(`${JSON.stringify(search, null, 2)}\n`);
  else {
    if (flags.front) terminal.stdout.write(`${frontTable(search)}\n`);
    terminal.stdout.write(
      best && report
        ? foundWords(search, report, output.path, verifyCommand(program, output.path, models, flags))
        : nothingWords(search),
    );
  }
  return best === null ? EXIT.notKept : exitCodeOf(best.met, best.job.summary?.decision);
}

/** @param again the command that makes it again */
function foundWords(search: SearchView, report: ReportView, folder: string, again: string): string {
  const { best, candidates, calibration_dataset_id } = search;
  const { evaluation } = report;
  const file = join(folder, best?.job.artifacts[0]?.name ?? '');
  const isMissed = best?.met === false;
  const next = isMissed
    ? 'it stayed within on the samples that it was chosen on, not on others: allow more, or give more samples'
    : calibration_dataset_id === null
      ? 'give --calibration, samples without labels: with repairs fitted to them more can go'
      : 'make it again, and compare the bytes:';
  return labelled([
    ['smaller', sizeWords(report, best?.job.recipe ?? { granularity: 'weight' })],
    ['cost', costWords(evaluation)],
    ['promise', promiseWords(evaluation, best?.met) ?? 'none'],
    ...decisionLines(report),
    [
      'files',
      `${file}; report.html beside it says why, search.json what else was tried (${candidates.length})`,
    ],
    ...(isNothingFaster(search.aim, best?.job.summary)
      ? [['speed', 'nothing faster was found'] as const]
      : []),
    nextLine(search, next),
    ...(isMissed || calibration_dataset_id === null ? [] : [['', again] as const]),
  ]);
}

/** What to do next, which begins with what the limits of the search left untried. */
function nextLine(
  { status, limits, candidates, lines }: SearchView,
  next: string,
): readonly [string, string] {
  const untried = untriedOf(status, limits, candidates.length, lines);
  return ['next', untried ? `${describeUntried(untried)}, which a larger limit allows; or ${next}` : next];
}

function nothingWords(search: SearchView): string {
  const { candidates, calibration_dataset_id, promise, lines } = search;
  const more = calibration_dataset_id === null ? ', or --calibration, with which repairs are tried' : '';
  const miss = closestMiss(search);
  const failed = lines.find(({ error }) => error !== null);
  const allow = miss ? `allow more, ${enoughFor(miss, promise)} for that one` : 'allow more';
  return labelled([
    [
      'promise',
      `not kept: none of ${candidates.length} models tried stays within ${describeTarget(promise)}, and none is written`,
    ],
    ...(miss ? [['closest', missWords(miss, search)] as const] : []),
    ...(failed ? [['note', `${recipeWords(failed.recipe)} was left: ${failed.error}`] as const] : []),
    nextLine(search, `${allow}, or give more samples${more}`),
  ]);
}
