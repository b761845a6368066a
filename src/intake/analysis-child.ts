import { EmpError } from '../core/errors.ts';
import type { ModelInventory } from '../formats/model.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import { serveParent } from '../jobs/child-program.ts';
import { readChildSettings } from '../jobs/child-settings.ts';
import { FolderStore } from '../storage/folder-store.ts';
import type { Store } from '../storage/store.ts';
import type { AnalysisAnswer, AnalysisRequest } from './analysis-tasks.ts';

const { storeRoot } = readChildSettings();

/** The API's child process: looks into uploaded models, which that process never does. */
serveParent<AnalysisRequest, AnalysisAnswer>(
  async (request, context) => {
    const store = FolderStore.ofParent(storeRoot, request.tenant);
    switch (request.task) {
      case 'read': {
        const { readUploadedModel } = await import('./read-model.ts');
        return readUploadedModel(request.ask);
      }
      case 'count': {
        const { countUploadedModel } = await import('./count-upload.ts');
        return await countUploadedModel(request.ask.upload, context.signal);
      }
      case 'scores': {
        const { readUploadedScores } = await import('./read-scores.ts');
        return readUploadedScores(request.ask);
      }
      case 'samples': {
        const { readUploadedSamples } = await import('./read-samples.ts');
        return readUploadedSamples(request.ask);
      }
      case 'plan': {
        const { planJob } = await import('./plan-job.ts');
        const { readJobInputs } = await import('./job-inputs.ts');
        const { readStructures } = await import('./stored-analyses.ts');
        const { recipe, inputs, finder } = request.ask;
        const isOfWeights = recipe.granularity === 'weight';
        const structures = isOfWeights ? null : await readStructures(store, inputs.model.id, finder);
        await using read = await readJobInputs(store, inputs);
        return await planJob(recipe, read, structures);
      }
      case 'lines': {
        const { planLines } = await import('./plan-lines.ts');
        const { readJobInputs } = await import('./job-inputs.ts');
        const { readStructures } = await import('./stored-analyses.ts');
        const { recipes, inputs, finder } = request.ask;
        const structures = await readStructures(store, inputs.model.id, finder);
        await using read = await readJobInputs(store, inputs);
        return await planLines(recipes, read, structures);
      }
      case 'comparison': {
        const { planComparison } = await import('./plan-comparison.ts');
        return await planComparison(store, request.ask);
      }
      case 'structures': {
        const { findStructures } = await import('./find-structures.ts');
        await using files = await checkOutModel(store, request.ask.id);
        return await findStructures(files.model, request.ask.outputBytes, context);
      }
      case 'n-eff': {
        const { findNEff } = await import('./find-n-eff.ts');
        await using files = await checkOutModel(store, request.ask.id);
        return await findNEff(files.model, request.ask, context);
      }
    }
  },
  ({ task, about }) => `${task} ${about}`,
);

/** @throws EmpError not_found */
async function checkOutModel(
  store: Store,
  id: string,
): Promise<AsyncDisposable & { readonly model: StoredModel }> {
  const inventory = await store.readJson<ModelInventory>('models', id, 'inventory.json');
  if (!inventory) throw new EmpError('not_found', `there is no model ${id}`);
  const files = await store.checkOut('models', id);
  const { directory } = files;
  return { model: { directory, inventory }, [Symbol.asyncDispose]: () => files[Symbol.asyncDispose]() };
}
