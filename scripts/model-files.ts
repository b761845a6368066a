import { execFileSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { StoredModel } from '../src/formats/stored-model.ts';
import { readStoredModel } from '../src/graph/inventory.ts';

/** The models of Debian's libonnx-testdata. */
export function installedModels(): string[] {
  const listed = execFileSync('dpkg', ['-L', 'libonnx-testdata'], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  return listed.split('\n').filter((path) => path.endsWith('.onnx'));
}

/** Throws as `readStoredModel`. */
export async function readModel(path: string): Promise<StoredModel> {
  return await readStoredModel(dirname(path), await modelFiles(path));
}

/** The model, and what lies beside it that could be its external data. */
async function modelFiles(path: string): Promise<string[]> {
  const beside = await readdir(dirname(path), { withFileTypes: true });
  const others = beside.filter(
    (entry) => entry.isFile() && /\.(bin|data|weight|onnx_data)$/.test(entry.name),
  );
  return [basename(path), ...others.map(({ name }) => name)];
}
