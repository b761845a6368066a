import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { JOB_FILE, parseJobFile } from './job-file.ts';
import type { JobView } from './job-views.ts';
import { requireJobFiles, runJob } from './prune-verb.ts';
import { EXIT, type ExitCode, fileRefusal, Refusal } from './refusal.ts';
import { labelled } from './result-words.ts';
import { type CommonFlags, type DataFlags, type Run, samplesOf } from './run.ts';
import { refuseMissingData } from './run-data.ts';

interface VerifyFlags extends Pick<CommonFlags, 'json'>, DataFlags {
  readonly scores?: string;
}

/** These hold times that were measured. */
const TIMED = /^report\./;

/**
 * Verifies a folder that `find` or `prune` wrote: its files by their hashes, and with the model, and the data that the run had, by making them again from the recipe.
 * @returns 3 where something differs
 */
export async function verify(
  run: Run,
  folder: string,
  models: readonly string[],
  flags: VerifyFlags,
): Promise<ExitCode> {
  const path = join(folder, JOB_FILE);
  const text = await readFile(path, 'utf8').catch((error) => {
    throw fileRefusal(error, `cannot read ${path}`, ': name a folder that emp find or emp prune wrote');
  });
  const job = parseJobFile(text);
  if (job === null)
    throw new Refusal(EXIT.badInput, `${path} is no job: name a folder that emp find or emp prune wrote`);
  const changed: string[] = [];
  for (const { name, sha256 } of job.artifacts)
    if ((await hashOf(join(folder, name))) !== sha256) changed.push(name);
  if (models.length > 0) refuseMissingData(job, path, flags);
  const differing = models.length === 0 ? null : await madeAgain(run, job, models, flags);
  const isRight = changed.length === 0 && (differing ?? []).length === 0;
  const unchecked = await othersIn(folder, job);
  const same = job.artifacts.map(({ name }) => name).filter((name) => !changed.includes(name));
  run.terminal.stdout.write(
    flags.json
      ? `${JSON.stringify({ verified: isRight, changed, unchecked, differing }, null, 2)}\n`
      : labelled([
          ...listed('changed', changed, 'not as it was written, or gone'),
          ...listed('files', same, 'as it was written'),
          ...listed('unchecked', unchecked, `no hash in ${JOB_FILE}`),
          ['again', againWords(differing)],
        ]),
  );
  return isRight ? EXIT.kept : EXIT.notKept;
}

function listed(label: string, names: readonly string[], what: string): [string, string][] {
  return names.length === 0 ? [] : [[label, `${what}: ${names.join(', ')}`]];
}

function againWords(differing: readonly string[] | null): string {
  if (differing === null) return 'not made: name the model, and the data that the run had';
  if (differing.length === 0) return 'made from the recipe the same bytes';
  return `made from the recipe other bytes: ${differing.join(', ')}`;
}

/** Files of which the job has no hash. */
async function othersIn(folder: string, { artifacts }: JobView): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)));
  return names.filter((name) => !artifacts.some((one) => one.name === name)).sort();
}

/** The names of files that the same recipe makes otherwise. */
async function madeAgain(
  run: Run,
  { recipe, artifacts }: JobView,
  models: readonly string[],
  flags: VerifyFlags,
): Promise<string[]> {
  const files = { models, samples: samplesOf(flags), scores: flags.scores, recipe };
  await requireJobFiles(files);
  const again = await runJob(run, files);
  const hashes = new Map(again.artifacts.map(({ name, sha256 }) => [name, sha256]));
  return artifacts
    .filter(({ name, sha256 }) => !TIMED.test(name) && hashes.get(name) !== sha256)
    .map(({ name }) => name);
}

/** Null of a file that is gone. */
async function hashOf(path: string): Promise<string | null> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path), hash);
    return hash.digest('hex');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw fileRefusal(error, `cannot read ${path}`);
  }
}
