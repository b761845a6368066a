import { EmpError } from '../core/errors.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import type { RunContext } from '../jobs/child-program.ts';
import { readChildSettings } from '../jobs/child-settings.ts';
import { describeStructures } from '../structure/overview.ts';
import { StructuredModel } from '../structure/structured-model.ts';

/**
 * Finds what can be removed from a model, on one thread: graphs of tiny tensors.
 * @returns a `StructureOverview` as JSON, `outputBytes` at most
 * @throws EmpError limit_exceeded, and what analyses throw
 */
export async function findStructures(
  model: StoredModel,
  outputBytes: number,
  { signal }: Pick<RunContext<never>, 'signal'>,
): Promise<string> {
  const { providers, threads } = readChildSettings();
  await using structured = await StructuredModel.open({ model, runtime: { providers, threads }, signal });
  const overview = JSON.stringify(describeStructures(structured.structures, model.inventory));
  if (overview.length <= outputBytes) return overview;
  throw new EmpError('limit_exceeded', 'it has more families of structures than can be shown');
}
