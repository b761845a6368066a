import { EmpError } from '../core/errors.ts';
import type { RunContext } from '../jobs/child-program.ts';
import { readChildSettings } from '../jobs/child-settings.ts';
import { describeStructures, type StructureOverview } from '../structure/overview.ts';
import { StructuredModel } from '../structure/structured-model.ts';
import type { AnalysisTasks } from './analysis-tasks.ts';

/** Finds what can be removed from a model, on one thread: graphs of tiny tensors. */
export async function findStructures(
  { model, outputBytes }: AnalysisTasks['structures']['ask'],
  { signal }: RunContext<never>,
): Promise<StructureOverview> {
  const { providers, threads } = readChildSettings();
  await using structured = await StructuredModel.open({ model, runtime: { providers, threads }, signal });
  const overview = describeStructures(structured.structures, model.inventory);
  if (JSON.stringify(overview).length <= outputBytes) return overview;
  throw new EmpError('limit_exceeded', 'it has more families of structures than can be shown');
}
