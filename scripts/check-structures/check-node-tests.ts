import { EmpError } from '../../src/core/errors.ts';
import { checkRemoval, forgetNumbers, openGraph, type Verdict } from '../../test/structure/conformance.ts';
import { type NodeTest, readNodeTests } from './node-tests.ts';

/** Names of tests or operators by what is said of them. */
class Tally {
  readonly #names = new Map<string, string[]>();

  add(what: string, name: string): void {
    this.#names.set(what, [...(this.#names.get(what) ?? []), name]);
  }

  get count(): number {
    return [...this.#names.values()].flat().length;
  }

  /** `what: name, name (3 times)`, the commonest first. */
  *lines(): Generator<string> {
    for (const [what, names] of [...this.#names].sort(([, a], [, b]) => b.length - a.length)) {
      const times = [...Map.groupBy(names, (name) => name)].map(([name, { length }]) =>
        length === 1 ? name : `${name} (${length})`,
      );
      yield `${String(names.length).padStart(6)}  ${what}: ${times.join(', ')}`;
    }
  }
}

/**
 * Removes structures from every node test that onnxruntime runs, its inputs constants, and compares its outputs. Prints the counts and the reasons.
 * @returns the failures
 */
export async function checkNodeTests(): Promise<string[]> {
  const [nothing, refused] = [new Tally(), new Tally()];
  const operators = new Set<string>();
  const failures: string[] = [];
  let passed = 0;
  for await (const test of readNodeTests()) {
    const verdict = await checkOrRefuse(test);
    const name = test.operators.length > 1 ? 'several operators' : test.operators[0];
    if (typeof verdict === 'string') refused.add(verdict, name);
    else if (verdict.failure !== null && CANNOT_GIVE.test(verdict.failure))
      refused.add(refusalOf(verdict.failure), name);
    else if (verdict.failure !== null) failures.push(`${test.name}: ${verdict.failure}`);
    else if (verdict.removals === 0) nothing.add(reasonOf(verdict), name);
    else {
      passed++;
      for (const operator of test.operators) operators.add(operator);
    }
  }
  console.log(`${String(passed).padStart(6)}  node tests passed, over ${operators.size} operators`);
  console.log(`${String(nothing.count).padStart(6)}  had nothing to remove:`);
  for (const line of nothing.lines()) console.log(`      ${line}`);
  console.log(`${String(refused.count).padStart(6)}  do not run:`);
  for (const line of refused.lines()) console.log(`      ${line}`);
  return failures;
}

async function checkOrRefuse({ model }: NodeTest): Promise<Verdict | string> {
  try {
    return await checkRemoval(forgetNumbers(await openGraph(model)));
  } catch (error) {
    if (!(error instanceof EmpError)) throw error;
    return refusalOf(error.message);
  }
}

function reasonOf({ frozen }: Verdict): string {
  if (frozen.length === 0) return 'no numbers of a type that can shrink';
  return [...new Set(frozen.map((reason) => reason.replace(/^\w+ (has no rule)/, '$1')))].join('; ');
}

/** Of an output in bfloat16: structures of such models are found, and removed where something else runs them. */
const CANNOT_GIVE = /cannot open the model: Unsupported data type/;

/** What tests that do not run have in common. */
const REFUSALS: readonly (readonly [RegExp, string])[] = [
  [/takes (a sequence|an optional value)/, 'an input is no tensor'],
  [/Could not find an implementation|Unsupported data type/, 'onnxruntime does not do it for the type'],
  [/Unrecognized attribute|axis == largest/, 'it is of an operator set before 7'],
  [/layout_ == 0/, 'the batch comes first, which onnxruntime does not do'],
  [/is not a registered function/, 'it is an optimizer of the training domain'],
  [/locale/, 'it needs a locale that is not installed'],
  [/'fetches' cannot be an empty array/, 'its outputs are no tensors'],
];

function refusalOf(message: string): string {
  return REFUSALS.find(([pattern]) => pattern.test(message))?.[1] ?? message;
}
