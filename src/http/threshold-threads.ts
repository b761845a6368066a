import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { FastifyBaseLogger } from 'fastify';
import PQueue from 'p-queue';
import { Piscina } from 'piscina';
import { EmpError } from '../core/errors.ts';
import { takeOf } from '../intake/slots.ts';
import { closedEarly } from './body.ts';
import { answerThreshold, type ThresholdAnswer, type ThresholdTask } from './threshold-task.ts';
import type { ThreadReply } from './threshold-thread.ts';

const MEBIBYTE = 2 ** 20;

/** Reading, deciding on and answering so much takes a millisecond or two, and is done where the request arrived. */
const SMALL_BYTES = { json: 64 * 1024, raw: MEBIBYTE, npy: 256 * 1024 };
/** Of what the kernel in WebAssembly does not take. */
const SMALL_DOUBLES_BYTES = 256 * 1024;
/** Groups are decided on one by one, in some microseconds each; rows have two bytes at least. */
const SMALL_GROUPS = 500;
const SMALL_ROWS_BYTES = 4 * 1024;
const [OPEN_ARRAY] = Buffer.from('[');
const THREADS = Math.min(2, availableParallelism());
/** An answer takes a second at most, so that the last one waits for half a minute. */
const MAX_WAITING = 64;
/** A thread that nobody needs ends, and its heap with it. */
const IDLE_MS = 2000;
/** From here on, ending a thread saves more than the next one's start costs. */
const ENDED_BYTES = 16 * MEBIBYTE;
/** Of a thread, beside what the JSON takes: 100,000 groups and their answer. */
const BASE_HEAP_MEBIBYTES = 256;

/** Bytes of a heap that a byte of JSON takes while it is parsed and decided on: most are taken by `0,0,0,...`. */
export const JSON_HEAP_FACTOR = 16;

/** What one thread's heap must have room for. */
export function heapMebibytesFor(maxJsonBytes: number): number {
  return BASE_HEAP_MEBIBYTES + Math.ceil((JSON_HEAP_FACTOR * maxJsonBytes) / MEBIBYTE);
}

/**
 * Decides on large vectors in worker threads, first come first served, so that the event loop is free for others; on small ones at once.
 * A thread's heap is bounded: what outgrows it fails alone.
 */
export class ThresholdThreads {
  readonly #queue = new PQueue({ concurrency: THREADS });
  readonly #pool: Piscina<ThresholdTask, ThreadReply>;
  #waiting = 0;

  constructor(heapMebibytes: number, log: FastifyBaseLogger) {
    this.#pool = new Piscina({
      filename: fileURLToPath(new URL('./threshold-thread.ts', import.meta.url)),
      minThreads: 0,
      maxThreads: THREADS,
      idleTimeout: IDLE_MS,
      resourceLimits: { maxOldGenerationSizeMb: heapMebibytes },
    });
    this.#pool.on('error', (error) => log.error({ err: error }, 'a thread for thresholds failed'));
  }

  /**
   * A large body's memory is given away.
   * @param signal aborts when nobody waits for the answer any longer
   * @throws EmpError of the task, `not_ready` where too many wait, `payload_too_large` where it outgrows a thread's heap
   */
  async answer(task: ThresholdTask, signal: AbortSignal): Promise<ThresholdAnswer> {
    if (isSmall(task)) return answerThreshold(task);
    if (signal.aborted) throw closedEarly();
    if (this.#waiting >= MAX_WAITING)
      throw new EmpError('not_ready', `${MAX_WAITING} large requests wait already; try again`);
    this.#waiting++;
    try {
      using _slot = await takeOf(this.#queue, signal);
      const answer = await this.#run(task, signal);
      signal.throwIfAborted();
      return answer;
    } catch (error) {
      if (signal.aborted) throw closedEarly();
      throw error;
    } finally {
      this.#waiting--;
    }
  }

  /** Ends all threads. */
  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #run(task: ThresholdTask, signal: AbortSignal): Promise<ThresholdAnswer> {
    // A view of memory that others use must not be given away.
    const body = task.body.byteLength === task.body.buffer.byteLength ? task.body : task.body.slice();
    const reply = await this.#pool
      .run(
        { ...task, body },
        {
          transferList: [body.buffer],
          ...(body.byteLength >= ENDED_BYTES && { signal }),
        },
      )
      .catch((error) => {
        if (error?.code !== 'ERR_WORKER_OUT_OF_MEMORY') throw error;
        throw new EmpError(
          'payload_too_large',
          'reading the body takes more memory than is set aside for one request: send scores as application/octet-stream',
        );
      });
    if (!('error' in reply)) return reply;
    const { code, message, findings } = reply.error;
    throw new EmpError(code, message, findings);
  }
}

function isSmall({ form, body }: ThresholdTask): boolean {
  if (body.byteLength > SMALL_BYTES[form.kind]) return false;
  if (form.kind === 'json') return arraysOf(body) <= SMALL_GROUPS;
  if (form.kind === 'npy') return !form.byRow || body.byteLength <= SMALL_ROWS_BYTES;
  const areDoubles = form.dtype === 'float64' || form.options.sign === 'shift';
  return !areDoubles || body.byteLength <= SMALL_DOUBLES_BYTES;
}

/** How many arrays open in a JSON text, or one more than a small one has. */
function arraysOf(json: Uint8Array): number {
  let count = 0;
  for (let at = json.indexOf(OPEN_ARRAY); at >= 0 && count <= SMALL_GROUPS; count++)
    at = json.indexOf(OPEN_ARRAY, at + 1);
  return count;
}
