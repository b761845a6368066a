import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SampleSet } from '../../formats/sample-set.ts';
import { Evaluator } from '../../runtime/evaluation.ts';
import { MASKS_FILE } from '../artifact-names.ts';
import { namingData } from '../data-errors.ts';
import type { Progress, StageClock } from '../progress.ts';
import { sampleWork } from '../sample-work.ts';
import type { TensorScores } from '../weights/decide.ts';
import { writeWeights } from '../weights/write.ts';
import { applyMasks } from './apply-masks.ts';
import type { CompareInput } from './compare-input.ts';
import type { ComparedEvaluation } from './comparison.ts';
import { type MaskedTensor, massKept, overlaps, type TensorMasks } from './mask-overlap.ts';
import { evaluationOf, type MeasuredMask, measureMask } from './measure-masks.ts';
import { keepInAll, keepInEach } from './same-size.ts';
import type { SizedTensor } from './sized-tensors.ts';

const CHOICES = { global: keepInAll, layer: keepInEach } as const;

interface ChoiceInput {
  readonly input: CompareInput;
  readonly sized: readonly SizedTensor[];
  /** Whether the pruned model differs from the original in more than what is zero. */
  readonly hasOwnValues: boolean;
  /** Of the sized tensors, by magnitude. */
  readonly scores: TensorScores;
  readonly samples: SampleSet | null;
  readonly scratchDirectory: string;
  readonly clock: StageClock;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export interface ChosenMasks {
  /** Of the tensors that kept their shape, by name. */
  readonly masks: ReadonlyMap<string, TensorMasks>;
  /** Null without samples. */
  readonly evaluation: ComparedEvaluation | null;
}

/** EMP's choices of the same size beside the pruned model's mask; with samples each is applied to the original and measured. */
export async function chooseMasks(given: ChoiceInput): Promise<ChosenMasks> {
  const { input, sized, scores, samples, scratchDirectory, signal } = given;
  const { original, pruned, outputDirectory } = input;
  await using evaluator = samples && (await openEvaluator(given, samples));
  const nKeep = sized.map((tensor) => tensor.nKeep);
  const n = sized.reduce((sum, tensor) => sum + tensor.n, 0);
  const sparsity = 1 - nKeep.reduce((sum, count) => sum + count, 0) / n;
  const places = sized.flatMap(({ mask }, place) => (mask ? [place] : []));
  const masked = places.map((place): MaskedTensor => {
    const { mask } = sized[place];
    if (mask === null) throw new TypeError('a tensor without a mask');
    const statistics = scores.summary.bySource[place];
    return { range: scores.ranges[place], statistics, mask, nKeep: nKeep[place] };
  });
  const choose = async (scope: keyof typeof CHOICES) => {
    const directory = join(scratchDirectory, scope);
    await mkdir(directory);
    const decision = await CHOICES[scope](scores, nKeep);
    const dryRun = evaluator === null;
    const written = await writeWeights({
      ...{ model: original.model, scores, decision, directory, dryRun, squares: false },
    });
    const own = places.map((place) => written[place]);
    const kept = await overlaps(masked, own, { pruned: outputDirectory, choice: directory });
    const { inventory } = original.model;
    const measured = evaluator && (await measureMask(evaluator, { directory, inventory }, sparsity));
    await rm(directory, { recursive: true });
    return { kept, measured };
  };
  const [global, layer] = [await choose('global'), await choose('layer')];
  const masks = new Map<string, TensorMasks>();
  for (const [i, tensor] of masked.entries()) {
    const mass = await massKept(tensor, outputDirectory, signal);
    masks.set(tensor.range.name, { tensor, mass, global: global.kept[i], layer: layer.kept[i] });
  }
  if (!evaluator || !global.measured || !layer.measured) return { masks, evaluation: null };
  const theirs = await measureMask(evaluator, pruned.model, sparsity);
  const prunedMask = await measurePrunedMask(given, evaluator, sparsity);
  const measured = { pruned: theirs, prunedMask, global: global.measured, layer: layer.measured };
  return { masks, evaluation: evaluationOf(evaluator, measured) };
}

async function openEvaluator(
  { input, scratchDirectory, clock, progress, signal }: ChoiceInput,
  samples: SampleSet,
): Promise<Evaluator> {
  clock.enter('evaluate');
  const { original, runtime } = input;
  const onSamples = (count: number) => progress.advance(count * sampleWork(samples));
  return await namingData('evaluation', () =>
    Evaluator.open({
      ...{ model: original.model, samples, scratchDirectory, runtime, signal, onSamples },
      wantsDrift: true,
    }),
  );
}

/** Where values were fitted anew, the mask alone; null where they were not, and where shapes changed, as there is none. */
async function measurePrunedMask(
  { input, sized, hasOwnValues, scratchDirectory }: ChoiceInput,
  evaluator: Evaluator,
  sparsity: number,
): Promise<MeasuredMask | null> {
  if (!hasOwnValues || sized.some(({ mask }) => mask === null)) return null;
  const { original, outputDirectory } = input;
  const directory = join(scratchDirectory, 'mask');
  await mkdir(directory);
  const placed = sized.flatMap(({ tensor, mask }) => (mask ? [{ tensor, ...mask }] : []));
  const model = await applyMasks(original.model, placed, join(outputDirectory, MASKS_FILE), directory);
  const measured = await measureMask(evaluator, model, sparsity);
  await rm(directory, { recursive: true });
  return measured;
}
