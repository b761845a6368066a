import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ApiClient } from './api-client.ts';
import { JOB_FILE } from './job-file.ts';
import type { JobView, ReportView, SearchView } from './job-views.ts';
import type { OutputFolder } from './output-folder.ts';
import { createProgress } from './progress-line.ts';
import { fileRefusal } from './refusal.ts';
import type { Run } from './run.ts';

/** Shows how far a job is, and waits for its end. @throws Refusal where it failed */
export async function followJob({ client, terminal }: Run, id: string): Promise<JobView> {
  const progress = createProgress(terminal.stderr);
  return await client.follow<JobView>(`/v1/jobs/${id}`, progress.show).finally(() => progress.end());
}

/** Fetches the files of a job. Resolves to its report. */
export async function fetchJob(client: ApiClient, job: JobView, output: OutputFolder): Promise<ReportView> {
  for (const { name, url } of job.artifacts) await client.download(url, output.place(name));
  await output.write(JOB_FILE, `${JSON.stringify(job, null, 2)}\n`);
  return JSON.parse(await readFile(join(output.path, 'report.json'), 'utf8'));
}

/** Where the Markdown of `--summary` comes from. */
export const SUMMARIES = {
  async ofSearch(client: ApiClient, { id }: Pick<SearchView, 'id'>): Promise<string> {
    const headers = { accept: 'text/markdown' };
    return (await client.call(`/v1/searches/${id}/report`, { headers })).text();
  },
  async ofJob({ path }: OutputFolder): Promise<string> {
    return await readFile(join(path, 'report.md'), 'utf8');
  },
};

/** Appends, as the summary of a CI step is written by several. @throws Refusal */
export async function appendSummary(
  path: string | undefined,
  text: () => Promise<string> | string,
): Promise<void> {
  if (path === undefined) return;
  await appendFile(path, await text()).catch((error) => {
    throw fileRefusal(error, `cannot write ${path}`);
  });
}
