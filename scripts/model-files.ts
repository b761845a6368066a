import { execFileSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { openFileSource } from '../src/formats/file-source.ts';
import type { ModelInventory } from '../src/formats/model.ts';
import { readOnnxInventory } from '../src/graph/onnx-inventory.ts';

/** The models of Debian's libonnx-testdata. */
export function installedModels(): string[] {
  const listed = execFileSync('dpkg', ['-L', 'libonnx-testdata'], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  return listed.split('\n').filter((path) => path.endsWith('.onnx'));
}

/** Throws as `readOnnxInventory`. */
export async function readInventory(path: string): Promise<ModelInventory> {
  await using stack = new AsyncDisposableStack();
  const sources = new Map();
  for (const name of await modelFiles(path))
    sources.set(name, stack.use(await openFileSource(join(dirname(path), name))));
  return await readOnnxInventory(sources);
}

/** The model, and what lies beside it that could be its external data. */
async function modelFiles(path: string): Promise<string[]> {
  const beside = await readdir(dirname(path), { withFileTypes: true });
  const others = beside.filter(
    (entry) => entry.isFile() && /\.(bin|data|weight|onnx_data)$/.test(entry.name),
  );
  return [basename(path), ...others.map(({ name }) => name)];
}
