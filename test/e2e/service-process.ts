import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readBaseUrl, SERVICE, spawnServer } from '../../scripts/start-server.ts';

/** One role of the service in a process of its own, to be killed. */
export class ServiceProcess {
  readonly #child: ChildProcess;
  /** `http://127.0.0.1:PORT`; empty for a worker. */
  readonly url: string;
  #isStopped = false;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
    child.once('exit', (code, signal) => {
      // Its clients would only hear that a connection was closed.
      if (!this.#isStopped) throw new Error(`the service ended by itself: code ${code}, signal ${signal}`);
    });
  }

  static async start(
    role: 'all' | 'api' | 'worker',
    environment: Record<string, string>,
  ): Promise<ServiceProcess> {
    const child = spawnServer(SERVICE, { LOG_LEVEL: 'error', ...environment }, role);
    return new ServiceProcess(child, role === 'worker' ? '' : await readBaseUrl(child));
  }

  /** Process ids of the computing children. */
  async children(): Promise<number[]> {
    const { pid } = this.#child;
    const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.trim().split(' ').filter(Boolean).map(Number);
  }

  /** Of the process itself, without its children. */
  async residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.#child.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    this.#isStopped = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill(signal);
    await once(this.#child, 'exit');
  }
}

/** Processes of the service and their data directories, which are gone when it is disposed of. */
export class ServiceProcesses implements AsyncDisposable {
  readonly #started: ServiceProcess[] = [];
  readonly #directories: string[] = [];

  async start(...args: Parameters<typeof ServiceProcess.start>): Promise<ServiceProcess> {
    const service = await ServiceProcess.start(...args);
    this.#started.push(service);
    return service;
  }

  async dataDirectory(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'emp-killed-'));
    this.#directories.push(directory);
    return directory;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const service of this.#started) await service.stop('SIGKILL');
    // A killed service's child may still be writing.
    for (const directory of this.#directories)
      await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
