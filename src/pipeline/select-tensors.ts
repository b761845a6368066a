import { matchesGlob } from 'node:path';
import { EmpError } from '../core/errors.ts';
import type { ModelInventory, ModelTensor } from '../formats/model.ts';
import type { Recipe } from './recipe.ts';

/**
 * The tensors a recipe scores, in the file's order: the prunable ones, or those that `include` names (any float tensor may be named),
 * less those that `exclude` names.
 * @throws EmpError `no_prunable_tensors` where nothing is left, `invalid_request` where a glob of `include` matches nothing that could be pruned
 *   or scope `row` meets a tensor without rows
 */
export function selectTensors(
  inventory: ModelInventory,
  recipe: Pick<Recipe, 'include' | 'exclude' | 'scope'>,
): ModelTensor[] {
  const editable = inventory.tensors.filter(isEditable);
  const { include, exclude = [] } = recipe;
  include?.forEach((glob, i) => {
    if (editable.some(({ name }) => matches(name, glob))) return;
    throw new EmpError(
      'invalid_request',
      `include: ${JSON.stringify(glob)} matches no tensor that can be pruned`,
      [{ path: `/recipe/include/${i}`, message: notMatched(glob, inventory) }],
    );
  });
  const selected = editable.filter(
    ({ name, prunable }) =>
      (include ? include.some((glob) => matches(name, glob)) : prunable) &&
      !exclude.some((glob) => matches(name, glob)),
  );
  if (selected.length === 0) {
    throw new EmpError('no_prunable_tensors', 'no tensor of this model is selected for pruning', [
      {
        path: '/recipe',
        message: `the model has ${inventory.tensors.length} tensors, ${editable.length} of them float weights`,
      },
    ]);
  }
  const rowless = recipe.scope === 'row' ? selected.filter(({ rows }) => rows === null) : [];
  if (rowless.length > 0) {
    throw new EmpError(
      'invalid_request',
      'scope row needs rows, the weights feeding one output unit, and some selected tensors have none',
      rowless.map(({ name }) => ({
        path: '/recipe/scope',
        message: `${name} has no rows: exclude it or use scope layer`,
      })),
    );
  }
  return selected;
}

const EDITABLE_DTYPES = new Set(['float16', 'bfloat16', 'float32', 'float64']);

function isEditable(tensor: ModelTensor): boolean {
  return tensor.data !== null && EDITABLE_DTYPES.has(tensor.dtype) && tensor.shape.every((size) => size > 0);
}

/** Tensor names are not paths: `*` crosses dots, and a name's slashes are matched as they are written. */
function matches(name: string, glob: string): boolean {
  return name === glob || matchesGlob(name, glob);
}

function notMatched(glob: string, inventory: ModelInventory): string {
  const tensor = inventory.tensors.find(({ name }) => matches(name, glob));
  if (!tensor)
    return `matches no tensor; the model's inventory lists the names, such as ${inventory.tensors[0]?.name}`;
  return `${tensor.name} is ${tensor.dtype} ${JSON.stringify(tensor.shape)}: only float16, bfloat16, float32 and float64 tensors can be pruned`;
}
