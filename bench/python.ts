import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface PythonAnswer {
  readonly ms: number;
  readonly value: number;
}

/** A Python process that keeps its arrays and times itself. One question at a time. */
export interface PythonBaselines extends Disposable {
  readonly versions: string;
  ask(command: string): Promise<PythonAnswer>;
}

export interface PythonOptions {
  readonly args?: readonly string[];
  /** Of one operation, whichever BLAS does it; the libraries' own choice where it is not given. */
  readonly threads?: number;
}

/**
 * Starts a script of this folder, which prints its versions as its first line. Null where no Python with PyTorch and NumPy is found.
 */
export async function startPython(
  script: string,
  { args = [], threads }: PythonOptions = {},
): Promise<PythonBaselines | null> {
  const python = ['python3', '/usr/bin/python3'].find(
    (path) => spawnSync(path, ['-c', 'import torch, numpy']).status === 0,
  );
  if (python === undefined) return null;
  const child = spawn(python, [fileURLToPath(new URL(script, import.meta.url)), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...(threads === undefined ? {} : threadVariables(threads)) },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextLine = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the Python baselines ended');
    return value;
  };
  return {
    versions: await nextLine(),
    ask: async (command) => {
      child.stdin.write(`${command}\n`);
      const [ms, value] = (await nextLine()).split(' ').map(Number);
      return { ms, value };
    },
    [Symbol.dispose]: () => child.stdin.end(),
  };
}

/** PyTorch's own setting does not reach a BLAS that has threads of its own, and all of them read these before they are loaded. */
function threadVariables(threads: number): NodeJS.ProcessEnv {
  const names = ['OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'];
  return Object.fromEntries(names.map((name) => [name, String(threads)]));
}
