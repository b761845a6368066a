import { count, counted, ifKnown, listNames, number, percent } from '../../report/wording.ts';
import type { ComparedEvaluation, ComparedTensor, Comparison } from './comparison.ts';

type Facts = Omit<Comparison, 'schema_version' | 'original' | 'pruned' | 'verdict'>;

const TENSORS = { one: 'tensor', many: 'tensors' };
const WEIGHTS = { one: 'weight', many: 'weights' };
const CHOICES = {
  global: 'the largest magnitudes of all tensors together',
  layer: 'the largest magnitudes of each tensor',
};
type Choice = keyof typeof CHOICES;

/** What a comparison has found, in sentences, what changed first. */
export function verdictOf(facts: Facts): string[] {
  return [
    ...notFiniteSentences(facts),
    changeSentence(facts),
    ...otherSentences(facts),
    ...removalSentences(facts),
    ...restSentences(facts),
    ...maskSentences(facts),
  ].concat(facts.evaluation ? evaluationSentences(facts.evaluation, facts) : []);
}

const isUnlike = ({ change }: ComparedTensor) => change === 'not_compared';

/** Said first: no figure of such a model means much. */
function notFiniteSentences({ total: { not_finite }, tensors, evaluation }: Facts): string[] {
  const names = tensors.filter((tensor) => (tensor.not_finite ?? 0) > 0).map(({ name }) => name);
  const isOne = not_finite === 1;
  const weights =
    not_finite > 0
      ? [
          `The pruned model is broken: ${counted(not_finite, WEIGHTS)} ${isOne ? 'is' : 'are'} NaN or infinite, in ${listNames(names)}.`,
        ]
      : [];
  if (evaluation === null || !hasBrokenOutputs(evaluation)) return weights;
  const { pruned, original } = evaluation;
  const right = ifKnown(
    pruned.accuracy,
    (share) => ` Its accuracy is ${percent(share)}, the original's ${ifKnown(original.accuracy, percent)}.`,
  );
  return [
    ...weights,
    `On these samples the pruned model gives no finite numbers, so its loss is unknown.${right ?? ''}`,
  ];
}

/** Distances of outputs have no value where one is not finite; where the original gives nothing but zeros no model has any. */
function hasBrokenOutputs({ pruned, pruned_mask, global, layer }: ComparedEvaluation): boolean {
  const others = [pruned_mask, global, layer];
  return pruned.relative_l2 === null && others.some((other) => typeof other?.relative_l2 === 'number');
}

function changeSentence({ total, tensors, only_in_original, only_in_pruned }: Facts): string {
  const { n, n_keep, n_missing, sparsity, zeros_added, values_changed } = total;
  const isSame = tensors.every(({ change }) => change === 'unchanged');
  if (isSame && n_missing === 0)
    return only_in_original.length + only_in_pruned.length === 0
      ? 'No weight differs between the two models.'
      : 'No weight differs that both models have.';
  const missing = n_missing > 0 ? `, and ${count(n_missing)} are in tensors that it lacks` : '';
  const where = tensors.some(isUnlike) ? ', of those that could be compared' : '';
  const kept = `The pruned model keeps ${count(n_keep)} of ${counted(n, WEIGHTS)}, a sparsity of ${percent(sparsity)}; ${count(zeros_added)} became zero${where}${missing}.`;
  if (total.is_mask) return `${kept} What it keeps is unchanged: it is a mask.`;
  if (values_changed > 0)
    return `${kept} Of what it keeps ${counted(values_changed, WEIGHTS)} ${values_changed === 1 ? 'has another value: it was' : 'have other values: they were'} fitted anew.`;
  return kept;
}

/** Biases, norms and embeddings, which no choice is made among. */
function otherSentences({ tensors }: Facts): string[] {
  const others = tensors.filter(({ prunable, change }) => !prunable && change === 'refitted');
  if (others.length === 0) return [];
  const names = listNames(others.map(({ name }) => name));
  return [
    `Beside the weights that are pruned ${counted(others.length, TENSORS)} ${others.length === 1 ? 'has' : 'have'} other values: ${names}.`,
  ];
}

function removalSentences({ tensors }: Facts): string[] {
  const shrunk = tensors.filter(({ removed }) => removed !== null);
  if (shrunk.length === 0) return [];
  const shown = shrunk.map(
    ({ name, removed }) =>
      `${name} (${removed?.map(({ axis, from, to }) => `axis ${axis} from ${from} to ${to}`).join(', ')})`,
  );
  return [`Structures were removed from ${counted(shrunk.length, TENSORS)}: ${listNames(shown)}.`];
}

function restSentences({ tensors, only_in_original, only_in_pruned }: Facts): string[] {
  const unlike = tensors.filter(isUnlike);
  const whole = unlike.filter(({ prunable, n_keep }) => prunable && n_keep === null);
  const lists = [
    [only_in_original, 'missing in the pruned model'],
    [only_in_pruned, 'only in the pruned model'],
  ] as const;
  const moved = tensors.filter(({ matched_by }) => matched_by === 'content');
  const partners = moved.map(({ name, pruned_name }) => `${name} (${pruned_name} there)`);
  return [
    ...(moved.length > 0
      ? [
          `${counted(moved.length, TENSORS)} ${moved.length === 1 ? 'was' : 'were'} paired by their values, not their names: ${listNames(partners)}.`,
        ]
      : []),
    ...lists.flatMap(([names, where]) =>
      names.length > 0
        ? [
            `${counted(names.length, TENSORS)} ${names.length === 1 ? 'is' : 'are'} ${where}: ${listNames(names)}.`,
          ]
        : [],
    ),
    ...(unlike.length > 0
      ? [`${counted(unlike.length, TENSORS)} could not be compared: ${unlike[0].name} ${unlike[0].reason}.`]
      : []),
    ...(whole.length > 0
      ? [
          `The choices of that size leave ${counted(whole.length, TENSORS)} whole, whose zeros could not be counted.`,
        ]
      : []),
  ];
}

function maskSentences({ total: { masks } }: Facts): string[] {
  if (masks === null || masks.n_keep === masks.n) return [];
  const { preserved_mass, global, layer } = masks;
  const masses = ifKnown(preserved_mass, (mass) => {
    const own = ifKnown(global.preserved_mass, percent);
    return ` It preserves ${percent(mass)} of the magnitude, and that choice ${own}.`;
  });
  const shared = (share: number | null) => ifKnown(share, percent) ?? 'none';
  return [
    `Of what it keeps, ${CHOICES.global}, as many, have ${shared(global.shared)}, and ${CHOICES.layer} ${shared(layer.shared)}.${masses ?? ''}`,
  ];
}

/** The choices by magnitude that are the pruned model's own. What shrank has no mask to tell it by. */
function sameChoices({ tensors, total: { masks } }: Facts): Choice[] {
  if (tensors.some(({ removed }) => removed !== null)) return [];
  return (['global', 'layer'] as const).filter((name) => masks?.[name].jaccard === 1);
}

function evaluationSentences({ better, pruned_mask }: ComparedEvaluation, facts: Facts): string[] {
  const { n, n_keep } = facts.total;
  if (n_keep === n) return ['It keeps every weight, so there is no other choice of that size.'];
  const same = sameChoices(facts);
  const metric = better.metric === 'loss' ? 'loss' : 'squared distance to the original';
  const against = pruned_mask ? 'its mask on the values of the original' : 'the pruned model';
  if (better.global.difference === null && better.layer.difference === null)
    return [`Whether a choice of that size is better cannot be told: ${against} has no finite ${metric}.`];
  if (better.by === null) return [noBetterSentence(`a lower ${metric} than ${against}`, same)];
  const { difference, standard_error } = better[better.by];
  const lead = `${ifKnown(difference, number)} (standard error ${ifKnown(standard_error, number) ?? 'unknown'})`;
  const sure = better.beyond_error ? 'beyond its error' : 'within its error, so it may be chance';
  return [
    `A better choice of that size was found: ${CHOICES[better.by]}. Its ${metric} is lower than that of ${against} by ${lead}, ${sure}.`,
  ];
}

/** @param lower what no choice has */
function noBetterSentence(lower: string, [first, second]: readonly Choice[]): string {
  if (first === undefined)
    return `No better choice of that size was found: of the two by magnitude neither has ${lower}.`;
  const own = `What the pruned model keeps is the choice by magnitude itself: ${CHOICES[first]}`;
  if (second !== undefined)
    return `${own}, which are also ${CHOICES[second]}. There is no other choice of that size to hold it against.`;
  const other = CHOICES[first === 'global' ? 'layer' : 'global'];
  return `${own}. The other choice of that size, ${other}, does not have ${lower}.`;
}
