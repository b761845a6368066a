import { parseEinsum } from '../../graph/einsum-equation.ts';
import type { Size } from '../../graph/value-facts.ts';
import { type GradientNode, type GradientRule, type GradientRules, Undifferentiable } from '../derivative.ts';

/** The operand changes places with the output; labels that only it has were summed over, so the gradient is the same along them. */
const einsum: GradientRule = (at) => {
  const { terms, output } = equationOf(at);
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

const ELLIPSIS = '...';
const LETTERS = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'];

/** A letter for each axis, in the place of an ellipsis too. Without an arrow the output has those of the ellipsis, and then, in the order of the alphabet, the labels that occur once. */
function equationOf(at: GradientNode): { readonly terms: readonly string[]; readonly output: string } {
  const equation = at.text('equation', '');
  const { terms: written, output } = parseEinsum(equation);
  const hidden = written.map((term, index) =>
    term.includes(ELLIPSIS) ? at.rank(at.input(index)) - (term.length - ELLIPSIS.length) : 0,
  );
  const unused = LETTERS.filter((letter) => !equation.includes(letter)).slice(0, Math.max(...hidden));
  const spell = (text: string, count: number) =>
    text.replace(ELLIPSIS, unused.slice(unused.length - count).join(''));
  const terms = written.map((term, index) => spell(term, hidden[index]));
  if (terms.some((term) => new Set(term).size !== term.length)) {
    throw new Undifferentiable(`equation "${equation}" repeats a label within a term`);
  }
  const labels = [...written.join('')].filter((label) => label !== '.');
  const once = labels.filter((label) => labels.indexOf(label) === labels.lastIndexOf(label));
  return { terms, output: spell(output ?? `${ELLIPSIS}${once.sort().join('')}`, unused.length) };
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
