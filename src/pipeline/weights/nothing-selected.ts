import { EmpError, type InputFinding } from '../../core/errors.ts';
import { isEditable, type ModelInventory, type ModelTensor } from '../../formats/model.ts';
import type { Recipe } from '../../recipe/recipe.ts';

const MAX_SHOWN = 3;
/** Of a name that are looked at for a pattern. */
const MAX_PARTS = 4;

/** By which tensors are selected where a recipe says nothing. */
const RULES = {
  onnx: 'a weight is what a MatMul, Gemm, Conv or another layer of the graph multiplies by',
  safetensors:
    'a weight has two dimensions or more and a name that ends in .weight, as Linear and Conv layers have, and is of no embedding or normalization',
} as const;

/**
 * Why no tensor is selected: what the recipe leaves out, or which rule none fits, with names, and an `include` that would take them.
 */
export function nothingSelected(
  { format, tensors }: ModelInventory,
  { include, exclude = [] }: Pick<Recipe, 'include' | 'exclude'>,
): EmpError {
  const refuse = (message: string, ...findings: InputFinding[]) =>
    new EmpError('no_prunable_tensors', `no weight of this model is selected: ${message}`, findings);
  const editable = tensors.filter(isEditable);
  const prunable = editable.filter((tensor) => tensor.prunable);
  if (exclude.length > 0 && (include || prunable.length > 0)) {
    const message = `exclude leaves none of the ${include ? 'tensors that include names' : `${prunable.length} prunable tensors`}`;
    return refuse(`${message}; take a pattern out of it`, { path: '/recipe/exclude', message });
  }
  if (editable.length === 0) {
    const dtypes = [...new Set(tensors.map(({ dtype }) => dtype))].join(', ');
    const found =
      tensors.length === 0 ? 'it has no tensors at all' : `its ${tensors.length} tensors are ${dtypes}`;
    return refuse(
      `${found}, and only floats and integers with stored scales can be set to zero; send the model in float32 or float16`,
      { path: '/recipe', message: found },
    );
  }
  const wide = editable.filter(({ shape }) => shape.length >= 2);
  if (wide.length === 0) {
    const message = `none of its ${editable.length} float tensors has two dimensions: ${shownOf(editable)} are biases or scales`;
    return refuse(message, {
      path: '/recipe/include',
      message: `${message}; name those that are to be pruned all the same`,
    });
  }
  const suggestion = JSON.stringify(
    patternsFor(
      wide,
      editable.filter(({ shape }) => shape.length < 2),
    ),
  );
  const message = `${RULES[format]}, and none of its ${wide.length} float tensors of two dimensions or more does so: ${shownOf(wide)}`;
  return refuse(`${message}; give "include": ${suggestion} to prune them`, {
    path: '/recipe/include',
    message: `would take them as ${suggestion}`,
  });
}

function shownOf(tensors: readonly ModelTensor[]): string {
  const names = tensors.slice(0, MAX_SHOWN).map(({ name }) => name);
  return `${names.join(', ')}${tensors.length > MAX_SHOWN ? ', ...' : ''}`;
}

/** Patterns that match these tensors alone, by the last parts of their names: those of most tensors first. */
function patternsFor(tensors: readonly ModelTensor[], others: readonly ModelTensor[]): string[] {
  const taken = new Set(others.flatMap(({ name }) => endsOf(name)));
  const counts = new Map<string, number>();
  for (const { name } of tensors) {
    const end = endsOf(name).find((each) => !taken.has(each) && !/[*?]/.test(each));
    const pattern = end === undefined ? name : `*${end}`;
    counts.set(pattern, (counts.get(pattern) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  return sorted.slice(0, MAX_SHOWN).map(([pattern]) => pattern);
}

/** The ends of a name from its dots and slashes on, the shortest first. */
function endsOf(name: string): string[] {
  return [...name.matchAll(/[./]/g)]
    .map(({ index }) => name.slice(index))
    .reverse()
    .slice(0, MAX_PARTS);
}
