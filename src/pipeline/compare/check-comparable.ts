import { EmpError, type InputFinding, ofInput } from '../../core/errors.ts';
import type { ModelInventory } from '../../formats/model.ts';
import type { GivenSamples, SampleSet } from '../../formats/sample-set.ts';
import type { StoredModel } from '../../formats/stored-model.ts';
import { refuseBfloat16 } from '../../graph/bfloat16.ts';
import { modelInputs, modelOutputs, type OnnxInput, readStoredGraph } from '../../graph/interface.ts';
import { checkSamples, refuseUncountedLabels } from '../../runtime/check-samples.ts';
import { type Matched, matchTensors, type TensorPair } from './match-tensors.ts';
import { formOf, type PairForm, shown } from './pair-form.ts';

/** More tell nobody more. */
const MAX_FINDINGS = 20;
const MAX_SHOWN = 3;

/** A pair, and how it can be compared. */
export interface FormedPair extends TensorPair {
  readonly form: PairForm;
}

export interface Comparable extends Matched {
  readonly pairs: readonly FormedPair[];
  /** As the original takes them; null without any. */
  readonly samples: SampleSet | null;
}

/**
 * What two models have in common, before anything is read of their weights.
 * @throws EmpError invalid_request where no prunable tensor of the original is in both in a form that can be compared, or inputs and outputs differ that samples go through; unsupported_model for what
 *   cannot be run, and as `checkSamples`
 */
export async function checkComparable(
  original: StoredModel,
  pruned: StoredModel,
  evaluation: GivenSamples | null,
): Promise<Comparable> {
  const matched = await matchTensors(original, pruned);
  const pairs = matched.pairs.map((pair) => ({ ...pair, form: formOf(pair) }));
  const weights = pairs.filter(({ original: { prunable } }) => prunable);
  if (weights.length === 0) throw unrelated(original.inventory, pruned.inventory);
  if (weights.every(({ form }) => form.kind === 'unlike')) throw incomparable(weights);
  const samples = evaluation && (await checkRunnable(original, pruned, evaluation));
  return { ...matched, pairs, samples };
}

function unrelated(original: ModelInventory, pruned: ModelInventory): EmpError {
  const named = ({ tensors }: ModelInventory) => {
    const weights = tensors.filter(({ prunable }) => prunable);
    const names = weights.slice(0, MAX_SHOWN).map(shown).join(', ');
    return weights.length === 0 ? 'none' : `${names}${weights.length > MAX_SHOWN ? ', ...' : ''}`;
  };
  const message = `no weight of the original is in the pruned model under its name, or read at its place: the original has ${named(original)}, the pruned model ${named(pruned)}; send the model that this one was pruned from`;
  return new EmpError('invalid_request', `the models have nothing in common: ${message}`, [
    ofInput('pruned', message),
  ]);
}

function incomparable(weights: readonly FormedPair[]): EmpError {
  const findings = weights
    .slice(0, MAX_FINDINGS)
    .flatMap(({ original: { name }, form }): InputFinding[] =>
      form.kind === 'unlike' ? [{ path: name, message: form.reason }] : [],
    );
  const [first] = findings;
  return new EmpError(
    'invalid_request',
    `none of the ${weights.length} weights that both models have can be compared: ${first?.path} ${first?.message}`,
    findings,
  );
}

async function checkRunnable(
  original: StoredModel,
  pruned: StoredModel,
  evaluation: GivenSamples,
): Promise<SampleSet> {
  for (const [model, input] of [
    [original, 'model'],
    [pruned, 'pruned'],
  ] as const) {
    if (model.inventory.format === 'onnx') continue;
    const message = `a ${model.inventory.format} file has no graph that evaluation data could go through: send ONNX exports, or leave the data out`;
    throw new EmpError(
      'unsupported_model',
      `the ${input === 'model' ? 'original' : 'pruned'} model: ${message}`,
      [ofInput(input, message)],
    );
  }
  const [before, after] = [await readStoredGraph(original), await readStoredGraph(pruned)];
  refuseBfloat16(before);
  refuseBfloat16(after);
  const expected = modelInputs(before);
  const given = modelInputs(after);
  refuseOthers('inputs', expected, given);
  refuseOtherTypes(expected, given);
  refuseOthers('outputs', modelOutputs(before), modelOutputs(after));
  const samples = checkSamples(evaluation, expected, 'evaluation');
  refuseUncountedLabels(samples, expected, modelOutputs(before), 'evaluation');
  return samples;
}

/** Samples are of one type, and go through both models. */
function refuseOtherTypes(before: readonly OnnxInput[], after: readonly OnnxInput[]): void {
  const types = new Map(before.map(({ name, dtype }) => [name, dtype]));
  for (const { name, dtype } of after) {
    const expected = types.get(name) ?? null;
    if (dtype === null || expected === null || dtype === expected) continue;
    const message = `takes the input ${JSON.stringify(name)} as ${dtype}, and the original as ${expected}: the same samples cannot go through both; export it with ${expected} inputs (converters to 16 bits keep them with keep_io_types=True), or leave the data out`;
    throw new EmpError('invalid_request', `the pruned model ${message}`, [ofInput('pruned', message)]);
  }
}

function refuseOthers(
  what: 'inputs' | 'outputs',
  before: readonly { readonly name: string }[],
  after: readonly { readonly name: string }[],
): void {
  const names = (all: typeof before) =>
    all
      .map(({ name }) => JSON.stringify(name))
      .sort()
      .join(', ');
  if (names(before) === names(after)) return;
  const message = `has the ${what} ${names(after)}, and the original ${names(before)}: the same samples cannot go through both`;
  throw new EmpError('invalid_request', `the pruned model ${message}`, [ofInput('pruned', message)]);
}
