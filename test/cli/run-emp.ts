import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const EMP = join(ROOT, 'src/emp.ts');
export const MODEL = join(ROOT, 'examples/fc2-mnist.onnx');
export const INPUTS = join(ROOT, 'examples/mnist/evaluation_inputs.npy');
export const LABELS = join(ROOT, 'examples/mnist/evaluation_labels.npy');
export const CALIBRATION = join(ROOT, 'examples/mnist/calibration_inputs.npy');
/** The network of the examples, with its data. */
export const EXAMPLE = [MODEL, '--inputs', INPUTS, '--labels', LABELS];

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder to run the command line in. */
export interface Place {
  readonly path: string;
  /** Where temporary files go. */
  readonly temporary: string;
  /** Runs it to its end. */
  emp(...args: string[]): Promise<Ended>;
  start(args: readonly string[], options?: StartOptions): ChildProcess;
  /** All that lies in the folder, and among the temporary files. */
  files(): Promise<string[]>;
}

interface StartOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly program?: readonly string[];
}

export async function openPlace(t: TestContext): Promise<Place> {
  const root = await mkdtemp(join(tmpdir(), 'emp-cli-'));
  t.after(() => rm(root, { recursive: true, force: true, maxRetries: 3 }));
  const path = join(root, 'here');
  const temporary = join(root, 'temporary');
  for (const folder of [path, temporary]) await mkdir(folder);
  const start: Place['start'] = (args, { cwd = path, env = {}, program = [process.execPath, EMP] } = {}) => {
    const [command, ...before] = program;
    const { REDIS_URL: _redis, DATABASE_URL: _database, ...inherited } = process.env;
    const child = spawn(command, [...before, ...args], {
      cwd,
      env: { ...inherited, TMPDIR: temporary, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.after(() => child.kill('SIGKILL'));
    return child;
  };
  return {
    path,
    temporary,
    start,
    emp: (...args) => ended(start(args)),
    async files() {
      return [...(await readdir(path)), ...(await readdir(temporary))];
    },
  };
}

/** What a process said, and how it ended. */
export async function ended(child: ChildProcess): Promise<Ended> {
  const [stdout, stderr, [code]] = await Promise.all([
    child.stdout ? text(child.stdout) : '',
    child.stderr ? text(child.stderr) : '',
    once(child, 'close'),
  ]);
  return { code, stdout, stderr };
}
