import type { ModelInventory, Strangers } from '../formats/model.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import type { JobRequest } from '../jobs/job.ts';
import type { Recipe } from '../recipe/recipe.ts';
import type { StructureOverview } from '../structure/overview.ts';
import type { JobInputs } from './plan-job.ts';

/** What the API has its children do, by name: what looks into uploaded models. Each entry is a question and its answer. */
export interface AnalysisTasks {
  /** What files in a folder hold. */
  readonly read: {
    readonly ask: {
      readonly directory: string;
      readonly names: readonly string[];
      readonly strangers: Strangers;
    };
    readonly answer: ModelInventory;
  };
  /** Whether a job can succeed, before it is accepted. */
  readonly plan: {
    readonly ask: {
      readonly recipe: Recipe;
      readonly inputs: JobInputs;
      readonly structures: StructureOverview | null;
    };
    readonly answer: Omit<JobRequest, 'metadata'>;
  };
  /** What can be removed from a model. */
  readonly structures: {
    readonly ask: { readonly model: StoredModel; readonly outputBytes: number };
    readonly answer: StructureOverview;
  };
}

export type AnalysisRequest = {
  [T in keyof AnalysisTasks]: {
    readonly task: T;
    /** The model's id or its files' name, to tell processes apart. */
    readonly about: string;
    readonly ask: AnalysisTasks[T]['ask'];
  };
}[keyof AnalysisTasks];

export type AnalysisAnswer = AnalysisTasks[keyof AnalysisTasks]['answer'];
