import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openFileSource } from '../../src/formats/file-source.ts';
import { readNpyHeader } from '../../src/formats/npy.ts';
import type { ArrayFile, SampleSet } from '../../src/formats/sample-set.ts';
import type { ScoreArray } from '../../src/formats/score-file.ts';
import { readModelInventory } from '../../src/graph/inventory.ts';
import { prune } from '../../src/pipeline/prune.ts';
import type { PruneInput } from '../../src/pipeline/prune-job.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import type { Evaluation, Report } from '../../src/report/report.ts';
import type { Golden } from './golden.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));
const TRAINED = fileURLToPath(new URL('./networks/', import.meta.url));
const MODEL = 'model.onnx';
/** The results do not depend on it. */
const THREADS = 2;

/** A trained network with the data to run it on. */
export interface Network {
  readonly name: string;
  readonly model: PruneInput['model'];
  readonly identity: PruneInput['identity'];
  readonly calibration: SampleSet;
  readonly evaluation: SampleSet;
  /** Of criterion `scores`. */
  readonly scores?: readonly ScoreArray[];
  /** The oracle's answers; null without the fixtures. */
  readonly golden: Golden | null;
}

/** A report of a job that had evaluation data. */
export type Measured = Report & { readonly evaluation: Evaluation };

/** One folder of the fixtures. */
async function openFixture(fixtures: string, name: string): Promise<Network> {
  const directory = join(fixtures, name);
  const golden: Golden = JSON.parse(await readFile(join(directory, 'golden.json'), 'utf8'));
  return {
    name,
    ...(await openModel(join(directory, MODEL), MODEL)),
    ...(await openFixtureSamples(fixtures, name)),
    golden,
  };
}

/** A fixture, or one that `train-networks.py` made, on the data of the fixture with the same images or text. */
export async function openNetwork(fixtures: string, name: string): Promise<Network> {
  const file = `${name}.onnx`;
  if (!existsSync(join(TRAINED, file))) return openFixture(fixtures, name);
  return {
    name,
    ...(await openModel(join(TRAINED, file), file)),
    ...(await openFixtureSamples(fixtures, name.endsWith('-text') ? 'llama-tiny' : 'cnn-fashion')),
    golden: null,
  };
}

async function openFixtureSamples(
  fixtures: string,
  name: string,
): Promise<Pick<Network, 'calibration' | 'evaluation'>> {
  const input = name === 'llama-tiny' ? 'input_ids' : 'input';
  const open = (use: string) =>
    openSamples(join(fixtures, name, `${use}_inputs.npy`), join(fixtures, name, `${use}_labels.npy`), input);
  return { calibration: await open('calibration'), evaluation: await open('eval') };
}

/** The network and the digits that come with the repository. */
export async function openExample(): Promise<Network> {
  const data = join(EXAMPLES, 'mnist');
  return {
    name: 'fc2-mnist',
    ...(await openModel(join(EXAMPLES, 'fc2-mnist.onnx'), 'fc2-mnist.onnx')),
    calibration: await openSamples(join(data, 'calibration_inputs.npy'), null, 'input'),
    evaluation: await openSamples(
      join(data, 'evaluation_inputs.npy'),
      join(data, 'evaluation_labels.npy'),
      'input',
    ),
    golden: null,
  };
}

/** Runs one job on the network: weights that are scored are those that the oracle scored. */
export async function pruneNetwork(network: Network, recipe: object): Promise<Measured> {
  const outputDirectory = await mkdtemp(join(tmpdir(), 'emp-reproduce-'));
  try {
    return await pruneInto(outputDirectory, network, recipe);
  } finally {
    await rm(outputDirectory, { recursive: true });
  }
}

/** Likewise, and leaves the artifacts in a folder that is there. */
export async function pruneInto(outputDirectory: string, network: Network, given: object): Promise<Measured> {
  const { model, identity, scores = null, calibration, evaluation, golden } = network;
  const recipe = recipeSchema.parse(given);
  const include = recipe.granularity === 'weight' && golden ? Object.keys(golden.prunable) : undefined;
  const input = {
    model,
    identity,
    scores,
    calibration,
    selection: null,
    evaluation,
    recipe: include ? { ...recipe, include } : recipe,
    outputDirectory,
    runtime: { providers: ['cpu' as const], threads: THREADS },
    // Of zeros in place nobody asks for it.
    isTimed: recipe.granularity !== 'weight',
  };
  await prune(input, { signal: new AbortController().signal, onProgress: () => {} });
  const report: Report = JSON.parse(await readFile(join(outputDirectory, 'report.json'), 'utf8'));
  if (report.evaluation === null) throw new Error(`${network.name}: nothing was evaluated`);
  return { ...report, evaluation: report.evaluation };
}

/** A model of one file, as a job takes it. */
export async function openModel(path: string, name: string): Promise<Pick<PruneInput, 'model' | 'identity'>> {
  await using source = await openFileSource(path);
  const sha256 = createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
  return {
    model: {
      directory: dirname(path),
      inventory: await readModelInventory(new Map([[name, source]])),
    },
    identity: { name, sha256, sizeBytes: source.byteLength },
  };
}

/** Arrays of one input, and of labels where there are any. */
export async function openSamples(inputs: string, labels: string | null, input: string): Promise<SampleSet> {
  const array = await openArray(inputs, input);
  return {
    nSamples: array.shape[0],
    inputs: [array],
    labels: labels === null ? null : await openArray(labels, 'labels'),
  };
}

async function openArray(path: string, name: string): Promise<ArrayFile> {
  await using source = await openFileSource(path);
  const { dtype, shape, dataOffset } = await readNpyHeader(source);
  return { name, dtype, shape, path, offset: dataOffset };
}
