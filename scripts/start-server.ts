import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const SERVICE = new URL('../src/main.ts', import.meta.url);

/** As the image and the scripts that start the service have it. */
const ALLOCATION = { MALLOC_MMAP_THRESHOLD_: '131072' };

/** A server in a process of its own; disposing of it stops the process and waits for its end. */
export interface Server extends AsyncDisposable {
  readonly baseUrl: string;
  readonly pid: number | undefined;
}

/**
 * Runs a TypeScript file as a server on a free port of localhost. It has no queue but the embedded one unless `environment` names it, and
 * what it logs appears on stderr.
 */
export function spawnServer(
  file: URL,
  environment: Readonly<Record<string, string>>,
  ...args: string[]
): ChildProcess {
  const { REDIS_URL: _redis, DATABASE_URL: _database, ...inherited } = process.env;
  return spawn(process.execPath, [fileURLToPath(file), ...args], {
    env: { LOG_LEVEL: 'warn', ...ALLOCATION, ...inherited, HOST: '127.0.0.1', PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Waits for the line `listening on http://HOST:PORT`. Rejects when the server ends without it. */
export async function readBaseUrl({ stdout }: ChildProcess): Promise<string> {
  if (stdout === null) throw new Error('the server was started without a pipe');
  for await (const line of createInterface({ input: stdout })) {
    const baseUrl = /listening on (http:\S+)/.exec(line)?.[1];
    if (baseUrl === undefined) continue;
    stdout.resume();
    return baseUrl;
  }
  throw new Error('the server ended before it listened');
}

/** Starts a server and waits until it listens. */
export async function startServer(
  file: URL,
  environment: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<Server> {
  const child = spawnServer(file, environment, ...args);
  const exited = once(child, 'exit');
  return {
    baseUrl: await readBaseUrl(child),
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
