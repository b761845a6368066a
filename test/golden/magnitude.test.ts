import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { checkPruning, type GoldenPruning } from '../pipeline/golden-pruning.ts';
import { sharedFixtures } from '../shared.ts';

const MODELS = ['fc2-mnist', 'fc5-fashion', 'cnn-fashion', 'kan-mnist', 'llama-tiny'];
const FILES = ['model.safetensors', 'model.onnx', 'sharded', 'model.bf16.safetensors'];
const fixtures = sharedFixtures();
const skip = fixtures === null ? 'the shared fixtures are absent: magnitude was not compared' : false;

describe('magnitude against the golden figures', { skip }, () => {
  for (const model of MODELS) {
    const folder = join(fixtures ?? '', model);
    for (const file of FILES) {
      if (!existsSync(join(folder, file))) continue;
      test(`${model}/${file}`, async () => {
        const golden = JSON.parse(await readFile(join(folder, 'golden.json'), 'utf8'));
        const prunings: GoldenPruning[] = [
          golden[file.includes('bf16') ? 'magnitude_bf16' : 'magnitude'],
        ].flat();
        for (const pruning of prunings) {
          if (!pruning.scope) throw new Error(`unexpected golden file: ${Object.keys(pruning)}`);
          await checkPruning(join(folder, file), pruning, Object.keys(golden.prunable));
        }
      });
    }
  }
});
