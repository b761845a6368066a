import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EmpError } from '../core/errors.ts';
import { countKept, unpackMask } from '../core/keep-mask.ts';
import { openFileSource } from '../formats/file-source.ts';
import { readSafetensorsHeader } from '../formats/safetensors/header.ts';
import { createSafetensorsLayout } from '../formats/safetensors/write.ts';
import { fetchJob } from './finish-job.ts';
import { requireFiles } from './given-data.ts';
import type { JobView } from './job-views.ts';
import { openOutputFolder } from './output-folder.ts';
import { runJob } from './prune-verb.ts';
import { EXIT, type ExitCode, Refusal } from './refusal.ts';
import { labelled, sizeWords } from './result-words.ts';
import { type CommonFlags, type Run, samplesOf } from './run.ts';

/** Of masks what a model's own tensors and families have. */
interface Scored {
  readonly name: string;
  readonly shape: readonly number[];
}

const PARENT = 'emp-output';
const ELEMENT_BYTES = 4;

/**
 * Prunes a model by the keep masks of an earlier run: with scores of 1 where a mask keeps and 0 elsewhere N_eff is the number of ones, so EMP keeps these. Weights and biases that a
 * repair has changed are not in the masks.
 */
export async function apply(
  run: Run,
  masks: string,
  models: readonly string[],
  flags: CommonFlags & { readonly granularity: string },
): Promise<ExitCode> {
  const { client, terminal, resources } = run;
  await requireFiles([masks, ...models]);
  const output = resources.use(await openOutputFolder(flags.output, models[0], PARENT));
  const scores = join(client.scratch, 'masks-as-scores.safetensors');
  const nKept = await writeScores(masks, scores, await scoredOf(run, models, flags.granularity));
  const { granularity } = flags;
  const recipe = {
    ...{ criterion: 'scores', granularity, scope: 'global' },
    ...(granularity !== 'weight' && { round_to: 1 }),
  };
  const job = await runJob(run, { models, samples: samplesOf({}), scores, recipe });
  await rm(scores);
  const report = await fetchJob(client, job, output);
  if (report.total.n_keep !== nKept)
    throw new Refusal(
      EXIT.badInput,
      `${masks} keeps ${nKept} ${granularity}s, and the model would keep ${report.total.n_keep}: they are masks of another model`,
    );
  output.keep();
  terminal.stdout.write(
    flags.json
      ? `${JSON.stringify(job, null, 2)}\n`
      : labelled([
          ['smaller', sizeWords(report, job.recipe)],
          ['files', fileOf(output.path, job)],
        ]),
  );
  return EXIT.kept;
}

function fileOf(folder: string, { artifacts }: JobView): string {
  return join(folder, artifacts[0]?.name ?? '');
}

/** What masks may be of, with the shapes that scores of them have. */
async function scoredOf({ client }: Run, models: readonly string[], granularity: string): Promise<Scored[]> {
  const files = models.map((path) => ({ part: 'file', path }));
  const { id } = await client.upload<{ id: string }>('/v1/models', files, '');
  if (granularity === 'weight') return (await client.get<{ tensors: Scored[] }>(`/v1/models/${id}`)).tensors;
  const { families } = await client.get<{ families: { name: string; n: number }[] }>(
    `/v1/models/${id}/structures`,
  );
  return families.map(({ name, n }) => ({ name, shape: [n] }));
}

/** Writes masks as scores. Resolves to how many they keep. @throws Refusal for masks of something else */
async function writeScores(masks: string, path: string, scored: readonly Scored[]): Promise<number> {
  const shapes = new Map(scored.map(({ name, shape }) => [name, shape]));
  try {
    await using source = await openFileSource(masks);
    const { tensors } = await readSafetensorsHeader(source);
    const layout = createSafetensorsLayout(
      tensors.map(({ name, byteLength }) => {
        const shape = shapes.get(name) ?? [];
        const n = shape.reduce((product, size) => product * size, 1);
        if (!shapes.has(name) || Math.ceil(n / 8) !== byteLength)
          throw new Refusal(EXIT.badInput, `${masks}: ${name} is no mask of this model`);
        return { name, shape, dtype: 'float32' };
      }),
    );
    await using file = await open(path, 'w');
    await file.write(layout.header);
    let nKept = 0;
    for (const [i, { offset, byteLength }] of tensors.entries()) {
      const mask = await source.read(offset, offset + byteLength);
      const n = layout.tensors[i].byteLength / ELEMENT_BYTES;
      nKept += countKept(mask);
      const numbers = Float32Array.from(unpackMask(mask, n));
      await file.write(new Uint8Array(numbers.buffer), 0, numbers.byteLength, layout.tensors[i].offset);
    }
    return nKept;
  } catch (error) {
    if (error instanceof EmpError) throw new Refusal(EXIT.badInput, `${masks}: ${error.message}`);
    throw error;
  }
}
