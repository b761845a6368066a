import { EmpError, type InputFinding } from '../../core/errors.ts';
import type { Recipe } from '../../recipe/recipe.ts';
import { GRANULARITY_NAMES } from '../../recipe/terms.ts';
import type { FrozenAxis, StructureKind } from '../../structure/families.ts';
import { NameMatcher } from '../name-pattern.ts';

const MAX_FINDINGS = 20;
const MAX_NAMED = 3;

/** A family as an analysis finds it, or as it is shown to clients. */
interface Selectable {
  readonly kind: StructureKind;
}

/** What selection asks of an axis that is frozen. */
type Frozen = Pick<FrozenAxis, 'tensor' | 'axis' | 'reason'> & {
  readonly node: string | null;
  readonly operator: string | null;
};

interface Selection<F> {
  readonly families: readonly F[];
  readonly frozen: readonly Frozen[];
}

/**
 * The families that a recipe prunes: those of its granularity, or of them those that `include` names by a weight that computes them, less those that `exclude` names.
 * @param producersOf the weights that compute a family
 * @throws EmpError `no_prunable_tensors` where nothing is left, saying what is frozen; `invalid_request` where a glob of `include` matches none, or globs take too long to match
 */
export function selectFamilies<F extends Selectable>(
  { families, frozen }: Selection<F>,
  { granularity, include, exclude = [] }: Pick<Recipe, 'granularity' | 'include' | 'exclude'>,
  producersOf: (family: F) => readonly string[],
): F[] {
  const candidates = families.filter(({ kind }) => kind === granularity);
  if (candidates.length === 0) {
    const others = GRANULARITY_NAMES.flatMap((other) => {
      const count = families.filter(({ kind }) => kind === other).length;
      return count > 0 ? [`${other} (${count} ${count === 1 ? 'family' : 'families'})`] : [];
    });
    const found =
      others.length > 0
        ? `it has ${others.join(' and ')}, or give granularity weight`
        : 'it has no other structures either, so give granularity weight';
    const hint =
      granularity === 'kan_node' ? ' (KAN nodes are known by tensors named like layers.0.spline_weight)' : '';
    throw nothingSelected(
      'granularity',
      `this model has no ${granularity} that can be removed; ${found}${hint}`,
      frozen,
    );
  }
  const matcher = new NameMatcher(candidates.flatMap(producersOf));
  const included = include && matcher.match('include', include);
  if (included && included.idle >= 0) {
    const names = candidates.slice(0, MAX_NAMED).map((family) => producersOf(family)[0]);
    const message = `matches no weight that computes a ${granularity}`;
    throw new EmpError('invalid_request', `include: ${JSON.stringify(include[included.idle])} ${message}`, [
      {
        path: `/recipe/include/${included.idle}`,
        message: `${message}; such weights are ${names.join(', ')}`,
      },
    ]);
  }
  const excluded = matcher.match('exclude', exclude).names;
  const selected = candidates.filter((family) => {
    const producers = producersOf(family);
    return (
      (!included || producers.some((name) => included.names.has(name))) &&
      !producers.some((name) => excluded.has(name))
    );
  });
  if (selected.length > 0) return selected;
  throw nothingSelected(
    'exclude',
    `exclude leaves no ${granularity} of this model; take a pattern out of it`,
    [],
  );
}

function nothingSelected(field: keyof Recipe, message: string, frozen: readonly Frozen[]): EmpError {
  const findings: InputFinding[] = [
    { path: `/recipe/${field}`, message },
    ...frozen.slice(0, MAX_FINDINGS).map(({ tensor, axis, operator, node, reason }) => ({
      path: tensor,
      message: `axis ${axis} ${reason}${node ? ` (${[operator, node].filter(Boolean).join(' ')})` : ''}`,
    })),
  ];
  return new EmpError('no_prunable_tensors', message, findings);
}
