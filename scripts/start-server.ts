import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const SERVICE = new URL('../src/main.ts', import.meta.url);

/** A server in a process of its own; disposing of it stops the process and waits for its end. */
export interface Server extends AsyncDisposable {
  readonly baseUrl: string;
}

/**
 * Runs a TypeScript file and waits for its line `listening on http://HOST:PORT`. It listens on a free port of localhost, and has no queue but
 * the embedded one unless `environment` names it.
 */
export async function startServer(file: URL, environment: Readonly<Record<string, string>>): Promise<Server> {
  const { REDIS_URL: _redis, DATABASE_URL: _database, ...inherited } = process.env;
  const child = spawn(process.execPath, [fileURLToPath(file)], {
    env: { LOG_LEVEL: 'warn', ...inherited, HOST: '127.0.0.1', PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
  };
  for await (const line of createInterface({ input: child.stdout })) {
    const baseUrl = /listening on (http:\S+)/.exec(line)?.[1];
    if (baseUrl === undefined) continue;
    child.stdout.resume();
    return { baseUrl, [Symbol.asyncDispose]: stop };
  }
  const [code, signal] = await exited;
  throw new Error(`the server did not start: ${signal ?? `exit code ${code}`}`);
}
