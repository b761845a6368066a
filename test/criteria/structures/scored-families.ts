import type { CriterionContext } from '../../../src/criteria/context.ts';
import { structureScorer } from '../../../src/criteria/registry.ts';
import type { StructureCriterion } from '../../../src/recipe/criteria.ts';
import type { Family } from '../../../src/structure/families.ts';
import { StructuredModel } from '../../../src/structure/structured-model.ts';

/** The families of the ONNX model of a context. */
export async function familiesOf(context: CriterionContext): Promise<readonly Family[]> {
  await using model = await StructuredModel.open(context);
  return model.structures.families;
}

/** The scores of all families, or of those that `isMeant` names, by name. */
export async function scoreFamilies(
  criterion: StructureCriterion,
  context: CriterionContext,
  isMeant: (family: Family) => boolean = () => true,
): Promise<Map<string, Float64Array>> {
  const families = (await familiesOf(context)).filter(isMeant);
  const scores = await (await structureScorer(criterion))(families, context);
  return new Map(families.map(({ name }, i) => [name, scores[i]]));
}

/** The sum of the squares of the numbers for whose index `isMeant` holds, times `factor` of it. */
export function sumOfSquares(
  numbers: ArrayLike<number>,
  isMeant: (index: number) => boolean,
  factor: (index: number) => number = () => 1,
): number {
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) if (isMeant(i)) sum += factor(i) * numbers[i] ** 2;
  return sum;
}

/** What `scoreOf` says of each of `count` structures. */
export function each(count: number, scoreOf: (structure: number) => number): number[] {
  return Array.from({ length: count }, (_, structure) => scoreOf(structure));
}
