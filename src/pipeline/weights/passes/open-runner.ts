import type { Progress } from '../../progress.ts';
import { PassRunner } from './runner.ts';
import { PassThreads } from './threads.ts';

/** Below this many weights starting threads costs more than they bring. */
const THREADS_FROM = 1_000_000;
/** A megabyte of float32: what a kernel takes at a time. */
const CHUNK_ELEMENTS = 2 ** 18;

interface RunnerNeeds {
  /** Weights in all. */
  readonly n: number;
  readonly threads: number;
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** Elements read at a time, a multiple of 4096; results do not depend on it. */
  readonly chunkElements?: number | undefined;
}

/** A runner with threads of its own where there is enough for them to do; they end when it is disposed of. */
export function openRunner({ n, threads: count, chunkElements = CHUNK_ELEMENTS, ...context }: RunnerNeeds) {
  const threads = new PassThreads(n < THREADS_FROM ? 0 : count);
  const runner = new PassRunner({ threads, chunkElements, ...context });
  return { runner, [Symbol.asyncDispose]: () => threads[Symbol.asyncDispose]() };
}
