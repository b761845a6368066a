import { type Fetched, float32Of, present } from '../formats/numbers.ts';
import { TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import type { GraphBuilder } from '../graph/graph-builder.ts';
import type { ModelSession, RuntimeSettings } from '../runtime/session.ts';
import { float32, largestOf, type RemainderOf, type RowSystem } from './row-system.ts';
import { SmallGraph } from './small-graph.ts';

const { FLOAT } = TensorProto_DataType;
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
export interface Effort {
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

/** Solves equations of rows with different zeros, all rows at once, in onnxruntime. */
export class ConjugateGradients implements AsyncDisposable {
  readonly #iterate: ModelSession;

  private constructor(iterate: ModelSession) {
    this.#iterate = iterate;
  }

  static async open(runtime: RuntimeSettings): Promise<ConjugateGradients> {
    return new ConjugateGradients(await openIteration(runtime));
  }

  /**
   * From `from` on, the equations scaled to a diagonal of ones: an iteration is one product of matrices.
   * @param left of the equations there
   */
  async solve(
    system: RowSystem,
    left: Float64Array,
    remainderOf: RemainderOf,
    effort: Effort,
  ): Promise<Float64Array> {
    const { groups, rows, features, start, from = start } = system;
    const shape = [groups, rows, features];
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
      const residual = timesRoots(round === 0 ? left : await remainderOf(weights), roots, system);
      const largest = largestOf(residual);
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
