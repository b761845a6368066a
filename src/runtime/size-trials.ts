import { EmpError, type InputFinding } from '../core/errors.ts';
import type { OpenAxes, SizeChoice } from './open-axes.ts';

/** The shapes that go in, by input, and what all integers in them are. */
export interface RunSetting {
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly integer: number;
}

/** Ids, masks and switches are all 1, unless a model takes only 0, with one of its likeliest sizes. */
export const INTEGER = 1;
const OTHER_INTEGER = 0;
const OTHER_INTEGER_TRIES = 4;
const MAX_FINDINGS = 8;

/**
 * Runs a model under two different sizes of all its open axes, whichever it takes. As a last resort some axes have the same size in both runs: a model that takes
 * no other has them fixed, whatever it says.
 * @param layouts ways in which sizes may hang on each other, the likeliest first
 * @param hasIntegers whether integers go in
 * @param run one run; what it throws as `model_run_failed` tells that the model does not take these sizes
 * @throws EmpError unsupported_model with the first reason and the sizes tried; anything else that `run` throws
 */
export async function runTwice<T>(
  layouts: readonly OpenAxes[],
  hasIntegers: boolean,
  run: (setting: RunSetting) => Promise<T>,
  signal: AbortSignal,
): Promise<readonly [T, T]> {
  const failures: InputFinding[] = [];
  const attempt = async (setting: RunSetting): Promise<T | null> => {
    signal.throwIfAborted();
    try {
      return await run(setting);
    } catch (error) {
      if (!(error instanceof EmpError) || error.code !== 'model_run_failed') throw error;
      failures.push({ path: describe(setting), message: error.message });
      return null;
    }
  };
  let accepted: (Try & { result: T }) | null = null;
  for (const { axes, choice, integer } of listTries(layouts, hasIntegers)) {
    const first = await attempt({ shapes: axes.shapes(choice.first), integer });
    if (first === null) continue;
    const second = await attempt({ shapes: axes.shapes(choice.second), integer });
    if (second !== null) return [first, second];
    accepted ??= { axes, choice, integer, result: first };
  }
  if (accepted === null) throw unrunnable(failures);
  const { axes, choice, integer, result } = accepted;
  const varied = await varyFewer(axes, choice, (sizes) => attempt({ shapes: axes.shapes(sizes), integer }));
  return [result, varied ?? result];
}

interface Try {
  readonly axes: OpenAxes;
  readonly choice: SizeChoice;
  readonly integer: number;
}

/** Every layout's likeliest choice, then every layout's next. */
function listTries(layouts: readonly OpenAxes[], hasIntegers: boolean): Try[] {
  const choices = layouts
    .flatMap((axes) => axes.choices().map((choice, rank) => ({ axes, choice, rank })))
    .sort((a, b) => a.rank - b.rank)
    .map(({ axes, choice }) => ({ axes, choice }));
  const others = hasIntegers ? choices.slice(0, OTHER_INTEGER_TRIES) : [];
  return [
    ...choices.map((each) => ({ ...each, integer: INTEGER })),
    ...others.map((each) => ({ ...each, integer: OTHER_INTEGER })),
  ];
}

/** The second run with the other sizes of as many axes as the model takes, whole kinds first; null where it takes none. */
async function varyFewer<T>(
  axes: OpenAxes,
  { first, second }: SizeChoice,
  attempt: (sizes: readonly number[]) => Promise<T | null>,
): Promise<T | null> {
  let sizes = first;
  let result: T | null = null;
  const vary = async (groups: readonly number[]) => {
    const chosen = new Set(groups);
    const varied = sizes.map((size, group) => (chosen.has(group) ? second[group] : size));
    const found = await attempt(varied);
    if (found !== null) [sizes, result] = [varied, found];
    return found !== null;
  };
  for (const groups of axes.kinds) {
    if ((await vary(groups)) || groups.length === 1) continue;
    for (const group of groups) await vary([group]);
  }
  return result;
}

/** `ids [2, 7], mask [2, 7]` */
function describe({ shapes: given, integer }: RunSetting): string {
  const shapes = [...given].map(([name, shape]) => `${name} [${shape.join(', ')}]`);
  return shapes.join(', ') + (integer === INTEGER ? '' : `, all integers ${integer}`);
}

function unrunnable(failures: readonly InputFinding[]): EmpError {
  const [{ path, message }] = failures;
  const others = failures.length > 1 ? `, nor with ${failures.length - 1} other choices of sizes` : '';
  const tried = path === '' ? '' : ` with ${path}${others}`;
  return new EmpError(
    'unsupported_model',
    `the model cannot be run to learn the shapes of its values${tried}; ${message}`,
    failures.slice(0, MAX_FINDINGS),
  );
}
