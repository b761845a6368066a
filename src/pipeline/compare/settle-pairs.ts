import type { ModelTensor } from '../../formats/model.ts';
import type { Comparable, FormedPair } from './check-comparable.ts';
import { formOf } from './pair-form.ts';
import type { ComparedModels } from './tensor-difference.ts';
import { fitOf, otherOrders, sampleWeights, type WeightSample } from './value-fit.ts';

/** A pair of one shape whose values have nothing in common, or a tensor of the original without a partner. */
interface Seeker {
  readonly original: ModelTensor;
  readonly pair: FormedPair | null;
}

/**
 * Holds the values of pairs of one shape against each other, by some of them. Where they have nothing in common a name has moved to another tensor, or axes were exchanged that are of one size. A tensor whose
 * values are found elsewhere unchanged is paired with them; one that only resembles others, or itself with its axes in another order, cannot be compared.
 */
export async function settlePairs(comparable: Comparable, models: ComparedModels): Promise<Comparable> {
  const samples = new Map<string, WeightSample>();
  const strange = new Set<FormedPair>();
  for (const pair of comparable.pairs) {
    if (pair.form.kind !== 'same') continue;
    const sample = await sampleWeights(pair.pruned, models);
    if (!(await fitOf(sample, pair.original, models)).isStrange) continue;
    strange.add(pair);
    samples.set(pair.pruned.name, sample);
  }
  for (const tensor of comparable.onlyInOriginal.length + strange.size > 0 ? comparable.onlyInPruned : [])
    if (formOf({ original: tensor, pruned: tensor }).kind === 'same')
      samples.set(tensor.name, await sampleWeights(tensor, models));
  const seekers: Seeker[] = [
    ...[...strange].map((pair) => ({ original: pair.original, pair })),
    ...comparable.onlyInOriginal.map((original) => ({ original, pair: null })),
  ];
  const found = await exactPartners(seekers, samples, models);
  return await rearranged(comparable, strange, found, samples, models);
}

/** By name in the original, what has its values in the pruned model; no tensor twice. */
async function exactPartners(
  seekers: readonly Seeker[],
  samples: ReadonlyMap<string, WeightSample>,
  models: ComparedModels,
): Promise<Map<string, ModelTensor>> {
  const free = new Map(samples);
  const found = new Map<string, ModelTensor>();
  for (const { original } of seekers)
    for (const sample of free.values()) {
      if (formOf({ original, pruned: sample.tensor }).kind !== 'same') continue;
      if (!(await fitOf(sample, original, models)).isExact) continue;
      found.set(original.name, sample.tensor);
      free.delete(sample.tensor.name);
      break;
    }
  return found;
}

async function rearranged(
  comparable: Comparable,
  strange: ReadonlySet<FormedPair>,
  found: ReadonlyMap<string, ModelTensor>,
  samples: ReadonlyMap<string, WeightSample>,
  models: ComparedModels,
): Promise<Comparable> {
  const taken = new Set([...found.values()].map(({ name }) => name));
  const pairs: FormedPair[] = [];
  const lost: ModelTensor[] = [];
  const byContent = (original: ModelTensor, pruned: ModelTensor): FormedPair => ({
    ...{ original, pruned, matchedBy: 'content', form: { kind: 'same' } },
  });
  for (const pair of comparable.pairs) {
    const { original, pruned } = pair;
    const partner = found.get(original.name);
    if (partner) pairs.push(byContent(original, partner));
    else if (taken.has(pruned.name)) lost.push(original);
    else if (strange.has(pair)) pairs.push(await judged(pair, samples, models));
    else pairs.push(pair);
  }
  for (const original of comparable.onlyInOriginal) {
    const partner = found.get(original.name);
    if (partner) pairs.push(byContent(original, partner));
    else lost.push(original);
  }
  const paired = new Set(pairs.map(({ pruned }) => pruned.name));
  const others = [...comparable.pairs.map(({ pruned }) => pruned), ...comparable.onlyInPruned];
  const onlyInPruned = others.filter(({ name }) => !paired.has(name));
  const order = new Map(models.original.inventory.tensors.map(({ name }, place) => [name, place]));
  const placeOf = ({ original: { name } }: FormedPair) => order.get(name) ?? 0;
  pairs.sort((one, other) => placeOf(one) - placeOf(other));
  return { ...comparable, pairs, onlyInOriginal: lost, onlyInPruned };
}

/** The pair as it is, where nothing else goes with the original's values either: they were learned anew. */
async function judged(
  pair: FormedPair,
  samples: ReadonlyMap<string, WeightSample>,
  models: ComparedModels,
): Promise<FormedPair> {
  const { original, pruned } = pair;
  const unlike = (reason: string) => ({
    ...pair,
    form: { kind: 'unlike', reason, isCounted: true } as const,
  });
  for (const sample of samples.values()) {
    const isOwn = sample.tensor.name === pruned.name;
    if (formOf({ original, pruned: sample.tensor }).kind !== 'same') continue;
    if (!isOwn && (await fitOf(sample, original, models)).isAlike)
      return unlike(
        `has nothing in common with ${pruned.name} of the pruned model, but its values resemble those of ${sample.tensor.name} there: give every tensor the name that it has in the original`,
      );
    for (const order of isOwn ? otherOrders(original) : []) {
      const fit = await fitOf(sample, original, models, order);
      if (fit.isExact || fit.isAlike)
        return unlike(
          `lies in another layout: its values are found where axes of one size are exchanged, in the order [${order.join(', ')}]; export both models in the same way`,
        );
    }
  }
  return pair;
}
