import type { ModelInventory, Strangers } from '../formats/model.ts';
import type { ScoreFiles } from '../formats/score-file.ts';
import type { JobRequest } from '../jobs/job.ts';
import type { SearchRequest } from '../jobs/search-lines.ts';
import type { Recipe } from '../recipe/recipe.ts';
import type { SamplesRecord } from '../storage/records.ts';
import type { Tenant } from '../storage/tenant.ts';
import type { PlacedInputs } from './job-inputs.ts';
import type { ComparisonIds } from './plan-comparison.ts';
import type { SampleParts } from './sample-files.ts';
import type { UploadFolders } from './upload-documents.ts';

/** Of an inventory what does not grow with its tensors. */
export type ModelOutline = Pick<ModelInventory, 'format' | 'files' | 'nParameters'>;

/** Of samples what does not grow with their arrays. */
export type SamplesOutline = Pick<SamplesRecord, 'n_samples' | 'labels'>;

/** What the API has its children do, by name: what looks into uploaded models. Each entry is a question and its answer. */
export interface AnalysisTasks {
  /** What files of an upload hold; the documents of a model are added to it. */
  readonly read: {
    readonly ask: {
      readonly upload: UploadFolders;
      readonly names: readonly string[];
      readonly strangers: Strangers;
    };
    readonly answer: ModelOutline;
  };
  /** Multiply-accumulates of a model that has been read, for one sample; its documents get those of each weight. */
  readonly count: {
    readonly ask: { readonly upload: UploadFolders };
    readonly answer: number | null;
  };
  /** What score files of an upload hold; the documents of a dataset are added to it. */
  readonly scores: {
    readonly ask: { readonly upload: UploadFolders; readonly files: ScoreFiles; readonly name: string };
    readonly answer: undefined;
  };
  /** What `.npy` files of an upload hold, as `sampleFiles` placed them; the documents of a dataset are added to it. */
  readonly samples: {
    readonly ask: {
      readonly upload: UploadFolders;
      readonly parts: SampleParts;
      readonly inputs: readonly string[];
      readonly constants: readonly string[];
      readonly labels: string | null;
    };
    readonly answer: SamplesOutline;
  };
  /** Whether a job can succeed, before it is accepted. */
  readonly plan: {
    readonly ask: {
      readonly recipe: Recipe;
      readonly inputs: PlacedInputs;
      /** Of the program that finds structures: what others have found is not looked at. */
      readonly finder: string;
    };
    readonly answer: Omit<JobRequest, 'metadata'>;
  };
  /** Which lines of a search can succeed. */
  readonly lines: {
    readonly ask: { readonly recipes: readonly Recipe[] } & Omit<AnalysisTasks['plan']['ask'], 'recipe'>;
    readonly answer: Pick<SearchRequest, 'lines' | 'left_out'>;
  };
  /** Whether two models can be compared, before the job is accepted. */
  readonly comparison: {
    readonly ask: ComparisonIds;
    readonly answer: AnalysisTasks['plan']['answer'];
  };
  /** What can be removed from a model: a `StructureOverview` as JSON. */
  readonly structures: { readonly ask: AnalysisAsk; readonly answer: string };
  /** What EMP by magnitude would keep of it: a `ModelNEff` as JSON. */
  readonly 'n-eff': {
    readonly ask: AnalysisAsk & {
      /** For files that exist only while it is looked into. */
      readonly scratchDirectory: string;
    };
    readonly answer: string;
  };
}

/** What is to be found of a stored model. */
interface AnalysisAsk {
  readonly id: string;
  /** Of the answer. */
  readonly outputBytes: number;
}

export type AnalysisRequest = {
  [T in keyof AnalysisTasks]: {
    readonly task: T;
    /** The model's id or its files' name, to tell processes apart. */
    readonly about: string;
    readonly ask: AnalysisTasks[T]['ask'];
    /** In whose store stored models are. */
    readonly tenant: Tenant;
  };
}[keyof AnalysisTasks];

export type AnalysisAnswer = AnalysisTasks[keyof AnalysisTasks]['answer'];
