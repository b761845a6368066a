import type { LaneAxis, Lanes } from '../../src/structure/lanes.ts';
import { STRUCTURE_RULES } from '../../src/structure/rules/registry.ts';
import type { AnalysedNode, StructureRule } from '../../src/structure/structure-rule.ts';

/** What a rule may leave unsaid. */
const STATEMENTS = ['tie', 'freeze', 'fixed', 'frozen', 'contract', 'leaveOut', 'onRemoval'] as const;
type Statement = (typeof STATEMENTS)[number];

/** A rule that leaves out its statement of one kind that comes `index`-th for a node, or loses the lanes of an axis of its outputs. */
export interface Fault {
  readonly operator: string;
  readonly kind: Statement | 'axis';
  readonly index: number;
}

/** How often rules say what, at most for one node, by operator. */
export type StatementCounts = Map<string, Map<Fault['kind'], number>>;

const RULES = STRUCTURE_RULES as Map<string, StructureRule>;

export async function withFault<T>(fault: Fault, run: () => Promise<T>): Promise<T> {
  const { operator, kind, index } = fault;
  using _ = plant(operator, (rule) => (at) => {
    const outputs = rule(watched(at, (statement, count) => statement !== kind || count !== index));
    if (kind !== 'axis') return outputs;
    const lost = shrinkingAxes(at, outputs)[index];
    return outputs.map((axes) => axes.map((axis) => (axis === lost ? null : axis)));
  });
  return await run();
}

/** Adds what is said while `run` runs to `counts`. */
export function withCounts(operator: string, counts: StatementCounts, run: () => void): void {
  const own = counts.get(operator) ?? new Map<Fault['kind'], number>();
  counts.set(operator, own);
  const note = (kind: Fault['kind'], count: number) => own.set(kind, Math.max(own.get(kind) ?? 0, count));
  using _ = plant(operator, (rule) => (at) => {
    const isMade = (statement: Statement, count: number) => {
      note(statement, count + 1);
      return true;
    };
    const outputs = rule(watched(at, isMade));
    note('axis', shrinkingAxes(at, outputs).length);
    return outputs;
  });
  run();
}

/** Another rule for an operator, until it is disposed of. */
function plant(operator: string, change: (rule: StructureRule) => StructureRule): Disposable {
  const rule = RULES.get(operator);
  if (rule === undefined) throw new TypeError(`no rule for ${operator}`);
  RULES.set(operator, change(rule));
  return { [Symbol.dispose]: () => void RULES.set(operator, rule) };
}

/** Those of which something can be removed. */
function shrinkingAxes({ lanes }: AnalysedNode, outputs: readonly (readonly LaneAxis[])[]): LaneAxis[] {
  const canShrink = (axis: LaneAxis) =>
    axis?.some((column) => column.some((lane) => lane >= 0 && isFree(lanes, lane))) ?? false;
  return [...new Set(outputs.flat())].filter(canShrink);
}

function isFree(lanes: Lanes, lane: number): boolean {
  return lanes.rootsOf(lane).every((root) => lanes.obstacleOf(root) === null);
}

/** Statements are made where `isMade` says so; what is not made answers as if it were. */
function watched(
  at: AnalysedNode,
  isMade: (statement: Statement, count: number) => boolean,
  counts = new Map<Statement, number>(),
): AnalysedNode {
  return new Proxy(at, {
    get(target, name) {
      const statement = STATEMENTS.find((each) => each === name);
      const value = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (name === 'withInputs') return watched(value.apply(target, args), isMade, counts);
        if (!statement || !saysSomething(statement, args)) return value.apply(target, args);
        const count = counts.get(statement) ?? 0;
        counts.set(statement, count + 1);
        if (isMade(statement, count)) return value.apply(target, args);
        if (statement === 'frozen') return target.node.outputs.map((_, output) => target.plain(output));
        if (statement === 'fixed') return (args[0] as unknown[]).map(() => null);
        return undefined;
      };
    },
  });
}

/** Of an axis that has no lanes nothing can be said. */
function saysSomething(statement: Statement, args: readonly unknown[]): boolean {
  const [first, second] = args;
  if (statement === 'fixed') return (first as LaneAxis[]).some((axis) => axis !== null);
  if (statement === 'tie') return first !== second;
  return (statement !== 'freeze' && statement !== 'leaveOut') || first !== null;
}
