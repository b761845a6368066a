import { json } from 'node:stream/consumers';
import { EmpError } from '../core/errors.ts';
import type { ModelInventory } from '../formats/model.ts';
import { describeStructures } from '../structure/overview.ts';
import { StructuredModel } from '../structure/structured-model.ts';
import { readChildSettings } from './child-settings.ts';
import type { AnalysisAnswer } from './structure-analyses.ts';

/**
 * Analyses the model whose files lie in the folder that is its argument and whose inventory comes by stdin, on one thread: graphs of tiny
 * tensors. Its answer goes to stdout.
 */
const [directory] = process.argv.slice(2);
process.stdout.write(JSON.stringify(await answer()));

async function answer(): Promise<AnalysisAnswer> {
  const inventory = (await json(process.stdin)) as ModelInventory;
  const { providers, threads } = readChildSettings();
  const { signal } = new AbortController();
  try {
    const runtime = { providers, threads };
    await using model = await StructuredModel.open({ model: { directory, inventory }, runtime, signal });
    return { structures: describeStructures(model.structures, inventory) };
  } catch (error) {
    if (!(error instanceof EmpError)) throw error;
    const { code, message, findings } = error;
    return { refusal: { code, message, findings } };
  }
}
