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

const SCRIPT = fileURLToPath(new URL('python-baselines.py', import.meta.url));

/** Null where no Python with PyTorch and NumPy is found. */
export async function startPython(): Promise<PythonBaselines | null> {
  const python = ['python3', '/usr/bin/python3'].find(
    (path) => spawnSync(path, ['-c', 'import torch, numpy']).status === 0,
  );
  if (python === undefined) return null;
  const child = spawn(python, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
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
