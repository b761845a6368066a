import { EmpError } from '../../core/errors.ts';
import { isEditable, type ModelInventory, type ModelTensor } from '../../formats/model.ts';
import type { Recipe } from '../../recipe/recipe.ts';
import { NameMatcher } from '../name-pattern.ts';
import { nothingSelected } from './nothing-selected.ts';
import { MAX_ROW_ELEMENTS, rowLength } from './passes/rows.ts';

/**
 * The tensors a recipe scores, in the file's order: the prunable ones, or those that `include` names (any tensor of floats, or quantized, may be named),
 * less those that `exclude` names.
 * @throws EmpError `no_prunable_tensors` where nothing is left, `invalid_request` where a glob of `include` matches nothing that could be pruned,
 *   globs take too long to match, two selected tensors share bytes, or scope `row` meets a tensor without rows
 */
export function selectTensors(
  inventory: ModelInventory,
  recipe: Pick<Recipe, 'include' | 'exclude' | 'scope'>,
): ModelTensor[] {
  const editable = inventory.tensors.filter(isEditable);
  const { include, exclude = [] } = recipe;
  const matcher = new NameMatcher(editable.map(({ name }) => name));
  const included = include && matcher.match('include', include);
  if (included && included.idle >= 0) {
    const glob = include[included.idle];
    throw new EmpError(
      'invalid_request',
      `include: ${JSON.stringify(glob)} matches no tensor that can be pruned`,
      [{ path: `/recipe/include/${included.idle}`, message: notMatched(glob, inventory) }],
    );
  }
  const excluded = matcher.match('exclude', exclude).names;
  const selected = editable.filter(
    ({ name, prunable }) => (included ? included.names.has(name) : prunable) && !excluded.has(name),
  );
  if (selected.length === 0) throw nothingSelected(inventory, recipe);
  refuseShared(selected);
  if (recipe.scope === 'row') refuseRowless(selected);
  return selected;
}

/** Whether a recipe scores a tensor, or leaves it out by its own words. */
export function isReached(
  selected: readonly ModelTensor[],
  inventory: ModelInventory,
  { include, exclude = [] }: Pick<Recipe, 'include' | 'exclude'>,
): (tensor: ModelTensor) => boolean {
  const scored = new Set(selected.map(({ name }) => name));
  const editable = inventory.tensors.filter(isEditable).map(({ name }) => name);
  const leftOut = include ? new Set(editable) : new NameMatcher(editable).match('exclude', exclude).names;
  return ({ name }) => scored.has(name) || leftOut.has(name);
}

/** The weights that a recipe may change: of structures, any. Throws as `selectTensors`. */
export function prunedWeights(inventory: ModelInventory, recipe: Recipe): ModelTensor[] {
  if (recipe.granularity === 'weight') return selectTensors(inventory, recipe);
  return inventory.tensors.filter(({ role }) => role === 'weight');
}

/** Tensors kept in the same bytes, which only `include` can bring together, have no mask each. */
function refuseShared(tensors: readonly ModelTensor[]): void {
  const runs = tensors
    .flatMap(({ name, data }) => (data?.runs ?? []).map((run) => ({ name, ...run })))
    .sort((a, b) => (a.file === b.file ? a.offset - b.offset : a.file < b.file ? -1 : 1));
  for (const [i, run] of runs.slice(1).entries()) {
    const before = runs[i];
    if (run.file !== before.file || run.offset >= before.offset + before.byteLength) continue;
    throw new EmpError(
      'invalid_request',
      `${before.name} and ${run.name} share bytes of ${run.file}: exclude one of them`,
      [{ path: '/recipe/include', message: `exclude ${before.name} or ${run.name}` }],
    );
  }
}

function refuseRowless(tensors: readonly ModelTensor[]): void {
  const findings = tensors.flatMap(({ name, rows }) => {
    if (rows !== null && rowLength(rows) <= MAX_ROW_ELEMENTS) return [];
    const problem = rows === null ? 'has no rows' : `has rows of more than ${MAX_ROW_ELEMENTS} weights`;
    return [{ path: '/recipe/scope', message: `${name} ${problem}: exclude it or use scope layer` }];
  });
  if (findings.length === 0) return;
  throw new EmpError(
    'invalid_request',
    'scope row needs rows, the weights feeding one output unit, and some selected tensors have none that can be used',
    findings,
  );
}

function notMatched(glob: string, inventory: ModelInventory): string {
  const { names } = new NameMatcher(inventory.tensors.map(({ name }) => name)).match('include', [glob]);
  const tensor = inventory.tensors.find(({ name }) => names.has(name));
  if (!tensor)
    return `matches no tensor; the model's inventory lists the names, such as ${inventory.tensors[0]?.name}`;
  return `${tensor.name} is ${tensor.dtype} ${JSON.stringify(tensor.shape)}: only float16, bfloat16, float32 and float64 tensors can be pruned, and integers with stored scales and zero points (of int4 in int32_data only zero points of 0)`;
}
