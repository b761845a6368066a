import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const EXPORTER = fileURLToPath(new URL('../exports/export.py', import.meta.url));
const PACKAGES = [
  'torch==2.13.0',
  'transformers==5.24.0',
  'onnx==1.23.2',
  'onnxscript==0.7.2',
  'onnxruntime==1.32.0',
  'numpy==2.4.6',
];

/** A model as the exporter wrote it. */
export interface Exported {
  readonly name: string;
  readonly kind: string;
  /** `plain`, or what makes it another file: `opset23`, `fp16`, `qdq`. */
  readonly variant: string;
  /** Of each attention, in order. */
  readonly heads: readonly number[];
  /** Why there is no model. */
  readonly error?: string;
  /** Whether others were asked for. */
  readonly skipped?: true;
  /** Holds `model.onnx`, `inputs/`, `constants/` and `labels.npy` as a dataset takes them, and feeds in `batch-N/`. */
  readonly folder: string;
}

/** Makes a virtual environment of these packages in `cache` unless it is there. Resolves to its Python. */
export async function ensurePython(cache: string): Promise<string> {
  const environment = join(cache, `venv-${sha256(PACKAGES.join('\n')).slice(0, 8)}`);
  const python = join(environment, 'bin', 'python');
  if (existsSync(python)) return python;
  // A name of its own until it is whole: packages that were not installed to the end would be taken for good.
  const begun = `${environment}-begun`;
  await rm(begun, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', begun]);
  await run(join(begun, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', ...PACKAGES]);
  await rename(begun, environment);
  return python;
}

/** The models of the catalogue, of which all are made or those named; those that are in `cache` as their source has them are not made again. */
export async function* exportModels(
  python: string,
  cache: string,
  names: readonly string[],
): AsyncGenerator<Exported> {
  const folder = join(cache, 'models');
  const child = spawn(python, [EXPORTER, folder, ...names], { stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    const about = JSON.parse(line) as Omit<Exported, 'folder'>;
    yield { ...about, folder: join(folder, about.name) };
  }
  const [code] = await exited;
  if (code !== 0) throw new Error(`${EXPORTER} ended with ${code}: run it by hand to see why`);
}

/** Runs a program to its end. @throws Error where it fails */
export async function run(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}`);
}

/** `torch 2.13.0, transformers 5.24.0, ...` as they are installed. */
export const VERSIONS = PACKAGES.map((name) => name.replace('==', ' ')).join(', ');

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
