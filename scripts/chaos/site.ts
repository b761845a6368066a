import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../test/services/free-port.ts';
import { mentions, type ProcessInfo, readProcesses, readTree } from '../process-tree.ts';
import { readBaseUrl, SERVICE, spawnServer } from '../start-server.ts';
import { Client } from './client.ts';

export type Role = 'all' | 'api' | 'worker';

/** A child whose parent is gone may take so long to notice. */
const ORPHAN_MS = 3000;
/** What a SIGTERM may take: running jobs are given ten seconds. */
const STOP_MS = 30_000;
const WORKER_START_MS = 30_000;

/** A service of one data directory: processes of its roles, which a scenario kills and starts again. */
export class Site {
  readonly directory: string;
  readonly client: Client;
  readonly #port: number;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #servers = new Map<string, ChildProcess>();
  readonly #watches: Promise<void>[] = [];
  /** What outlived its parent, by pid and time of start. */
  readonly #left = new Map<string, string>();

  private constructor(directory: string, environment: Readonly<Record<string, string>>, port: number) {
    this.directory = directory;
    this.#port = port;
    this.#environment = environment;
    this.client = new Client(`http://127.0.0.1:${port}`);
  }

  /** @param directory empty or an earlier site's; its path marks the site's processes, so that they are found when their parents are gone */
  static async create(directory: string, environment: Readonly<Record<string, string>>): Promise<Site> {
    return new Site(directory, environment, await freePort());
  }

  /** Starts a process of a role; `name` tells it from others of the role. */
  async start(role: Role, name: string = role): Promise<void> {
    const environment = {
      LOG_LEVEL: 'fatal',
      DATA_DIR: this.directory,
      PORT: String(this.#port),
      // Within the data directory it would fill a small disk of a scenario, and outlive its processes.
      NODE_COMPILE_CACHE: join(import.meta.dirname, '../../node_modules/.cache/node'),
      ...this.#environment,
    };
    const server = spawnServer(SERVICE, environment, role);
    this.#servers.set(name, server);
    if (role === 'worker') await untilListensToSignals(server);
    else await readBaseUrl(server);
  }

  /** Ends a process, by default so that it notices nothing, and watches that nothing outlives it. */
  async kill(name: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const server = this.#serverOf(name);
    const below = (await readTree(server.pid ?? 0)).filter(({ pid }) => pid !== server.pid);
    const exited = hasEnded(server) ? null : once(server, 'exit');
    server.kill(signal);
    if (exited) await Promise.race([exited, sleep(STOP_MS, undefined, { ref: false })]);
    if (!hasEnded(server)) {
      this.#left.set(String(server.pid), `the ${name} itself, ${STOP_MS / 1000} s after ${signal}`);
      server.kill('SIGKILL');
      await exited;
    }
    this.#servers.delete(name);
    this.#watches.push(this.#countLeft(below));
  }

  /** Sends a signal to a process that goes on after it. */
  signal(name: string, signal: NodeJS.Signals): void {
    this.#serverOf(name).kill(signal);
  }

  /** The processes below one: of a worker, those that compute its jobs. */
  async descendants(name: string): Promise<number[]> {
    const { pid = 0 } = this.#serverOf(name);
    return (await readTree(pid)).map((info) => info.pid).filter((other) => other !== pid);
  }

  /** Ends all in order; resolves to what is left then, or was left by a kill before: a program each. */
  async close(): Promise<string[]> {
    for (const name of [...this.#servers.keys()].reverse()) await this.kill(name, 'SIGTERM');
    await Promise.all(this.#watches);
    for (const { pid, startTicks } of await readProcesses())
      if (await mentions(pid, this.directory)) {
        await this.#leave(pid, startTicks);
        process.kill(pid, 'SIGKILL');
      }
    return [...this.#left.values()];
  }

  async #countLeft(below: readonly ProcessInfo[]): Promise<void> {
    await sleep(ORPHAN_MS);
    const now = new Map((await readProcesses()).map(({ pid, startTicks }) => [pid, startTicks]));
    for (const { pid, startTicks } of below)
      if (now.get(pid) === startTicks) await this.#leave(pid, startTicks);
  }

  async #leave(pid: number, startTicks: number): Promise<void> {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    const program = command.split('\0').findLast((word) => word.includes('/')) ?? '';
    this.#left.set(`${pid}/${startTicks}`, basename(program));
  }

  #serverOf(name: string): ChildProcess {
    const server = this.#servers.get(name);
    if (!server) throw new Error(`no process ${name} runs`);
    return server;
  }
}

/** A worker says nothing: it works once it catches SIGTERM, which it does as its last step of starting. */
async function untilListensToSignals(server: ChildProcess): Promise<void> {
  const deadline = Date.now() + WORKER_START_MS;
  const SIGTERM_BIT = 1n << 14n;
  while (Date.now() < deadline && !hasEnded(server)) {
    const status = await readFile(`/proc/${server.pid}/status`, 'utf8').catch(() => '');
    const caught = /^SigCgt:\s+([0-9a-f]+)/m.exec(status)?.[1] ?? '0';
    if (BigInt(`0x${caught}`) & SIGTERM_BIT) return;
    await sleep(20);
  }
  throw new Error('the worker did not start');
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
