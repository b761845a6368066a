import { type Fetched, float32Of, present } from '../formats/numbers.ts';
import { TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import type { GraphBuilder } from '../graph/graph-builder.ts';
import type { ModelSession, RuntimeSettings } from '../runtime/session.ts';
import type { Grams } from './gram.ts';
import { SmallGraph } from './small-graph.ts';

/** What many rows are fitted to. Every array is row-major, and a matrix of its own for each group. */
export interface RowSystem extends Pick<Grams, 'gram' | 'sums'> {
  readonly groups: number;
  readonly rows: number;
  readonly features: number;
  /** `Y' X`, Y what the rows of the dense layer give: `[groups, rows, features]`. */
  readonly products: Float64Array;
  readonly places: number;
  /** Of each place that shares the weight: `[groups, rows, places]`. */
  readonly offsets: Float64Array;
  /** `[groups, rows, features]`: where it is zero, so is the solution. */
  readonly start: Float64Array;
  /** Where iterations begin, zero where `start` is; at `start` unless given. */
  readonly from?: Float64Array;
  /** `[groups]` */
  readonly damping: Float64Array;
}

const { DOUBLE, FLOAT } = TensorProto_DataType;
/** Iterations in one run of the graph. */
const UNROLLED = 10;
/** 400 iterations; what is left undone then matters little, since every one of them lowers the objective. */
const MAX_RUNS = 40;
/** As many iterations as features solve a system whatever its numbers, so that of few features they all run. */
const MIN_RUNS = 4;
/** Of what a run lowers the objective by, all rows together, to what it has been lowered by so far: runs that gain less change the loss by a thousandth at most. */
const LEAST_GAIN = 1e-5;
/** Float32 solves what float64 says is left of the equations; the second time that is what float32 has rounded. */
const ROUNDS = 2;
/** How often what is left of the equations is solved for, and how many runs of the graph that takes, at least and at most. */
interface Effort {
  readonly rounds: number;
  readonly minRuns: number;
  readonly maxRuns: number;
}
export const WHOLE: Effort = { rounds: ROUNDS, minRuns: MIN_RUNS, maxRuns: MAX_RUNS };
/** Twenty iterations, which tell what is worth keeping. */
export const SKETCH: Effort = { rounds: 1, minRuns: 2, maxRuns: 2 };

/** What a denominator is raised by, so that zero by zero is zero. */
const TINY = 1e-37;

/** What one run hands on to the next. */
const STATE = ['step', 'residual', 'direction', 'energy'] as const;
/** What the run has lowered the objective by, one of each row. */
const GAIN = 'gain';

/** Least squares of many rows with one Gram matrix and different zeros, by conjugate gradients on onnxruntime. */
export class RowSolver implements AsyncDisposable {
  readonly #remainder: ModelSession;
  readonly #iterate: ModelSession;

  private constructor(remainder: ModelSession, iterate: ModelSession) {
    this.#remainder = remainder;
    this.#iterate = iterate;
  }

  static async open(runtime: RuntimeSettings): Promise<RowSolver> {
    await using opened = new AsyncDisposableStack();
    const remainder = opened.use(await openRemainder(runtime));
    const solver = new RowSolver(remainder, await openIteration(runtime));
    opened.move(); // the solver keeps the session
    return solver;
  }

  /**
   * The rows `w` that minimise `|X w - (y + o)|^2 + damping |w - s|^2`, y what the dense layer gives, o the row's offset in each place and s the row of `start`, and are zero wherever s is. Of the normal equations
   * `(X' X + damping) w = X' (y + o) + damping s` each row has those of its own support; conjugate gradients from s on, or from `from`, the equations scaled to a diagonal of ones, solve them for all
   * rows at once: an iteration is one product of matrices.
   * @returns `[groups, rows, features]`
   */
  async solve(system: RowSystem, effort: Effort = WHOLE): Promise<Float64Array> {
    const { groups, rows, features, places, start, from = start } = system;
    const shape = [groups, rows, features];
    const equations = {
      gram: float64(system.gram, [groups, features, features]),
      products: float64(system.products, shape),
      sums: float64(system.sums, [groups, places, features]),
      offsets: float64(system.offsets, [groups, rows, places]),
      damping: float64(system.damping, [groups, 1, 1]),
      start: float64(start, shape),
    };
    const roots = inverseRoots(system);
    const scaled = {
      matrix: float32(scaledMatrix(system, roots), [groups, features, features]),
      keep: float32(
        Float32Array.from(start, (value) => Number(value !== 0)),
        shape,
      ),
    };
    const weights = from.slice();
    let gained = 0;
    for (let round = 0; round < effort.rounds; round++) {
      const feeds = new Map(Object.entries({ ...equations, weights: float64(weights, shape) }));
      const remainder = (await this.#remainder.run(feeds, ['remainder'])).get('remainder');
      const residual = timesRoots(present(remainder).data as Float64Array, roots, system);
      const largest = residual.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      if (!(largest > 0)) break;
      const { step, gain } = await this.#lower(
        float32(new Float32Array(residual.map((value) => value / largest)), shape),
        scaled,
        gained / largest ** 2,
        effort,
      );
      gained += gain * largest ** 2;
      const change = timesRoots(new Float64Array(step), roots, system);
      for (let i = 0; i < weights.length; i++) weights[i] += largest * change[i];
    }
    return weights;
  }

  /** @param gained what the objective has been lowered by before */
  async #lower(
    residual: Fetched,
    scaled: Readonly<Record<'matrix' | 'keep', Fetched>>,
    gained: number,
    { minRuns, maxRuns }: Effort,
  ): Promise<{ step: Float32Array; gain: number }> {
    const [groups, rows, features] = residual.shape;
    const numbers = float32Of(residual);
    const energy = Float32Array.from({ length: groups * rows }, (_, row) =>
      sumOfSquares(numbers.subarray(row * features, (row + 1) * features)),
    );
    let state = new Map<string, Fetched>(
      Object.entries({
        step: float32(new Float32Array(numbers.length), residual.shape),
        residual,
        direction: residual,
        energy: float32(energy, [groups, rows, 1]),
      }),
    );
    const leastRuns = gained === 0 ? minRuns : 1;
    let gain = 0;
    for (let run = 0; run < maxRuns; run++) {
      const feeds = new Map([...Object.entries(scaled), ...state]);
      const results = await this.#iterate.run(feeds, [...STATE.map(next), GAIN]);
      state = new Map(STATE.map((name) => [name, present(results.get(next(name)))]));
      const own = float32Of(results.get(GAIN)).reduce((sum, value) => sum + value, 0);
      gain += own;
      if (own === 0 || (run + 1 >= leastRuns && !(own > LEAST_GAIN * (gained + gain)))) break;
    }
    return { step: float32Of(state.get('step')), gain };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#remainder[Symbol.asyncDispose]();
    await this.#iterate[Symbol.asyncDispose]();
  }
}

/** Of the roots of the equations' diagonal; 0 where that is 0, where nothing depends on the weight. */
function inverseRoots({ groups, features, gram, damping }: RowSystem): Float64Array {
  return Float64Array.from({ length: groups * features }, (_, at) => {
    const value = gram[at * features + (at % features)] + damping[Math.floor(at / features)];
    return value > 0 ? 1 / Math.sqrt(value) : 0;
  });
}

/** The equations with ones on the diagonal, `[groups, features, features]`. */
function scaledMatrix(
  { gram, damping, features }: RowSystem,
  roots: Float64Array,
): Float32Array<ArrayBuffer> {
  const matrix = new Float32Array(gram.length);
  for (const [at, root] of roots.entries()) {
    const group = Math.floor(at / features);
    const own = roots.subarray(group * features, (group + 1) * features);
    for (let i = 0; i < features; i++) matrix[at * features + i] = gram[at * features + i] * root * own[i];
    const diagonal = at * features + (at % features);
    matrix[diagonal] += damping[group] * root * root;
  }
  return matrix;
}

/** Multiplies rows, in place, by the roots of their group. */
function timesRoots(
  numbers: Float64Array,
  roots: Float64Array,
  { groups, rows, features }: RowSystem,
): Float64Array {
  for (let row = 0; row < groups * rows; row++) {
    const first = Math.floor(row / rows) * features;
    for (let i = 0; i < features; i++) numbers[row * features + i] *= roots[first + i];
  }
  return numbers;
}

/** What is left of the equations, where they are not fixed to zero. */
async function openRemainder(runtime: RuntimeSettings): Promise<ModelSession> {
  const inputs = ['gram', 'products', 'sums', 'offsets', 'damping', 'start', 'weights'];
  const graph = new SmallGraph(inputs, DOUBLE);
  const { builder } = graph;
  const keep = builder.op('Abs', [builder.op('Sign', ['start'])]);
  const target = builder.op('Add', ['products', builder.op('MatMul', ['offsets', 'sums'])]);
  const pull = builder.op('Mul', ['damping', builder.op('Sub', ['start', 'weights'])]);
  const product = builder.op('MatMul', ['weights', 'gram']);
  const left = builder.op('Sub', [builder.op('Add', [target, pull]), product]);
  return await graph.open({ remainder: builder.op('Mul', [keep, left]) }, runtime);
}

/** Iterations of conjugate gradients; `energy` is the residual's squared norm, one of each row. */
async function openIteration(runtime: RuntimeSettings): Promise<ModelSession> {
  const graph = new SmallGraph(['matrix', 'keep', ...STATE], FLOAT);
  const { builder } = graph;
  const tiny = builder.scalar(TINY);
  const quotient = (a: string, b: string) => builder.op('Div', [a, builder.op('Add', [b, tiny])]);
  let [step, residual, direction, energy]: string[] = [...STATE];
  const gains: string[] = [];
  for (let i = 0; i < UNROLLED; i++) {
    const product = builder.op('Mul', [builder.op('MatMul', [direction, 'matrix']), 'keep']);
    const length = quotient(energy, sumOfRows(builder, direction, product));
    gains.push(builder.op('Mul', [length, energy]));
    step = builder.op('Add', [step, builder.op('Mul', [direction, length])]);
    residual = builder.op('Sub', [residual, builder.op('Mul', [product, length])]);
    const left = sumOfRows(builder, residual, residual);
    direction = builder.op('Add', [residual, builder.op('Mul', [direction, quotient(left, energy)])]);
    energy = left;
  }
  const state = Object.entries({ step, residual, direction, energy });
  const outputs = state.map(([name, value]) => [next(name), value]);
  return await graph.open({ ...Object.fromEntries(outputs), [GAIN]: builder.op('Sum', gains) }, runtime);
}

/** `[groups, rows, 1]` */
function sumOfRows(builder: GraphBuilder, a: string, b: string): string {
  return builder.reduce('ReduceSum', builder.op('Mul', [a, b]), [2], true);
}

function sumOfSquares(numbers: Float32Array): number {
  return numbers.reduce((sum, value) => sum + value ** 2, 0);
}

function next(name: string): string {
  return `next_${name}`;
}

function float64(data: Float64Array, shape: readonly number[]): Fetched {
  return { dtype: 'float64', shape, data };
}

function float32(data: Float32Array, shape: readonly number[]): Fetched {
  return { dtype: 'float32', shape, data };
}
