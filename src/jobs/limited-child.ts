import { type ChildProcess, fork } from 'node:child_process';
import { basename } from 'node:path';
import type { FromChild, ToChild } from './child-messages.ts';

/** What a child process may take. */
export interface ChildLimits {
  /** Of JavaScript's objects. */
  readonly heapMebibytes: number;
  /** Of all that it writes to, native libraries included; beyond it allocations fail. */
  readonly memoryMebibytes: number;
  /** Threads of JavaScript that it starts beside its first. */
  readonly threads: number;
}

/** How a child ended. */
export interface ChildEnd {
  readonly kind: 'gone';
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last of what it said on stderr. */
  readonly lastWords: string;
}

const KEPT_CHARACTERS = 4000;

/** A child of this process, and what it runs: `job-child`. */
export interface RunningChild {
  readonly program: string;
  readonly pid: number;
}

const running = new Set<RunningChild>();

/** The children of this process, of all pools. */
export function runningChildren(): readonly RunningChild[] {
  return [...running];
}

/**
 * Sets limits on the shell's own process, which then becomes the program: a core file is not written, and where memory runs out all the same, Linux ends this process before any
 * other. It also ends it with its parent, whatever it is doing then. What a system does not know or a stricter limit forbids is passed over. What computes gives way to what answers.
 */
const LIMITED = `
{ echo 1000 >/proc/self/oom_score_adj; ulimit -c 0; ulimit -d "$1"; } 2>/dev/null
shift
setpriv --pdeathsig KILL true 2>/dev/null && exec setpriv --pdeathsig KILL nice -n 10 "$@"
exec nice -n 10 "$@"`;

/** V8 reserves as much for the code of each thread, which counts as taken. */
const CODE_RANGE_MEBIBYTES = 544;

/** A process of this Node within limits, with a channel for messages. */
export class LimitedChild<Request, Answer, News> {
  /** Hears what the child says, and at last that it is gone. */
  listener: (message: FromChild<Answer, News> | ChildEnd) => void = () => {};
  /** Resolves when it is gone. */
  readonly gone: Promise<void>;
  readonly #process: ChildProcess;
  #said = '';

  /**
   * @param program the file that it runs
   * @param env all of its environment
   */
  constructor(program: string, env: NodeJS.ProcessEnv, limits: ChildLimits) {
    const { heapMebibytes, memoryMebibytes, threads } = limits;
    const data = memoryMebibytes + (1 + threads) * CODE_RANGE_MEBIBYTES;
    this.#process = fork(program, [], {
      execPath: '/bin/sh',
      execArgv: [
        ...['-c', LIMITED, 'sh', String(data * 1024)],
        ...[process.execPath, `--max-old-space-size=${heapMebibytes}`],
      ],
      env,
      serialization: 'advanced',
      // What scripts wait for stands on this process's stdout alone.
      stdio: ['ignore', 2, 'pipe', 'ipc'],
    });
    this.#process.stderr?.on('data', (chunk: Buffer) => {
      process.stderr.write(chunk);
      this.#said = (this.#said + chunk).slice(-KEPT_CHARACTERS);
    });
    this.#process.on('message', (message) => this.listener(message as FromChild<Answer, News>));
    const { promise, resolve } = Promise.withResolvers<void>();
    this.gone = promise;
    const { pid = 0 } = this.#process;
    const child = { program: basename(program).replace(/\.[jt]s$/, ''), pid };
    if (pid > 0) running.add(child);
    const end = (code: number | null, signal: NodeJS.Signals | null, lastWords: string) => {
      running.delete(child);
      resolve();
      this.listener({ kind: 'gone', code, signal, lastWords });
    };
    // Not at `exit`: its last words may still be on their way.
    this.#process.once('close', (code, signal) => end(code, signal, this.#said));
    // One that could not be started is never closed; a channel that breaks is followed by the end of the process.
    this.#process.on('error', ({ message }) => {
      if (this.#process.pid === undefined) end(null, null, message);
    });
  }

  /** Whether it was killed from here. */
  get isKilled(): boolean {
    return this.#process.killed;
  }

  send(message: ToChild<Request>): void {
    // Of one that is gone, or could not be started, its end is heard.
    if (this.#process.connected) this.#process.send(message, () => {});
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }
}
