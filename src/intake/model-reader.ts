import { EmpError } from '../core/errors.ts';
import type { Strangers } from '../formats/model.ts';
import { ChildFailure, ChildPool } from '../jobs/child-pool.ts';
import { childEnvironment } from '../jobs/child-settings.ts';
import type { ChildLimits } from '../jobs/limited-child.ts';
import type {
  AnalysisAnswer,
  AnalysisRequest,
  AnalysisTasks,
  ModelOutline,
  SamplesOutline,
} from './analysis-tasks.ts';
import { type Asker, Slots } from './slots.ts';
import type { AnalysisKind } from './stored-analyses.ts';
import type { UploadFolders } from './upload-documents.ts';

/** The program of the children that look into models. */
export const ANALYSIS_CHILD = new URL('./analysis-child.ts', import.meta.url);

export interface ReaderLimits extends ChildLimits {
  readonly timeMs: number;
}

/** What an uploader waits for at most beside the reading. */
const COUNT_MS = 15_000;
/** A file that makes a reader slow holds up one other at most. */
const READERS = 2;
const LIMITS: ReaderLimits = { timeMs: 60_000, heapMebibytes: 1024, memoryMebibytes: 1536, threads: 0 };

/**
 * Reads models and datasets and plans jobs, in children within limits of time and memory: a graph may have any number of nodes, and be tied up in
 * ways that nobody thought of, and what is said of 100,000 tensors holds up whoever parses it.
 */
export class ModelReader {
  readonly #pool: ChildPool<AnalysisRequest, AnalysisAnswer>;
  readonly #limits: ReaderLimits;
  readonly #slots = new Slots(READERS);

  /** @param storeRoot of the stores whose models are read */
  constructor(storeRoot: string, limits: Partial<ReaderLimits> = {}) {
    this.#limits = { ...LIMITS, ...limits };
    const { memoryMebibytes } = this.#limits;
    const env = childEnvironment({ storeRoot, threads: 1, providers: ['cpu'], memoryMebibytes });
    this.#pool = new ChildPool(ANALYSIS_CHILD, env, this.#limits);
  }

  /** Has a child ready for the first who asks. */
  warm(): void {
    this.#pool.warm();
  }

  /**
   * What files of an upload hold, by their names there. The documents of a model are added to the upload.
   * @throws EmpError as `readModelInventory`, limit_exceeded for what takes too much, not_ready when others come first or the client leaves
   */
  read(
    upload: UploadFolders,
    names: readonly string[],
    strangers: Strangers,
    asker: Asker,
  ): Promise<ModelOutline> {
    return this.#run('read', names[0] ?? '', { upload, names, strangers }, asker);
  }

  /**
   * Multiply-accumulates of a model whose documents are in the upload, which get those of each weight. Null where they cannot be told, or not within the limits of a
   * reader and a shorter time: a model is one without them too.
   * @throws EmpError not_ready when others come first or the client leaves
   */
  async count(upload: UploadFolders, name: string, asker: Asker): Promise<number | null> {
    try {
      return await this.#run('count', name, { upload }, asker, COUNT_MS);
    } catch (error) {
      const isBeyond = error instanceof EmpError && error.code === 'limit_exceeded';
      if (isBeyond || error instanceof ChildFailure) return null;
      throw error;
    }
  }

  /**
   * What score files of an upload hold. The documents of a dataset are added to the upload, as in `samples`.
   * @throws EmpError as `readUploadedScores`, limit_exceeded, not_ready
   */
  scores(ask: AnalysisTasks['scores']['ask'], asker: Asker): Promise<undefined> {
    return this.#run('scores', ask.name, ask, asker);
  }

  /** @throws EmpError as `readUploadedSamples`, limit_exceeded, not_ready */
  samples(ask: AnalysisTasks['samples']['ask'], asker: Asker): Promise<SamplesOutline> {
    return this.#run('samples', ask.inputs[0] ?? '', ask, asker);
  }

  /** As `planJob`, whose errors it throws. @throws EmpError limit_exceeded, not_ready */
  plan(ask: AnalysisTasks['plan']['ask'], asker: Asker): Promise<AnalysisTasks['plan']['answer']> {
    return this.#run('plan', ask.inputs.model.id, ask, asker);
  }

  /** As `planLines`, whose errors it throws. @throws EmpError limit_exceeded, not_ready */
  lines(ask: AnalysisTasks['lines']['ask'], asker: Asker): Promise<AnalysisTasks['lines']['answer']> {
    return this.#run('lines', ask.inputs.model.id, ask, asker);
  }

  /** As `planComparison`, whose errors it throws. @throws EmpError limit_exceeded, not_ready */
  comparison(
    ask: AnalysisTasks['comparison']['ask'],
    asker: Asker,
  ): Promise<AnalysisTasks['comparison']['answer']> {
    return this.#run('comparison', ask.pruned, ask, asker);
  }

  /** Ends what goes on, and resolves when it has ended. */
  close(): Promise<void> {
    return this.#pool.close();
  }

  async #run<T extends Exclude<keyof AnalysisTasks, AnalysisKind>>(
    task: T,
    about: string,
    ask: AnalysisTasks[T]['ask'],
    asker: Asker,
    mostMs = this.#limits.timeMs,
  ): Promise<AnalysisTasks[T]['answer']> {
    using _slot = await this.#slots.take(asker);
    const timeMs = Math.min(this.#limits.timeMs, mostMs);
    try {
      const request = { task, about, ask, tenant: asker.tenant } as AnalysisRequest;
      const answer = await this.#pool.run(request, { timeMs, signal: asker.signal });
      return answer as AnalysisTasks[T]['answer'];
    } catch (error) {
      throw asker.signal.aborted ? abandoned() : this.#nameLimit(error, about);
    }
  }

  #nameLimit(error: unknown, name: string): unknown {
    if (!(error instanceof ChildFailure)) return error;
    if (error.isKilledByOthers)
      return new EmpError('not_ready', 'the process that read it was killed; try again');
    const { timeMs, memoryMebibytes, heapMebibytes } = this.#limits;
    const limit =
      error.how === 'out_of_time'
        ? `takes longer than the ${timeMs / 1000} seconds`
        : error.isOutOfMemory &&
          `takes more than the ${memoryMebibytes} MiB of memory, ${Math.min(heapMebibytes, memoryMebibytes)} MiB of them for objects,`;
    if (!limit) return error;
    const message = `reading it ${limit} that it may: it has more parts than a model needs`;
    return new EmpError('limit_exceeded', `${name}: ${message}`, [{ path: name, message }]);
  }
}

function abandoned(): EmpError {
  return new EmpError('not_ready', 'reading was ended with the request; try again');
}
