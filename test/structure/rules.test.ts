import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { STRUCTURE_RULES } from '../../src/structure/rules/registry.ts';
import type { StructureRule } from '../../src/structure/structure-rule.ts';
import { analyseTraced } from './analysed-model.ts';
import { operatorsOf, RULE_CASES } from './cases/registry.ts';
import type { RuleCase } from './cases/rule-case.ts';
import { checkRemoval, findRoots, type OpenGraph, openGraph } from './conformance.ts';
import { type Fault, type StatementCounts, withCounts, withFault } from './planted-faults.ts';

const opening = new Map<RuleCase, Promise<OpenGraph>>();

/** The graph of a case, traced once. */
function open(each: RuleCase): Promise<OpenGraph> {
  const known = opening.get(each) ?? openGraph(each.model);
  opening.set(each, known);
  return known;
}

describe('what a node leaves of its outputs when structures are removed', () => {
  for (const each of RULE_CASES) {
    test(each.name, async () => {
      const { removals, ...found } = await checkRemoval(await open(each));
      const { removable, frozen } = each;
      assert.deepEqual(found, { failure: null, removable, frozen });
      assert.equal(removals > 0, removable > 0);
    });
  }
});

describe('rules', () => {
  test('every one is tried', () => {
    const tried = new Set(operators().map((operator) => STRUCTURE_RULES.get(operator)));
    const untried = new Map<StructureRule, string>();
    for (const [operator, rule] of STRUCTURE_RULES) if (!tried.has(rule)) untried.set(rule, operator);
    assert.deepEqual([...untried.values()], []);
  });

  test('a statement that one leaves out, and an axis that one loses, are noticed', async () => {
    const unnoticed: string[] = [];
    let planted = 0;
    for (const fault of await listFaults()) {
      planted++;
      if (!(await isNoticed(fault))) unnoticed.push(`${fault.operator}: ${fault.kind} ${fault.index}`);
    }
    assert.deepEqual(unnoticed, []);
    assert.ok(planted > 250, `${planted} were planted`);
  });
});

/** Those of the cases that have rules. */
function operators(): string[] {
  const all = RULE_CASES.flatMap(operatorsOf);
  return [...new Set(all)].filter((operator) => STRUCTURE_RULES.has(operator));
}

function casesOf(operator: string): RuleCase[] {
  return RULE_CASES.filter((each) => operatorsOf(each).includes(operator));
}

async function listFaults(): Promise<Fault[]> {
  const counts: StatementCounts = new Map();
  for (const operator of operators()) {
    for (const each of casesOf(operator)) {
      const graph = await open(each);
      withCounts(operator, counts, () => analyseTraced(graph));
    }
  }
  return [...counts].flatMap(([operator, said]) =>
    [...said].flatMap(([kind, count]) =>
      Array.from({ length: count }, (_, index) => ({ operator, kind, index })),
    ),
  );
}

/** Whether a case comes out otherwise than it should: most do before anything is removed and run. */
async function isNoticed(fault: Fault): Promise<boolean> {
  const cases = casesOf(fault.operator);
  for (const each of cases) {
    const graph = await open(each);
    const found = await withFault(fault, async () => findRoots(graph)).catch(() => null);
    if (found?.removable !== each.removable || found.frozen.join() !== each.frozen.join()) return true;
  }
  for (const each of cases) {
    const graph = await open(each);
    const failure = await withFault(fault, async () => (await checkRemoval(graph)).failure).catch(String);
    if (failure !== null) return true;
  }
  return false;
}
