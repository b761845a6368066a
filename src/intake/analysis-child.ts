import { serveParent } from '../jobs/child-program.ts';
import type { AnalysisAnswer, AnalysisRequest } from './analysis-tasks.ts';

/** The API's child process: looks into uploaded models, which that process never does. */
serveParent<AnalysisRequest, AnalysisAnswer>(
  async (request, context) => {
    switch (request.task) {
      case 'read': {
        const { readStoredModel } = await import('../graph/inventory.ts');
        const { directory, names, strangers } = request.ask;
        return (await readStoredModel(directory, names, strangers)).inventory;
      }
      case 'plan': {
        const { planJob } = await import('./plan-job.ts');
        const { recipe, inputs, structures } = request.ask;
        return planJob(recipe, inputs, structures);
      }
      case 'structures': {
        const { findStructures } = await import('./find-structures.ts');
        return findStructures(request.ask, context);
      }
    }
  },
  ({ task, about }) => `${task} ${about}`,
);
