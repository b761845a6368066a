import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFileSource } from '../src/formats/file-source.ts';
import { readModelInventory } from '../src/graph/inventory.ts';
import { prune } from '../src/pipeline/prune.ts';
import { recipeSchema } from '../src/recipe/recipe.ts';
import { Evaluator } from '../src/runtime/evaluation.ts';
import type { RuntimeSettings } from '../src/runtime/session.ts';
import { writeMlp } from '../test/models/small-mlp.ts';
import { formatMilliseconds, formatRatio, formatTable, measureInterleaved, time } from './measure.ts';

/** The paper's FC5. */
const LAYERS = [784, 1000, 600, 300, 100, 10];
const SAMPLES = 2000;
const BETAS = [0.5, 0.75, 1, 1.25, 1.5, 2];
const ROUNDS = 7;
const RUNTIME: RuntimeSettings = { providers: ['cpu'], threads: 2 };

/** What a sweep of six betas costs, against pruning once with evaluation and against plain evaluations. */
export async function benchEvaluation(): Promise<string> {
  await using mlp = await writeMlp(LAYERS, SAMPLES);
  await using source = await openFileSource(mlp.path);
  const inventory = await readModelInventory(new Map([['mlp.onnx', source]]));
  const model = { directory: mlp.directory, inventory };
  const identity = { name: 'mlp.onnx', sha256: '', sizeBytes: source.byteLength };
  const context = { signal: new AbortController().signal, onProgress: () => {} };
  const job = async (recipe: object, withData: boolean) => {
    const outputDirectory = await mkdtemp(join(tmpdir(), 'emp-bench-'));
    const data = withData ? mlp.samples : null;
    const input = {
      model,
      identity,
      scores: null,
      calibration: null,
      selection: null,
      evaluation: data,
      recipe: recipeSchema.parse(recipe),
      outputDirectory,
      runtime: RUNTIME,
    };
    const elapsed = await time(() => prune(input, context));
    await rm(outputDirectory, { recursive: true });
    return elapsed;
  };
  const evaluateDense = () =>
    time(async () => {
      await using _ = await Evaluator.open({
        ...context,
        model,
        samples: mlp.samples,
        scratchDirectory: mlp.directory,
        runtime: RUNTIME,
        onSamples() {},
      });
    });
  const medians = await measureInterleaved(
    [
      { name: 'prune', measure: () => job({}, false) },
      { name: 'prune and evaluate', measure: () => job({}, true) },
      { name: 'one evaluation', measure: evaluateDense },
      { name: 'sweep of six', measure: () => job({ sweep_betas: BETAS }, true) },
      { name: 'target', measure: () => job({ target: { max_loss_increase: 0.01 } }, true) },
    ],
    ROUNDS,
    2,
  );
  const of = (name: string) => medians.get(name) ?? Number.NaN;
  const yardstick = of('prune and evaluate') + 5 * of('one evaluation');
  const rows = [...medians].map(([name, ms]) => [
    name,
    formatMilliseconds(ms),
    name === 'sweep of six' ? `**${formatRatio(ms / yardstick)}**` : formatRatio(ms / yardstick),
  ]);
  return [
    `An MLP of ${LAYERS.join('-')} with ${SAMPLES.toLocaleString('en-US')} samples, magnitude, scope global, in a warm process with ${RUNTIME.threads} threads; medians of ${ROUNDS} rounds.`,
    '"prune and evaluate" measures dense, pruned and uniform model and their latency; "one evaluation" opens a model and runs it over the data.',
    'The yardstick is one pruning with evaluation plus five evaluations; a sweep of six is to cost less than twice that.',
    '',
    formatTable(['', 'milliseconds', 'ratio to the yardstick'], rows),
  ].join('\n');
}
