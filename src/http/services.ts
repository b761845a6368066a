import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod';
import type { ModelAnalyses } from '../intake/model-analyses.ts';
import type { ModelReader } from '../intake/model-reader.ts';
import type { TenantServices, Tenants } from '../jobs/tenants.ts';
import type { OpenAnswers } from './open-answers.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What there is of the tenant whose key came with the request; not of public routes. */
    tenant: TenantServices;
  }
}

/** What routes work with, handed to each: there is no hidden locator. */
export interface Services {
  /** Of whom a request has what there is of its own: `request.tenant`. */
  readonly tenants: Tenants;
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
