/**
 * Quantizes trained networks before and after they are pruned, in every form that onnxruntime's quantizer writes, and writes accuracies and sizes side by side into `docs/quantized.md`.
 * Its networks are the repository's own and, where they are there, those of the fixtures. Its Python is that of `npm run check:exports`.
 *
 *   npm run check:quantized [-- --cache path]
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { sharedFixtures } from '../test/shared.ts';
import { ensurePython } from './check-exports/python.ts';
import { run } from './python-environment.ts';
import {
  type Measured,
  type Network,
  openExample,
  openModel,
  openNetwork,
  pruneInto,
} from './reproduce/network.ts';
import { count, formatTable, percent } from './reproduce/table.ts';

const DOCUMENT = new URL('../docs/quantized.md', import.meta.url);
const QUANTIZER = fileURLToPath(new URL('./exports/quantize.py', import.meta.url));
const MARKS = ['<!-- written by npm run check:quantized -->\n', '\n<!-- end -->'] as const;
const FIXTURES = ['cnn-fashion', 'llama-tiny'];
const STATES = ['quantized', 'then pruned', 'pruned, then quantized'];
const RECIPE = { criterion: 'magnitude', scope: 'layer' };

/** A model on the evaluation data, and as it is sent. */
interface Figures {
  readonly accuracy: number | null;
  readonly compressedBytes: number;
}

interface PrunedFigures extends Figures {
  readonly sparsity: number;
}

interface Comparison {
  readonly network: string;
  readonly form: string;
  readonly quantized: Figures;
  readonly thenPruned: PrunedFigures;
  readonly prunedBefore: PrunedFigures;
}

const { values } = parseArgs({
  options: { cache: { type: 'string', default: join(tmpdir(), 'emp-exports') } },
});
const python = await ensurePython(values.cache);
const fixtures = sharedFixtures();
const networks = [
  await openExample(),
  ...(fixtures === null ? [] : await Promise.all(FIXTURES.map((name) => openNetwork(fixtures, name)))),
].map((network) => ({ ...network, golden: null }));
const folder = await mkdtemp(join(tmpdir(), 'emp-quantized-'));
await using cleanup = new AsyncDisposableStack();
cleanup.defer(() => rm(folder, { recursive: true }));

const comparisons: Comparison[] = [];
for (const network of networks) comparisons.push(...(await compare(network, join(folder, network.name))));
const text = await readFile(DOCUMENT, 'utf8');
const [from, to] = [text.indexOf(MARKS[0]) + MARKS[0].length, text.indexOf(MARKS[1])];
await writeFile(DOCUMENT, text.slice(0, from) + formatComparisons(comparisons) + text.slice(to));

async function compare(network: Network, place: string): Promise<Comparison[]> {
  const { directory, inventory } = network.model;
  const [file] = inventory.files;
  const [dense, pruned] = [await createFolder(place, 'dense'), await createFolder(place, 'pruned')];
  const work = await createFolder(place, 'work');
  const prunedBefore = await pruneInto(work, network, RECIPE);
  const calibration = network.calibration.inputs[0].path;
  await run(python, [QUANTIZER, join(directory, file), calibration, dense]);
  await run(python, [QUANTIZER, join(work, file), calibration, pruned]);
  const found: Comparison[] = [];
  for (const name of (await readdir(dense)).sort()) {
    const inPlace = await prunedForm(network, join(dense, name), await createFolder(work, name));
    const after = await prunedForm(network, join(pruned, name), await createFolder(work, `${name} again`));
    found.push({
      network: network.name,
      form: basename(name, '.onnx'),
      quantized: {
        accuracy: inPlace.evaluation.dense.accuracy,
        compressedBytes: await compressedBytes(join(dense, name)),
      },
      thenPruned: {
        accuracy: inPlace.evaluation.pruned.accuracy,
        sparsity: inPlace.total.sparsity,
        compressedBytes: await compressedBytes(join(work, name, name)),
      },
      prunedBefore: {
        accuracy: after.evaluation.dense.accuracy,
        sparsity: prunedBefore.total.sparsity,
        compressedBytes: await compressedBytes(join(pruned, name)),
      },
    });
  }
  return found;
}

/** What a job makes of another form of a network's model, with its artifacts in the folder. */
async function prunedForm(network: Network, path: string, target: string): Promise<Measured> {
  return await pruneInto(target, { ...network, ...(await openModel(path, basename(path))) }, RECIPE);
}

async function createFolder(...path: string[]): Promise<string> {
  await mkdir(join(...path), { recursive: true });
  return join(...path);
}

async function compressedBytes(path: string): Promise<number> {
  return gzipSync(await readFile(path)).byteLength;
}

function formatComparisons(comparisons: readonly Comparison[]): string {
  const [dense, ...pruned] = STATES;
  const columns = pruned.flatMap((state) => [`${state}: accuracy`, 'removed', 'kB']);
  const rows = comparisons.map(({ network, form, quantized, thenPruned, prunedBefore }) => [
    network,
    form,
    percent(quantized.accuracy),
    kilobytes(quantized),
    ...[thenPruned, prunedBefore].flatMap((figures) => [
      percent(figures.accuracy),
      percent(figures.sparsity),
      kilobytes(figures),
    ]),
  ]);
  return formatTable(['network', 'form', `${dense}: accuracy`, 'kB', ...columns], rows, 2);
}

function kilobytes({ compressedBytes }: Figures): string {
  return count(Math.round(compressedBytes / 1000));
}
