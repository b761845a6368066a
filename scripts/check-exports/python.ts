import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ensureEnvironment } from '../python-environment.ts';

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

/** The Python that exports, in `cache`; throws as `ensureEnvironment`. */
export async function ensurePython(cache: string): Promise<string> {
  return await ensureEnvironment(cache, PACKAGES);
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

/** `torch 2.13.0, transformers 5.24.0, ...` as they are installed. */
export const VERSIONS = PACKAGES.map((name) => name.replace('==', ' ')).join(', ');
