import { parseEinsum } from '../../graph/einsum-equation.ts';
import type { LaneAxis } from '../lanes.ts';
import type { AnalysedNode, StructureRule, StructureRules } from '../structure-rule.ts';

/** Where an axis with a letter is. */
interface LetterPlace {
  readonly input: number;
  readonly axis: number;
}

/** Axes of one letter go together, but those of size 1; letters that the output lacks are summed over. */
const einsum: StructureRule = (at) => {
  const { terms: written, output: right } = parseEinsum(at.text('equation', ''));
  const terms = written.map((term, input) => lettersOf(term, at.sizes(input).length));
  const places = new Map<string, LetterPlace[]>();
  for (const [input, letters] of terms.entries()) {
    for (const [axis, letter] of letters.entries())
      places.set(letter, [...(places.get(letter) ?? []), { input, axis }]);
  }
  const output = right === undefined ? impliedOutput(places) : lettersOf(right, at.outputSizes().length);
  const axes = new Map<string, LaneAxis>();
  for (const [letter, found] of places) {
    const wide = found.filter(({ input, axis }) => at.sizes(input)[axis] !== 1);
    const own = wide.map(({ input, axis }) => at.axes(input)[axis]);
    for (const other of own.slice(1)) at.tie(own[0], other);
    axes.set(letter, own.includes(null) ? null : (own[0] ?? null));
    const [first] = wide;
    if (first && !output.includes(letter)) at.contract(first.input, first.axis);
  }
  if (terms.length === 2 && [0, 1].every((input) => at.facts.isActivation(at.inputName(input))))
    tagHeads(at, terms, output, axes);
  return [output.map((letter) => axes.get(letter) ?? null)];
};

/** Of a product of two activations, heads are what both have and the output too, and their width what is summed over or stands in the second alone. */
function tagHeads(
  at: AnalysedNode,
  [first, second]: readonly (readonly string[])[],
  output: readonly string[],
  axes: ReadonlyMap<string, LaneAxis>,
): void {
  const isHead = (letter: string) => first.includes(letter) && output.includes(letter);
  const axisOf = (letter: string) => axes.get(letter) ?? null;
  if (!second.some((letter) => isHead(letter) && axisOf(letter) !== null)) return;
  for (const letter of second) at.tag(axisOf(letter), isHead(letter) ? 'head' : 'head_width');
}

/** Of a term for a value of `rank` axes. Those of an ellipsis are numbered from its end. */
function lettersOf(term: string, rank: number): string[] {
  const [before, after] = term.split('...');
  if (after === undefined) return [...term];
  const count = rank - before.length - after.length;
  return [...before, ...Array.from({ length: count }, (_, i) => `${count - i}`), ...after];
}

/** The axes of an ellipsis, then what stands once, in the order of the alphabet. */
function impliedOutput(places: ReadonlyMap<string, readonly LetterPlace[]>): string[] {
  const letters = [...places.keys()];
  const ellipsis = letters.filter((letter) => /^\d/.test(letter));
  const single = letters.filter((letter) => !/^\d/.test(letter) && places.get(letter)?.length === 1);
  return [...ellipsis, ...single.sort()];
}

export const EINSUM_RULES: StructureRules = new Map([['Einsum', einsum]]);
