import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** One role of the service in a process of its own, to be killed. */
export class ServiceProcess {
  readonly #child: ChildProcess;
  /** `http://127.0.0.1:PORT`; empty for a worker. */
  readonly url: string;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  static async start(
    role: 'all' | 'api' | 'worker',
    environment: Record<string, string>,
  ): Promise<ServiceProcess> {
    const { REDIS_URL: _redis, DATABASE_URL: _database, ...inherited } = process.env;
    const child = spawn(process.execPath, [MAIN, role], {
      env: { ...inherited, LOG_LEVEL: 'error', PORT: '0', ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (role === 'worker') {
      child.stdout?.resume();
      return new ServiceProcess(child, '');
    }
    for await (const line of createInterface({ input: child.stdout ?? ([] as never) })) {
      const url = /listening on (http:\S+)/.exec(line)?.[1];
      if (!url) continue;
      child.stdout?.resume();
      return new ServiceProcess(child, url);
    }
    throw new Error(`${role} ended without serving`);
  }

  /** Process ids of the computing children. */
  async children(): Promise<number[]> {
    const { pid } = this.#child;
    const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.trim().split(' ').filter(Boolean).map(Number);
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill(signal);
    await once(this.#child, 'exit');
  }
}
