import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { EmpError } from '../../src/core/errors.ts';
import { measureLatency } from '../../src/runtime/latency.ts';
import { openSession } from '../../src/runtime/session.ts';
import { type CheckedRemoval, checkRemovalOf, structuresOf } from '../../test/structure/removal-check.ts';
import { readModel } from '../model-files.ts';

/** Of the largest number of an output. */
const TOLERANCE = 1e-5;
const LATENCY_BATCH = 8;
const RUNTIME = { providers: ['cpu'], threads: 2 } as const;
const HEADINGS = [
  ...['model', 'families', 'structures', 'removed', 'parameters', 'bytes', 'latency'],
  ...['masked', 'zeroed'],
];

export interface CheckedModel {
  readonly name: string;
  /** Cells of the table; null where nothing can be removed or the model does not run. */
  readonly row: readonly string[] | null;
  /** Why there is none. */
  readonly remark: string | null;
  readonly failure: string | null;
}

export function tableHead(): string {
  return `${tableRow(HEADINGS)}\n${tableRow(HEADINGS.map(() => '---'))}`;
}

export function tableRow(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** Removes three in ten structures of every family of a model, and says what became of it: ratios are dense to pruned. */
export async function checkModel(path: string): Promise<CheckedModel> {
  const name = join(basename(dirname(path)), basename(path));
  const checked = { name, row: null, remark: null, failure: null };
  if (!(await opens(path))) return { ...checked, remark: 'onnxruntime does not open it' };
  try {
    const { families } = await structuresOf(path);
    if (families.length === 0) return { ...checked, remark: 'nothing can be removed' };
    await using removal = await checkRemovalOf(path);
    const { masked, zeroed, removed } = removal;
    const structures = families.reduce((sum, family) => sum + family.structures.length, 0);
    const errors = [masked, zeroed].map((error) => error.toExponential(1));
    const counts = [families.length, structures, removed.size].map(String);
    const row = [name, ...counts, ...(await ratiosOf(path, removal)), ...errors];
    const isExact = masked <= TOLERANCE && zeroed <= TOLERANCE;
    return { ...checked, row, failure: isExact ? null : `differs by ${errors.join(' and ')}` };
  } catch (error) {
    if (!(error instanceof EmpError)) throw error;
    return { ...checked, failure: error.message };
  }
}

async function ratiosOf(path: string, checked: CheckedRemoval): Promise<string[]> {
  const parameters = await Promise.all(
    [path, checked.path].map(async (file) => (await readModel(file)).inventory.nParameters),
  );
  const bytes = await Promise.all([path, checked.path].map(async (file) => (await stat(file)).size));
  await using dense = await openSession(path, RUNTIME);
  await using pruned = await openSession(checked.path, RUNTIME);
  const batch = { start: 0, count: LATENCY_BATCH, feeds: checked.feeds(LATENCY_BATCH), labels: null };
  const [{ name }] = dense.outputs;
  const { signal } = new AbortController();
  const { dense_ms, pruned_ms } = await measureLatency({ dense, pruned, again: dense }, batch, name, signal);
  return [parameters[0] / parameters[1], bytes[0] / bytes[1], dense_ms / pruned_ms].map((ratio) =>
    ratio.toFixed(2),
  );
}

async function opens(path: string): Promise<boolean> {
  try {
    await using _ = await openSession(path, RUNTIME);
    return true;
  } catch (error) {
    if (error instanceof EmpError) return false;
    throw error;
  }
}
