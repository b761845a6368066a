/**
 * Reads every model of Debian's libonnx-testdata (ONNX's own node and model tests), prunes those that have prunable
 * weights, and loads the result in onnxruntime. Prints counts; exits 1 when a model that loads dense does not load pruned, or
 * anything but a precise refusal is thrown.
 *
 *   apt-get install libonnx-testdata && npm run check:onnx-testdata
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { EmpError } from '../src/core/errors.ts';
import type { ModelInventory } from '../src/formats/model.ts';
import { prune } from '../src/pipeline/prune.ts';
import { recipeSchema } from '../src/recipe/recipe.ts';
import { installedModels, readModel } from './model-files.ts';

const counts = new Map<string, number>();
const failures: string[] = [];

function count(what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

const files = process.argv.slice(2);
const models = files.length > 0 ? files : installedModels();
for (const model of models) await check(model);
for (const [what, times] of counts) console.log(`${String(times).padStart(6)}  ${what}`);
for (const failure of failures) console.log(`FAILED ${failure}`);
process.exitCode = failures.length > 0 ? 1 : 0;

async function check(path: string): Promise<void> {
  count('models');
  try {
    const inventory = await readOrRefuse(path);
    if (!inventory) return;
    count('models read');
    if (!inventory.tensors.some(({ prunable }) => prunable)) return;
    count('models with prunable weights');
    await pruneAndLoad(path, inventory);
  } catch (error) {
    failures.push(`${path}: ${error instanceof Error ? error.stack : error}`);
  }
}

async function readOrRefuse(path: string): Promise<ModelInventory | null> {
  try {
    return (await readModel(path)).inventory;
  } catch (error) {
    if (!(error instanceof EmpError)) throw error;
    count(`refused: ${error.code}`);
    console.log(`refused ${relative(process.cwd(), path)}: ${error.message}`);
    return null;
  }
}

async function pruneAndLoad(path: string, inventory: ModelInventory): Promise<void> {
  const outputDirectory = await mkdtemp(join(tmpdir(), 'emp-testdata-'));
  try {
    const input = {
      model: { directory: dirname(path), inventory },
      identity: { name: basename(path), sha256: '', sizeBytes: 1 },
      scores: null,
      calibration: null,
      selection: null,
      evaluation: null,
      recipe: recipeSchema.parse({ scope: 'layer' }),
      outputDirectory,
      runtime: { providers: ['cpu'] as const, threads: 1 },
    };
    await prune(input, { signal: new AbortController().signal, onProgress: () => {} });
    count('models pruned');
    if (!(await loads(path))) return count('models that onnxruntime does not load even dense');
    if (await loads(join(outputDirectory, basename(path))))
      return count('pruned models loaded in onnxruntime');
    failures.push(`${path}: loads dense, not pruned`);
  } catch (error) {
    if (!(error instanceof EmpError)) throw error;
    count(`not pruned: ${error.code}`);
    console.log(`not pruned ${path}: ${error.message}`);
  } finally {
    await rm(outputDirectory, { recursive: true });
  }
}

async function loads(path: string): Promise<boolean> {
  try {
    const session = await InferenceSession.create(path, { logSeverityLevel: 4 });
    await session.release();
    return true;
  } catch {
    return false;
  }
}
