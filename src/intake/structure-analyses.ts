import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { EmpError, type ErrorCode } from '../core/errors.ts';
import { ChildFailure, ChildPool } from '../jobs/child-pool.ts';
import { childEnvironment } from '../jobs/child-settings.ts';
import type { ModelRecord } from '../storage/records.ts';
import type { Store } from '../storage/store.ts';
import type { AnalysisRequest } from './analysis-tasks.ts';
import { ANALYSIS_CHILD, type ReaderLimits } from './model-reader.ts';
import { SharedRuns } from './shared-runs.ts';
import { type Asker, Slots } from './slots.ts';
import { sourceKey } from './source-key.ts';
import { structuresDocument } from './stored-structures.ts';

/** What finds structures; a change of it, or of what it imports, makes what was found old. */
const FINDER = fileURLToPath(new URL('./find-structures.ts', import.meta.url));
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
  readonly store: Store;
  readonly log: Logger;
  /** What one analysis may take. */
  readonly limits?: Partial<AnalysisLimits>;
}

/**
 * What can be removed from models, found when it is first asked for and stored beside the model. To find it the model has to be run, which this process never does: a
 * child does, within limits of time and memory, for an uploaded graph may loop for ever, ask for any amount of memory, or crash onnxruntime.
 */
export class StructureAnalyses {
  readonly #store: Store;
  readonly #log: Logger;
  readonly #limits: AnalysisLimits;
  readonly #pool: ChildPool<AnalysisRequest, string>;
  /** Why models could not be analysed, by id, the latest last. */
  readonly #failed = new Map<string, { readonly error: EmpError; readonly until: number }>();
  readonly #runs = new SharedRuns<string>();
  readonly #slots = new Slots(ANALYSES_AT_ONCE);
  #key: Promise<string> | undefined;

  constructor({ store, log, limits = {} }: AnalysesOptions) {
    this.#store = store;
    this.#log = log;
    this.#limits = { ...LIMITS, ...limits };
    const { memoryMebibytes } = this.#limits;
    const env = childEnvironment({ storeRoot: store.root, threads: 1, providers: ['cpu'], memoryMebibytes });
    this.#pool = new ChildPool(ANALYSIS_CHILD, env, this.#limits);
  }

  /**
   * The structures of an ONNX model: a `StructureOverview` as JSON, which may be large.
   * @param asker without anyone who waits, the analysis is ended
   * @throws EmpError unsupported_model, malformed_onnx, missing_file or limit_exceeded for the model, not_found when it is deleted meanwhile, not_ready when others come first or
   *   the client leaves
   */
  async of(model: ModelRecord, { client, signal }: Asker): Promise<string> {
    try {
      return await this.#runs.join(model.id, signal, (end) => this.#find(model, { client, signal: end }));
    } catch (error) {
      // What signals abort with: this client's, or that of the run.
      if (!signal.aborted && !(error instanceof DOMException)) throw error;
      throw new EmpError('not_ready', 'the analysis was ended before it was complete; try again');
    }
  }

  /** Ends the analysis of a model that was deleted. */
  end(id: string): void {
    this.#runs.end(id);
  }

  /** Ends what goes on, and resolves when it has ended. */
  async close(): Promise<void> {
    await this.#runs.close();
    await this.#pool.close();
  }

  /** The key of what finds structures, by its source: read once, as the running program was. */
  finder(): Promise<string> {
    this.#key ??= sourceKey(FINDER, SOURCES);
    return this.#key;
  }

  async #find(model: ModelRecord, asker: Asker): Promise<string> {
    const known = await this.#store.readText('models', model.id, structuresDocument(await this.finder()));
    if (known !== null) return known;
    try {
      const failed = this.#failed.get(model.id);
      if (failed && failed.until > Date.now()) throw failed.error;
      return await this.#analyse(model, asker);
    } catch (error) {
      if (await this.#store.readRecord('models', model.id)) throw error;
      throw new EmpError('not_found', `model ${model.id} was deleted while it was analysed`);
    }
  }

  async #analyse(model: ModelRecord, asker: Asker): Promise<string> {
    using _slot = await this.#slots.take(asker);
    const start = performance.now();
    const { timeMs, outputBytes } = this.#limits;
    const ask = { id: model.id, outputBytes };
    const structures = await this.#pool
      .run({ task: 'structures', about: model.id, ask }, { timeMs, signal: asker.signal })
      .catch((error) => {
        asker.signal.throwIfAborted();
        throw this.#named(model, error);
      });
    const ms = Math.round(performance.now() - start);
    this.#log.info({ model: model.id, ms }, 'structures found');
    const document = structuresDocument(await this.finder());
    // It is known now, and can be found again: nobody has to do without it because the disk is full.
    await this.#store.writeText('models', model.id, document, structures).catch((error) => {
      this.#log.warn({ err: error, model: model.id }, 'structures not stored');
    });
    return structures;
  }

  /** The error of an analysis in the words of its model. What would end it again is remembered. */
  #named({ id, name }: ModelRecord, error: unknown): unknown {
    this.#log.warn({ err: error, model: id }, 'structure analysis failed');
    if (error instanceof ChildFailure && error.isKilledByOthers)
      return new EmpError('not_ready', 'the process that analysed the model was killed; try again');
    const reason = this.#reasonOf(error);
    if (reason === null) return error;
    const [code, message] = reason;
    const named = new EmpError(code, `the structures of ${name} cannot be found: ${message}`, [
      { path: name, message },
    ]);
    this.#remember(id, named);
    return named;
  }

  #remember(id: string, error: EmpError): void {
    this.#failed.delete(id);
    this.#failed.set(id, { error, until: Date.now() + REMEMBERED_MS });
    const [oldest] = this.#failed.keys();
    if (oldest !== undefined && this.#failed.size > MAX_REMEMBERED) this.#failed.delete(oldest);
  }

  /** What of the model ended its analysis; null where it said so itself, or it is not the model. */
  #reasonOf(error: unknown): [ErrorCode, string] | null {
    if (error instanceof EmpError && error.code === 'limit_exceeded') return [error.code, error.message];
    if (!(error instanceof ChildFailure)) return null;
    const { timeMs, memoryMebibytes } = this.#limits;
    if (error.how === 'out_of_time')
      return ['limit_exceeded', `running its graph takes longer than ${timeMs / 1000} seconds`];
    if (error.isOutOfMemory)
      return [
        'limit_exceeded',
        `its graph takes more than the ${memoryMebibytes} MiB that an analysis may have`,
      ];
    const { signal } = error.end;
    return signal && ['unsupported_model', `running its graph crashes onnxruntime (${signal})`];
  }
}
