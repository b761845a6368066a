import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** A server that a test started. */
export interface Service {
  readonly url: string;
  stop(): Promise<void>;
}

/** One whose process a test may disturb; its port and its data stay. */
export interface RestartableService extends Service {
  /** What the server keeps. */
  readonly directory: string;
  /** Sends a signal that the server survives. */
  signal(signal: NodeJS.Signals): void;
  /** Ends the server. */
  halt(signal: NodeJS.Signals): Promise<void>;
  /** Ends it where it runs, starts it again, and waits until it answers. */
  restart(): Promise<void>;
}

export interface RunningProcess {
  /** Throws what the process said when it has ended; tests must fail, not skip, where a server cannot be had. */
  assertAlive(): void;
  stop(signal: NodeJS.Signals): Promise<void>;
  /** Sends a signal that it survives: SIGSTOP freezes it, SIGCONT lets it go on. */
  signal(signal: NodeJS.Signals): void;
}

/** Starts a server process in the foreground. */
export function startProcess(
  command: string,
  args: string[],
  options: { uid?: number; gid?: number; cwd: string },
): RunningProcess {
  const child: ChildProcess = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  let failure: Error | undefined;
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (text) => {
      said = (said + text).slice(-4000);
    });
  child.on('error', (error) => {
    failure = error;
  });
  const ended = () => failure !== undefined || child.exitCode !== null || child.signalCode !== null;
  return {
    assertAlive() {
      if (ended()) throw new Error(`${command} does not run: ${failure?.message ?? said}`);
    },
    signal: (signal) => child.kill(signal),
    async stop(signal) {
      if (ended()) return;
      child.kill(signal);
      await once(child, 'exit');
    },
  };
}

/**
 * Starts a server that keeps its data in `directory`, which `stop` removes.
 * @param start starts the server's process
 * @param ask resolves when the server answers
 * @param stopSignal ends it in order
 */
export async function startRestartable(
  url: string,
  directory: string,
  start: () => RunningProcess,
  ask: () => Promise<unknown>,
  stopSignal: NodeJS.Signals,
): Promise<RestartableService> {
  let server = start();
  await untilReady(server, ask);
  return {
    url,
    directory,
    signal: (signal) => server.signal(signal),
    halt: (signal) => server.stop(signal),
    async restart() {
      await server.stop(stopSignal);
      server = start();
      await untilReady(server, ask);
    },
    async stop() {
      server.signal('SIGCONT');
      await server.stop(stopSignal);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Asks until the server answers. */
export async function untilReady(server: RunningProcess, ask: () => Promise<unknown>): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    server.assertAlive();
    try {
      await ask();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}
