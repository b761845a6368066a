/**
 * Holds the gradients of models against central finite differences, which onnxruntime evaluates in float64: the models with weights that ONNX's tests in Debian's libonnx-testdata have from PyTorch,
 * kan-mnist of the shared fixtures where they are, and the models named. Prints a line for each, with the largest error of the directional derivatives along each of its
 * weights; exits 1 where one exceeds 1e-3, or anything but a precise refusal is thrown.
 *
 *   apt-get install libonnx-testdata && npm run check:gradients [-- path/to/model.onnx ...]
 */
import { basename, dirname, join } from 'node:path';
import { isFloatDtype } from '../src/core/dtype.ts';
import { EmpError } from '../src/core/errors.ts';
import { openSession } from '../src/runtime/session.ts';
import { sharedFixtures } from '../test/shared.ts';
import { checkModel, RUNTIME } from './check-gradients/check-model.ts';
import { installedModels, readModel } from './model-files.ts';

const TOLERANCE = 1e-3;

const counts = new Map<string, number>();
const failures: string[] = [];
let worst = 0;

const fixtures = sharedFixtures();
const kan = fixtures === null ? [] : [join(fixtures, 'kan-mnist', 'model.onnx')];
const pytorch = installedModels().filter((path) => /\/pytorch-(converted|operator)\//.test(path));
for (const path of [...pytorch, ...kan, ...process.argv.slice(2)]) await check(path);
for (const [what, times] of counts) console.log(`${String(times).padStart(6)}  ${what}`);
console.log(`largest error ${worst.toExponential(1)}`);
for (const failure of failures) console.log(`FAILED ${failure}`);
process.exitCode = failures.length > 0 ? 1 : 0;

function count(what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

async function check(path: string): Promise<void> {
  const name = join(basename(dirname(path)), basename(path));
  count('models');
  try {
    const model = await readModel(path);
    const { inventory } = model;
    if (!inventory.tensors.some(({ dtype }) => isFloatDtype(dtype))) return;
    count('models with float tensors');
    if (!(await opens(path, name))) return;
    count('models with float tensors that onnxruntime opens');
    if (inventory.tensors.some(({ prunable }) => prunable)) count('of these with prunable weights');
    const { nodes, weights, worst: found } = await checkModel(model);
    worst = Math.max(worst, found.error);
    const error = `largest error ${found.error.toExponential(1)} (${found.weight})`;
    console.log(`${name}: nodes ${nodes}, weights ${weights}, ${error}`);
    if (found.error <= TOLERANCE) count('models whose gradients equal finite differences');
    else failures.push(`${name}: ${error}`);
  } catch (error) {
    // A refusal names the nodes; what onnxruntime says of a gradient graph does not.
    if (error instanceof EmpError && error.findings.length > 0) {
      count('models refused');
      console.log(`${name}: refused: ${error.message}`);
    } else {
      failures.push(`${name}: ${error instanceof Error ? error.stack : error}`);
    }
  }
}

async function opens(path: string, name: string): Promise<boolean> {
  try {
    await using _ = await openSession(path, RUNTIME);
    return true;
  } catch (error) {
    if (!(error instanceof EmpError)) throw error;
    console.log(`${name}: ${error.message}`);
    return false;
  }
}
