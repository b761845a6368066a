import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readProcesses, readTree, readTreeUsage, type TreeUsage } from '../process-tree.ts';
import { SERVICE, type Server, startServer } from '../start-server.ts';
import type { Attack } from './attack.ts';
import { FOLLOWING, followUp } from './follow-up.ts';
import { HealthWatch } from './health-watch.ts';
import { type Answer, send } from './send.ts';
import { warmUp } from './warm-up.ts';

/** What an input may take of the service. */
export interface Bounds {
  /** The longest answer to `/healthz` meanwhile, beyond what the machine itself adds. */
  readonly healthMs: number;
  /** Of all of the service's processes, beyond what they held before, when the input is done with. */
  readonly memoryMebibytes: number;
  /** The same while it is worked on. */
  readonly peakMebibytes: number;
  /** Of all of the service's processes: for each request... */
  readonly cpuSeconds: number;
  /** ...and for each mebibyte of it. */
  readonly cpuSecondsPerMebibyte: number;
  /** Until an answer. */
  readonly answerMs: number;
  /** Memory is given back by and by: until then. */
  readonly settleMs: number;
}

export const BOUNDS: Bounds = {
  healthMs: 200,
  memoryMebibytes: 100,
  peakMebibytes: 4500,
  cpuSeconds: 3,
  cpuSecondsPerMebibyte: 4,
  answerMs: 30_000,
  settleMs: 20_000,
};

/** What one input did. */
export interface Observation {
  readonly attack: Attack;
  readonly statuses: readonly number[];
  readonly healthMs: number;
  /** The same of a server that has nothing to do. */
  readonly idleMs: number;
  readonly cpuSeconds: number;
  readonly memoryMebibytes: number;
  readonly peakMebibytes: number;
  /** What was beyond the bounds, in words; empty where all was well. */
  readonly findings: readonly string[];
}

const MEBIBYTE = 2 ** 20;
const SAMPLE_MS = 100;
/** The machine has other things to do: beyond this the service is ended. */
const SAFETY_MEBIBYTES = Math.min(8 * 1024, totalmem() / MEBIBYTE / 2);
/** An answer may be this much, and a few times what was sent. */
const ANSWER_BYTES = 8 * MEBIBYTE;
const ANSWER_PER_BYTE = 10;
const HONEST = [503, 507];
/** In this time `/healthz` has been asked. */
const ASKED_MS = 60;

/** Starts a service on an empty data directory. */
type StartService = (dataDirectory: string) => Promise<Server>;

async function startWarm(dataDirectory: string): Promise<Server> {
  const service = await startServer(SERVICE, { DATA_DIR: dataDirectory, LOG_LEVEL: 'fatal' });
  await warmUp(service.baseUrl);
  return service;
}

/** A service in processes of its own, struck with one hostile input after the other and watched from outside. */
export class Arena implements AsyncDisposable {
  readonly #bounds: Bounds;
  readonly #directory: string;
  readonly #idle: Server;
  readonly #start: StartService;
  #service: Server | null = null;
  #health: HealthWatch | null = null;
  #before: TreeUsage = { memoryBytes: 0, cpuSeconds: 0 };

  private constructor(bounds: Bounds, directory: string, idle: Server, start: StartService) {
    this.#bounds = bounds;
    this.#start = start;
    this.#directory = directory;
    this.#idle = idle;
  }

  /** @param start a service that is ready for what is measured; the tests have their own */
  static async open(bounds: Bounds = BOUNDS, start: StartService = startWarm): Promise<Arena> {
    const directory = await mkdtemp(join(tmpdir(), 'emp-fuzz-'));
    const idle = await startServer(new URL('./idle-server.ts', import.meta.url), {});
    const arena = new Arena(bounds, directory, idle, start);
    await arena.#ready();
    return arena;
  }

  /** Sends an attack, waits until the service is quiet again, and says what it did. After a finding the next one meets a new service. */
  async strike(attack: Attack): Promise<Observation> {
    const { baseUrl, pid = 0 } = await this.#ready();
    const peak = this.#watchMemory(pid);
    this.#health?.reset();
    const sending = Array.from({ length: attack.times }, () =>
      send(baseUrl, attack.request, this.#bounds.answerMs),
    );
    const answers = await Promise.all(sending);
    const followed = await followUp(baseUrl, answers, this.#bounds.answerMs);
    await sleep(ASKED_MS);
    const after = await this.#settle(pid);
    const peakMebibytes = peak.stop();
    const [healthMs = 0, idleMs = 0] = this.#health?.longestMs() ?? [];
    const seen = {
      attack,
      statuses: answers.map(({ status }) => status),
      healthMs,
      idleMs,
      cpuSeconds: after.cpuSeconds - this.#before.cpuSeconds,
      memoryMebibytes: (after.memoryBytes - this.#before.memoryBytes) / MEBIBYTE,
      peakMebibytes: peakMebibytes - this.#before.memoryBytes / MEBIBYTE,
    };
    const findings = [
      ...followed.findings,
      ...this.#judge(seen, [...answers, ...followed.answers]),
      ...(peak.isOver() ? ['ended for its memory'] : []),
    ];
    if (findings.length > 0) await this.#end('SIGKILL');
    // What is held now is not this input's fault, what was used is counted.
    else this.#before = { ...this.#before, cpuSeconds: after.cpuSeconds };
    return { ...seen, findings };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end('SIGTERM');
    await this.#idle[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  async #ready(): Promise<Server> {
    if (this.#service) return this.#service;
    const data = await mkdtemp(join(this.#directory, 'data-'));
    const service = await this.#start(data);
    this.#service = service;
    this.#before = await readTreeUsage(service.pid ?? 0);
    this.#health = new HealthWatch(`${service.baseUrl}/healthz`, `${this.#idle.baseUrl}/healthz`);
    return service;
  }

  *#judge(seen: Omit<Observation, 'findings'>, answers: readonly Answer[]): Generator<string> {
    const { attack, healthMs, idleMs, cpuSeconds, memoryMebibytes, peakMebibytes } = seen;
    const bounds = this.#bounds;
    if (healthMs - idleMs > bounds.healthMs)
      yield `health answered after ${healthMs.toFixed(0)} ms (an idle server ${idleMs.toFixed(0)} ms)`;
    if (memoryMebibytes > bounds.memoryMebibytes) yield `${memoryMebibytes.toFixed(0)} MiB more are held`;
    if (peakMebibytes > bounds.peakMebibytes)
      yield `${peakMebibytes.toFixed(0)} MiB more were held meanwhile`;
    const sent = (attack.request.body.byteLength * attack.times) / MEBIBYTE;
    const allowed =
      bounds.cpuSeconds * Math.min(answers.length, attack.times * (1 + FOLLOWING)) +
      bounds.cpuSecondsPerMebibyte * sent;
    if (cpuSeconds > allowed)
      yield `${cpuSeconds.toFixed(1)} CPU seconds for ${sent.toFixed(2)} MiB (${allowed.toFixed(1)} allowed)`;
    for (const { status, text, byteLength, isLate } of answers) {
      if (isLate) yield `no answer within ${bounds.answerMs / 1000} s`;
      if (status >= 500 && !HONEST.includes(status)) yield `answer ${status}: ${text.slice(0, 300)}`;
      if (byteLength > ANSWER_BYTES + ANSWER_PER_BYTE * attack.request.body.byteLength)
        yield `an answer of ${(byteLength / MEBIBYTE).toFixed(0)} MiB`;
    }
  }

  /** Waits until the service holds no more than before, or for as long as it may take. */
  async #settle(pid: number): Promise<TreeUsage> {
    const deadline = Date.now() + this.#bounds.settleMs;
    for (;;) {
      const usage = await readTreeUsage(pid);
      const more = (usage.memoryBytes - this.#before.memoryBytes) / MEBIBYTE;
      if (more <= this.#bounds.memoryMebibytes || Date.now() > deadline) return usage;
      await sleep(SAMPLE_MS);
    }
  }

  #watchMemory(pid: number) {
    let peakBytes = this.#before.memoryBytes;
    let isOver = false;
    const timer = setInterval(async () => {
      const { memoryBytes } = await readTreeUsage(pid);
      peakBytes = Math.max(peakBytes, memoryBytes);
      if (memoryBytes < SAFETY_MEBIBYTES * MEBIBYTE || isOver) return;
      isOver = true;
      await killTree(pid);
    }, SAMPLE_MS);
    return {
      isOver: () => isOver,
      /** In MiB. */
      stop() {
        clearInterval(timer);
        return peakBytes / MEBIBYTE;
      },
    };
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const service = this.#service;
    this.#service = null;
    await this.#health?.[Symbol.asyncDispose]();
    this.#health = null;
    if (!service?.pid) return;
    if (signal === 'SIGKILL') await killTree(service.pid);
    await service[Symbol.asyncDispose]();
  }
}

async function killTree(pid: number): Promise<void> {
  const tree = await readTree(pid);
  const alive = new Map((await readProcesses()).map((info) => [info.pid, info.startTicks]));
  for (const { pid: one, startTicks } of tree)
    if (alive.get(one) === startTicks) process.kill(one, 'SIGKILL');
}
