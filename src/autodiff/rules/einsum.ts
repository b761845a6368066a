import { parseEinsum } from '../../graph/einsum-equation.ts';
import type { Size } from '../../graph/value-facts.ts';
import { type GradientNode, type GradientRule, type GradientRules, Undifferentiable } from '../derivative.ts';

/** The operand changes places with the output; labels that only it has were summed over, so the gradient is the same along them. */
const einsum: GradientRule = (at) => {
  const { terms, output } = parseEquation(at.text('equation', ''));
  refuseStretchedLabels(at, terms);
  return terms.map((term, index) => {
    if (!at.needs(index)) return null;
    const others = terms.toSpliced(index, 1);
    const known = output + others.join('');
    const reached = [...term].filter((label) => known.includes(label)).join('');
    const operands = others.map((_, other) => at.input(other < index ? other : other + 1));
    const gradient = at.op('Einsum', [at.gradient(), ...operands], {
      equation: `${[output, ...others].join(',')}->${reached}`,
    });
    const missing = [...term].flatMap((label, axis) => (reached.includes(label) ? [] : [axis]));
    if (missing.length === 0) return gradient;
    return at.expandLike(at.unsqueeze(gradient, missing), at.input(index));
  });
};

/** Without an arrow the output has, in the order of the alphabet, the labels that occur once. */
function parseEquation(equation: string): { readonly terms: readonly string[]; readonly output: string } {
  const { terms, output } = parseEinsum(equation);
  if (equation.includes('.')) throw new Undifferentiable(`equation "${equation}" has an ellipsis`);
  if (terms.some((term) => new Set(term).size !== term.length)) {
    throw new Undifferentiable(`equation "${equation}" repeats a label within a term`);
  }
  const labels = [...terms.join('')];
  const once = labels.filter((label) => labels.indexOf(label) === labels.lastIndexOf(label));
  return { terms, output: output ?? once.sort().join('') };
}

/** A label of size 1 in one operand and of another size in the next is stretched by onnxruntime; no rule for that. */
function refuseStretchedLabels(at: GradientNode, terms: readonly string[]): void {
  const sizes = new Map<string, Size>();
  for (const [index, term] of terms.entries()) {
    for (const [axis, size] of (at.shape(at.input(index)) ?? []).entries()) {
      if (size === null) continue;
      const known = sizes.get(term[axis]) ?? size;
      if (known !== size) throw new Undifferentiable(`label "${term[axis]}" has sizes ${known} and ${size}`);
      sizes.set(term[axis], size);
    }
  }
}

export const EINSUM_RULES: GradientRules = new Map([['Einsum', einsum]]);
