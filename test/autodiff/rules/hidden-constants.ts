import type { GradientRule, GradientRules } from '../../../src/autodiff/derivative.ts';

/** The rules of some operators, told of no constant: as where a model computes the numbers. */
export function withoutConstants(rules: GradientRules, operators: ReadonlySet<string>): GradientRules {
  return new Map(
    [...rules]
      .filter(([operator]) => operators.has(operator))
      .map(([operator, rule]): [string, GradientRule] => [
        operator,
        (at) => rule(Object.assign(at, { constant: () => null })),
      ]),
  );
}
