import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import type { ModelAnalyses } from '../intake/model-analyses.ts';
import type { ModelReader } from '../intake/model-reader.ts';
import type { Jobs } from '../jobs/job-service.ts';
import type { Searches } from '../jobs/search-service.ts';
import type { Store } from '../storage/store.ts';
import type { OpenAnswers } from './open-answers.ts';

/** What routes work with, handed to each: there is no hidden locator. */
export interface Services {
  readonly store: Store;
  readonly jobs: Jobs;
  readonly searches: Searches;
  readonly reader: ModelReader;
  readonly analyses: ModelAnalyses;
  /** Of one upload's files together. */
  readonly maxUploadBytes: number;
  /** Of scores as JSON. */
  readonly maxJsonBytes: number;
  /** Event streams and answers that wait for a job's end. */
  readonly openAnswers: OpenAnswers;
  /** Aborts when the server begins to close, for answers that would otherwise go on. */
  readonly closing: AbortSignal;
}

/** A fastify instance whose routes take their types from zod schemas. */
export type App = Parameters<FastifyPluginCallbackZod>[0];
