/** An equation of Einsum, `ij,jk->ik`: letters that name the axes of each operand, and those of the output where it says. */
export interface EinsumEquation {
  readonly terms: readonly string[];
  readonly output: string | undefined;
}

export function parseEinsum(equation: string): EinsumEquation {
  const [left, output] = equation.replaceAll(' ', '').split('->');
  return { terms: left.split(','), output };
}
