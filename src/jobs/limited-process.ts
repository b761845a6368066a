import { execFile } from 'node:child_process';

/** What a process may take before it is ended. */
export interface ProcessLimits {
  /** From its start. */
  readonly timeMs: number;
  /** Of JavaScript's objects. */
  readonly heapMebibytes: number;
  /** Of all that it writes to, native libraries included; beyond it allocations fail. */
  readonly memoryMebibytes: number;
  /** Of stdout, and of stderr. */
  readonly outputBytes: number;
}

/** How a process ended, when it is gone. */
export interface ProcessEnd {
  /** `ended`: by itself, with code 0. `crashed`: by itself otherwise, or by a signal that was not ours. */
  readonly how: 'ended' | 'crashed' | 'out_of_time' | 'too_much_output' | 'aborted';
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Orphaned by a crash of this process, a child still ends: its threads may be busy at the same time, and no more than so many are. */
const CPU_SECONDS_PER_SECOND = 4;

/**
 * Sets limits on the shell's own process, which then becomes the program: a core file is not written, and where memory runs out all the same, Linux ends this process before any
 * other. What a system does not know or a stricter limit forbids is passed over.
 */
const LIMITED = `
{ echo 1000 >/proc/self/oom_score_adj; ulimit -c 0; ulimit -d "$1"; ulimit -t "$2"; } 2>/dev/null
shift 2
exec "$@"`;

/**
 * Runs a program of this Node in a process of its own, within limits. Resolves when the process is gone, whatever ended it.
 * @param env all of the process's environment
 * @param signal ends it at once
 * @param input what it reads from stdin
 */
export async function runLimited(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  limits: ProcessLimits,
  signal: AbortSignal,
  input = '',
): Promise<ProcessEnd> {
  const { timeMs, heapMebibytes, memoryMebibytes, outputBytes } = limits;
  const nothing = { code: null, signal: null, stdout: '', stderr: '' };
  if (signal.aborted) return { how: 'aborted', ...nothing };
  const cpuSeconds = Math.ceil(timeMs / 1000) * CPU_SECONDS_PER_SECOND;
  const shell = ['-c', LIMITED, 'sh', String(memoryMebibytes * 1024), String(cpuSeconds)];
  const node = [process.execPath, `--max-old-space-size=${heapMebibytes}`, program, ...args];
  const options = { env, timeout: timeMs, killSignal: 'SIGKILL', maxBuffer: outputBytes } as const;
  const { promise, resolve, reject } = Promise.withResolvers<ProcessEnd>();
  const child = execFile('/bin/sh', [...shell, ...node], options, (error, stdout, stderr) => {
    const said = { stdout, stderr };
    if (error === null) return resolve({ ...nothing, ...said, how: 'ended' });
    if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER')
      return resolve({ ...nothing, ...said, how: 'too_much_output' });
    // The shell could not be started.
    if (typeof error.code === 'string') return reject(error);
    const how = signal.aborted ? 'aborted' : error.killed ? 'out_of_time' : 'crashed';
    resolve({ ...said, how, code: error.code ?? null, signal: error.signal ?? null });
  });
  // One that ends before it has read all has said by its end what there is to say.
  child.stdin?.on('error', () => {}).end(input);
  const kill = () => child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', kill);
  }
}
