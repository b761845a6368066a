import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { JOB_FILE } from './finish-job.ts';
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
  const job = parseJob(text, path);
  const changed: string[] = [];
  for (const { name, sha256 } of job.artifacts)
    if ((await hashOf(join(folder, name))) !== sha256) changed.push(name);
  if (models.length > 0) refuseMissingData(job, path, flags);
  const differing = models.length === 0 ? null : await madeAgain(run, job, models, flags);
  const isRight = changed.length === 0 && (differing ?? []).length === 0;
  run.terminal.stdout.write(
    flags.json
      ? `${JSON.stringify({ verified: isRight, changed, differing }, null, 2)}\n`
      : labelled([
          [
            'files',
            changed.length === 0
              ? `${job.artifacts.length} are as they were written`
              : `changed or gone: ${changed.join(', ')}`,
          ],
          [
            'again',
            differing === null
              ? 'not made: name the model, and the data that the run had'
              : differing.length === 0
                ? 'made from the recipe the same bytes'
                : `made from the recipe other bytes: ${differing.join(', ')}`,
          ],
        ]),
  );
  return isRight ? EXIT.kept : EXIT.notKept;
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

function parseJob(text: string, path: string): JobView {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal(EXIT.badInput, `${path} is no job: ${error instanceof Error ? error.message : error}`);
  }
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
