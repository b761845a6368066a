import { count, percent } from '../report/wording.ts';
import { followJob } from './finish-job.ts';
import { requireFiles, uploadModel, uploadSamples } from './given-data.ts';
import type { ComparisonView, JobView } from './job-views.ts';
import { modelFiles } from './model-files.ts';
import { EXIT, type ExitCode } from './refusal.ts';
import { costWords, labelled, table } from './result-words.ts';
import { type DataFlags, type Run, samplesOf } from './run.ts';

/** Rows that are shown; `--json` has all. */
const SHOWN_TENSORS = 40;
const NONE = '-';

/**
 * Holds a pruned model against its original, and both against EMP's choice of the same size.
 * @param paths of the original and of the pruned model: a file each, or a folder of the files of one
 */
export async function compare(
  run: Run,
  paths: readonly [original: string, pruned: string],
  flags: DataFlags & { readonly json?: boolean },
): Promise<ExitCode> {
  const { client, terminal } = run;
  const [original, pruned] = await Promise.all(paths.map((path) => modelFiles([path])));
  const { evaluation } = samplesOf(flags);
  await requireFiles([...original, ...pruned, ...evaluation.files, ...(flags.labels ? [flags.labels] : [])]);
  const { id } = await client.post<JobView>('/v1/compare', {
    original_model_id: await uploadModel(client, original),
    pruned_model_id: await uploadModel(client, pruned),
    evaluation_dataset_id: await uploadSamples(client, evaluation),
  });
  await followJob(run, id);
  const found = await client.get<ComparisonView>(`/v1/jobs/${id}/comparison`);
  terminal.stdout.write(flags.json ? `${JSON.stringify(found, null, 2)}\n` : words(found));
  return EXIT.kept;
}

function words({ verdict, tensors, evaluation }: ComparisonView): string {
  const rest = tensors.length - SHOWN_TENSORS;
  return [
    ...verdict.map((sentence) => `${sentence}\n`),
    ...(evaluation
      ? ['\n', labelled([['cost', costWords({ ...evaluation, dense: evaluation.original })]])]
      : []),
    '\n',
    table([
      ['tensor', 'change', 'weights', 'kept', 'sparsity', "shared with EMP's"],
      ...tensors
        .slice(0, SHOWN_TENSORS)
        .map(({ name, change, n, n_keep, sparsity, masks }) => [
          name,
          change,
          count(n),
          n_keep === null ? NONE : count(n_keep),
          sparsity === null ? NONE : percent(sparsity),
          masks?.layer.shared == null ? NONE : percent(masks.layer.shared),
        ]),
    ]),
    ...(rest > 0 ? [`  and ${count(rest)} more, which --json has\n`] : []),
  ].join('');
}
