import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { JOB_FILE, parseJobFile } from './job-file.ts';

/** What a job writes beside the model. */
const OF_JOBS = /^(masks\.safetensors|report\.(json|html|md)|candidates\.json|compare\.json)$/;

/** The files of models: of a folder all, or where `emp` wrote it those of the model that its `job.json` names. */
export async function modelFiles(paths: readonly string[]): Promise<string[]> {
  return (await Promise.all(paths.map(filesOf))).flat();
}

async function filesOf(path: string): Promise<string[]> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) return [path];
  const names = (await namesOfJob(join(path, JOB_FILE))) ?? (await readdir(path));
  return names.map((name) => join(path, name));
}

/** The model's files that a job has written; null where there is no job. */
async function namesOfJob(path: string): Promise<string[] | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  const job = text === null ? null : parseJobFile(text);
  return job?.artifacts.map(({ name }) => name).filter((name) => !OF_JOBS.test(name)) ?? null;
}
