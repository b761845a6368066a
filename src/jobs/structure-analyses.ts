import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { EmpError } from '../core/errors.ts';
import type { ModelRecord } from '../storage/records.ts';
import type { Store } from '../storage/store.ts';
import { type StructureOverview, structureOverviewSchema } from '../structure/overview.ts';
import { childEnvironment } from './child-settings.ts';
import { type ProcessEnd, type ProcessLimits, runLimited } from './limited-process.ts';
import { SharedRuns } from './shared-runs.ts';
import { Slots } from './slots.ts';
import { sourceKey } from './source-key.ts';

const CHILD = fileURLToPath(new URL('./structure-analysis-child.ts', import.meta.url));
const SOURCES = fileURLToPath(new URL('..', import.meta.url));
/** Beside the model's record. */
const STORED = 'structures.json';

/** A model that hangs takes one, and another is left. */
const ANALYSES_AT_ONCE = 2;
/** With the time limit less than the two minutes after which the server drops a silent connection. */
const PATIENCE_MS = 30_000;
/** Of what a child that failed says. */
const MAX_LOGGED_CHARACTERS = 4000;
const LIMITS: ProcessLimits = {
  timeMs: 60_000,
  heapMebibytes: 1024,
  memoryMebibytes: 4096,
  outputBytes: 16 * 2 ** 20,
};

export interface AnalysesOptions {
  readonly store: Store;
  readonly log: Logger;
  /** What one analysis may take. */
  readonly limits?: Partial<ProcessLimits>;
}

/** What the child says; anything else it says by how it ends. */
export type AnalysisAnswer =
  | { readonly structures: StructureOverview }
  | { readonly refusal: Pick<EmpError, 'code' | 'message' | 'findings'> };

/** The answer as it is stored, with the key of the rules that found it: others may find more, or less. */
interface StoredStructures {
  readonly source: string;
  readonly structures: unknown;
}

/**
 * What can be removed from models, found when it is first asked for and stored beside the model. To find it the model has to be run, which this process never does: a
 * child does, within limits of time and memory, for an uploaded graph may loop for ever, ask for any amount of memory, or crash onnxruntime.
 */
export class StructureAnalyses {
  readonly #store: Store;
  readonly #log: Logger;
  readonly #limits: ProcessLimits;
  readonly #runs = new SharedRuns<StructureOverview>();
  readonly #slots = new Slots(ANALYSES_AT_ONCE);
  #key: Promise<string> | undefined;

  constructor({ store, log, limits = {} }: AnalysesOptions) {
    this.#store = store;
    this.#log = log;
    this.#limits = { ...LIMITS, ...limits };
  }

  /**
   * The structures of an ONNX model.
   * @param signal of the one who asks; without anyone who waits, the analysis is ended
   * @throws EmpError unsupported_model, malformed_onnx or missing_file for the model, not_found when it is deleted meanwhile, not_ready when others come first or `signal` aborts
   */
  async of(model: ModelRecord, signal: AbortSignal): Promise<StructureOverview> {
    try {
      return await this.#runs.join(model.id, signal, (end) => this.#find(model, end));
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
  close(): Promise<void> {
    return this.#runs.close();
  }

  /** The structures of a model as far as they were asked for before; null where they were not. */
  async known(id: string): Promise<StructureOverview | null> {
    const stored = await this.#store.readJson<StoredStructures>('models', id, STORED);
    if (stored?.source !== (await this.#source())) return null;
    return structureOverviewSchema.safeParse(stored.structures).data ?? null;
  }

  /** What finds structures, by its source: read once, as the running program was. */
  #source(): Promise<string> {
    this.#key ??= sourceKey(CHILD, SOURCES);
    return this.#key;
  }

  async #find(model: ModelRecord, signal: AbortSignal): Promise<StructureOverview> {
    const known = await this.known(model.id);
    if (known) return known;
    try {
      return await this.#analyse(model, signal);
    } catch (error) {
      if (await this.#store.readRecord('models', model.id)) throw error;
      throw new EmpError('not_found', `model ${model.id} was deleted while it was analysed`);
    }
  }

  async #analyse(model: ModelRecord, signal: AbortSignal): Promise<StructureOverview> {
    using _slot = await this.#takeSlot(signal);
    const start = performance.now();
    const env = childEnvironment({ storeRoot: this.#store.root, threads: 1, providers: ['cpu'] });
    await using files = await this.#store.checkOut('models', model.id);
    const inventory = await this.#store.readJson('models', model.id, 'inventory.json');
    const input = JSON.stringify(inventory);
    const end = await runLimited(CHILD, [files.directory], env, this.#limits, signal, input);
    const ms = Math.round(performance.now() - start);
    this.#log.info({ model: model.id, ms, how: end.how }, 'structure analysis ended');
    signal.throwIfAborted();
    const structures = this.#readAnswer(model, end);
    const stored: StoredStructures = { source: await this.#source(), structures };
    // It is known now, and can be found again: nobody has to do without it because the disk is full.
    await this.#store.writeJson('models', model.id, STORED, stored).catch((error) => {
      this.#log.warn({ err: error, model: model.id }, 'structures not stored');
    });
    return structures;
  }

  async #takeSlot(signal: AbortSignal): Promise<Disposable> {
    const patience = AbortSignal.timeout(PATIENCE_MS);
    try {
      return await this.#slots.take(AbortSignal.any([signal, patience]));
    } catch (error) {
      if (signal.aborted) throw error;
      throw new EmpError('not_ready', 'other models are being analysed; try again');
    }
  }

  #readAnswer({ id, name }: ModelRecord, end: ProcessEnd): StructureOverview {
    if (end.how === 'ended') {
      const answer: AnalysisAnswer = JSON.parse(end.stdout);
      if ('structures' in answer) return answer.structures;
      const { code, message, findings } = answer.refusal;
      throw new EmpError(code, message, findings);
    }
    const { how, code, signal } = end;
    const stderr = end.stderr.slice(-MAX_LOGGED_CHARACTERS);
    this.#log.warn({ model: id, how, code, signal, stderr }, 'structure analysis failed');
    // Nobody but the operator, or a system without memory, does that, and next time it may not.
    if (signal === 'SIGKILL' && how === 'crashed')
      throw new EmpError('not_ready', 'the process that analysed the model was killed; try again');
    const message = this.#reasonOf(end);
    if (message === null) throw new Error(`the structure analysis of ${id} ended with code ${code}`);
    throw new EmpError('unsupported_model', `the structures of ${name} cannot be found: ${message}`, [
      { path: name, message },
    ]);
  }

  /** What of the model ended its analysis; null where it is not the model. */
  #reasonOf({ how, signal, stderr }: ProcessEnd): string | null {
    if (how === 'out_of_time')
      return `running its graph takes longer than ${this.#limits.timeMs / 1000} seconds`;
    if (how === 'too_much_output') return 'it has more families of structures than can be shown';
    if (/out of memory|bad_alloc/.test(stderr))
      return 'its graph takes more memory than an analysis may have';
    return signal && `running its graph crashes onnxruntime (${signal})`;
  }
}
