import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { EmpError, type ErrorCode } from '../core/errors.ts';
import { ChildFailure, ChildPool } from '../jobs/child-pool.ts';
import { childEnvironment } from '../jobs/child-settings.ts';
import type { ModelRecord } from '../storage/records.ts';
import type { Store } from '../storage/store.ts';
import { removedMeanwhile } from '../storage/store-place.ts';
import type { Stores } from '../storage/stores.ts';
import type { Tenant } from '../storage/tenant.ts';
import type { AnalysisRequest } from './analysis-tasks.ts';
import { ANALYSIS_CHILD, type ReaderLimits } from './model-reader.ts';
import { SharedRuns } from './shared-runs.ts';
import { type Asker, Slots } from './slots.ts';
import { sourceKey } from './source-key.ts';
import { type AnalysisKind, analysisDocument } from './stored-analyses.ts';

/** What is found of models, and in what words it is told that it cannot be. */
const ANALYSES: Readonly<Record<AnalysisKind, { program: URL; what: string; work: string; crash: string }>> =
  {
    structures: {
      program: new URL('./find-structures.ts', import.meta.url),
      what: 'the structures of',
      work: 'running its graph',
      crash: 'crashes onnxruntime',
    },
    'n-eff': {
      program: new URL('./find-n-eff.ts', import.meta.url),
      what: 'N_eff of',
      work: 'reading its weights',
      crash: 'ends the process that reads them',
    },
  };
const SOURCES = fileURLToPath(new URL('..', import.meta.url));

/** A model that hangs takes one, and another is left. */
const ANALYSES_AT_ONCE = 2;
/** How long nobody tries a model again that took too much. A busy machine may have been the reason, so not for good. */
const REMEMBERED_MS = 3600 * 1000;
const MAX_REMEMBERED = 1000;

export interface AnalysisLimits extends ReaderLimits {
  /** Of what was found, as JSON. */
  readonly outputBytes: number;
}
const LIMITS: AnalysisLimits = {
  timeMs: 60_000,
  heapMebibytes: 1024,
  memoryMebibytes: 4096,
  threads: 0,
  outputBytes: 16 * 2 ** 20,
};

export interface AnalysesOptions {
  readonly stores: Pick<Stores, 'root' | 'find'>;
  readonly log: Logger;
  /** What one analysis may take. */
  readonly limits?: Partial<AnalysisLimits>;
}

/**
 * What is found of models by looking into them, when it is first asked for, and stored beside the model. This process never does so: a child
 * does, within limits of time and memory, for an uploaded graph may loop for ever, ask for any amount of memory, or crash onnxruntime.
 */
export class ModelAnalyses {
  readonly #stores: Pick<Stores, 'find'>;
  readonly #log: Logger;
  readonly #limits: AnalysisLimits;
  readonly #pool: ChildPool<AnalysisRequest, string>;
  /** Why models could not be analysed, by kind and id, the latest last. */
  readonly #failed = new Map<string, { readonly error: EmpError; readonly until: number }>();
  readonly #runs = new SharedRuns<string>();
  readonly #slots = new Slots(ANALYSES_AT_ONCE);
  readonly #finders = new Map<AnalysisKind, Promise<string>>();

  constructor({ stores, log, limits = {} }: AnalysesOptions) {
    this.#stores = stores;
    this.#log = log;
    this.#limits = { ...LIMITS, ...limits };
    const { memoryMebibytes } = this.#limits;
    const env = childEnvironment({ storeRoot: stores.root, threads: 1, providers: ['cpu'], memoryMebibytes });
    this.#pool = new ChildPool(ANALYSIS_CHILD, env, this.#limits);
  }

  /**
   * What is found of a model, as JSON, which may be large: a `StructureOverview` of an ONNX model, or a `ModelNEff`.
   * @param asker without anyone who waits, the analysis is ended
   * @throws EmpError what the analysis throws, unsupported_model or limit_exceeded for the model, not_found when it is deleted meanwhile, not_ready when others come first or
   *   the client leaves
   */
  async of(kind: AnalysisKind, model: ModelRecord, asker: Asker): Promise<string> {
    const { signal } = asker;
    const find = (end: AbortSignal) => this.#find(kind, model, { ...asker, signal: end });
    try {
      return await this.#runs.join(keyOf(kind, asker.tenant, model.id), signal, find);
    } catch (error) {
      // What signals abort with: this client's, or that of the run.
      if (!signal.aborted && !(error instanceof DOMException)) throw error;
      throw new EmpError('not_ready', 'the analysis was ended before it was complete; try again');
    }
  }

  /** Ends the analyses of a model that was deleted. */
  end(tenant: Tenant, id: string): void {
    for (const kind of Object.keys(ANALYSES)) this.#runs.end(keyOf(kind, tenant, id));
  }

  /** Ends what goes on, and resolves when it has ended. */
  async close(): Promise<void> {
    await this.#runs.close();
    await this.#pool.close();
  }

  /** The key of what finds it, by its source: read once, as the running program was. A change of that, or of what it imports, makes what was found old. */
  finder(kind: AnalysisKind): Promise<string> {
    const known = this.#finders.get(kind);
    if (known) return known;
    const key = sourceKey(fileURLToPath(ANALYSES[kind].program), SOURCES);
    this.#finders.set(kind, key);
    return key;
  }

  async #find(kind: AnalysisKind, model: ModelRecord, asker: Asker): Promise<string> {
    const document = analysisDocument(kind, await this.finder(kind));
    const { tenant } = asker;
    const store = await this.#stores.find(tenant);
    if (!store) throw removedMeanwhile(tenant);
    const known = await store.readText('models', model.id, document);
    if (known !== null) return known;
    try {
      const failed = this.#failed.get(keyOf(kind, tenant, model.id));
      if (failed && failed.until > Date.now()) throw failed.error;
      return await this.#analyse(kind, model, document, store, asker);
    } catch (error) {
      if (await store.readRecord('models', model.id)) throw error;
      throw new EmpError('not_found', `model ${model.id} was deleted while it was analysed`);
    }
  }

  async #analyse(
    kind: AnalysisKind,
    model: ModelRecord,
    document: string,
    store: Store,
    asker: Asker,
  ): Promise<string> {
    using _slot = await this.#slots.take(asker);
    const start = performance.now();
    await using leftovers = new AsyncDisposableStack();
    const { tenant } = asker;
    const request = { ...(await this.#askOf(kind, model.id, store, leftovers)), tenant };
    const { timeMs } = this.#limits;
    const found = await this.#pool.run(request, { timeMs, signal: asker.signal }).catch((error) => {
      asker.signal.throwIfAborted();
      throw this.#named(kind, tenant, model, error);
    });
    const ms = Math.round(performance.now() - start);
    this.#log.info({ model: model.id, kind, ms }, 'analysed');
    // It is known now, and can be found again: nobody has to do without it because the disk is full.
    await store.writeText('models', model.id, document, found).catch((error) => {
      this.#log.warn({ err: error, model: model.id, kind }, 'analysis not stored');
    });
    return found;
  }

  /** @param leftovers gets the folder that a child may write to, which is this process's to remove: the child may be killed */
  async #askOf(kind: AnalysisKind, id: string, store: Store, leftovers: AsyncDisposableStack) {
    const ask = { id, outputBytes: this.#limits.outputBytes };
    if (kind === 'structures') return { task: kind, about: id, ask };
    const scratch = leftovers.adopt(await store.createUpload(), (upload) => upload.discard());
    return { task: kind, about: id, ask: { ...ask, scratchDirectory: scratch.directory } };
  }

  /** The error of an analysis in the words of its model. What would end it again is remembered. */
  #named(kind: AnalysisKind, tenant: Tenant, { id, name }: ModelRecord, error: unknown): unknown {
    this.#log.warn({ err: error, model: id, kind }, 'analysis failed');
    if (error instanceof ChildFailure && error.isKilledByOthers)
      return new EmpError('not_ready', 'the process that analysed the model was killed; try again');
    const reason = this.#reasonOf(kind, error);
    if (reason === null) return error;
    const [code, message] = reason;
    const named = new EmpError(code, `${ANALYSES[kind].what} ${name} cannot be found: ${message}`, [
      { path: name, message },
    ]);
    this.#remember(keyOf(kind, tenant, id), named);
    return named;
  }

  #remember(key: string, error: EmpError): void {
    this.#failed.delete(key);
    this.#failed.set(key, { error, until: Date.now() + REMEMBERED_MS });
    const [oldest] = this.#failed.keys();
    if (oldest !== undefined && this.#failed.size > MAX_REMEMBERED) this.#failed.delete(oldest);
  }

  /** What of the model ended its analysis; null where it said so itself, or it is not the model. */
  #reasonOf(kind: AnalysisKind, error: unknown): [ErrorCode, string] | null {
    if (error instanceof EmpError && error.code === 'limit_exceeded') return [error.code, error.message];
    if (!(error instanceof ChildFailure)) return null;
    const { timeMs, memoryMebibytes } = this.#limits;
    const { work, crash } = ANALYSES[kind];
    if (error.how === 'out_of_time')
      return ['limit_exceeded', `${work} takes longer than ${timeMs / 1000} seconds`];
    if (error.isOutOfMemory)
      return [
        'limit_exceeded',
        `${work} takes more than the ${memoryMebibytes} MiB that an analysis may have`,
      ];
    const { signal } = error.end;
    return signal && ['unsupported_model', `${work} ${crash} (${signal})`];
  }
}

function keyOf(kind: string, tenant: Tenant, id: string): string {
  return `${kind} ${tenant ?? ''} ${id}`;
}
