import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import type { Fetched } from '../formats/numbers.ts';
import {
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProto_DataType,
} from '../formats/onnx/onnx-schema.ts';
import { GraphBuilder } from '../graph/graph-builder.ts';
import { createNode, declareTensor } from '../graph/messages.ts';
import { type ModelSession, openSession, type RuntimeSettings } from '../runtime/session.ts';
import type { Grams } from './gram.ts';

/** What many rows are fitted to. Every array is row-major, and a matrix of its own for each group. */
export interface RowSystem extends Grams {
  readonly groups: number;
  readonly rows: number;
  readonly features: number;
  readonly denseFeatures: number;
  /** `[groups, rows, dense features]` */
  readonly dense: Float64Array;
  readonly places: number;
  /** Of each place that shares the weight: `[groups, rows, places]`. */
  readonly offsets: Float64Array;
  /** `[groups, rows, features]`: where it is zero, so is the solution. */
  readonly start: Float64Array;
  /** `[groups]` */
  readonly damping: Float64Array;
}

const OPSET = 17;
const { DOUBLE } = TensorProto_DataType;
/** Iterations in one run of the graph. */
const UNROLLED = 10;
/** 400 iterations; what is left undone then matters little, since every one of them lowers the objective. */
const MAX_RUNS = 40;
/** Of the residual's squared norm, all rows together, to what it was at the start. */
const TOLERANCE = 1e-12;
/** What a denominator is raised by, so that zero by zero is zero. */
const TINY = 1e-37;

/** What one run hands on to the next. */
const STATE = ['weights', 'residual', 'direction', 'energy'] as const;

/** Least squares of many rows with one Gram matrix and different zeros, by conjugate gradients on onnxruntime, in float64. */
export class RowSolver implements AsyncDisposable {
  readonly #start: ModelSession;
  readonly #iterate: ModelSession;

  private constructor(start: ModelSession, iterate: ModelSession) {
    this.#start = start;
    this.#iterate = iterate;
  }

  static async open(scratchDirectory: string, runtime: RuntimeSettings): Promise<RowSolver> {
    const open = async (name: string, graph: GraphProto) => {
      const path = join(scratchDirectory, `${name}.onnx`);
      const opsetImport = [create(OperatorSetIdProtoSchema, { version: BigInt(OPSET) })];
      const model = create(ModelProtoSchema, { irVersion: 8n, opsetImport, graph });
      await writeFile(path, toBinary(ModelProtoSchema, model));
      return await openSession(path, runtime);
    };
    await using opened = new AsyncDisposableStack();
    const start = opened.use(await open('solver-start', startGraph()));
    const solver = new RowSolver(start, await open('solver-iterate', iterationGraph()));
    opened.move(); // the solver keeps the session
    return solver;
  }

  /**
   * The rows `w` that minimise `|Xp w - (Xd d + o)|^2 + damping |w - s|^2`, d the row of `dense`, o its offset in each place and s the row of `start`, and are zero wherever s is. Of the normal equations
   * `(Xp' Xp + damping) w = Xp' (Xd d + o) + damping s` each row has those of its own support; conjugate gradients from s on, preconditioned by the diagonal, solve them for all
   * rows at once: an iteration is one product of matrices.
   * @returns `[groups, rows, features]`
   */
  async solve(system: RowSystem): Promise<Float64Array> {
    const { groups, rows, features, denseFeatures, places, cross, sums, dense, offsets, start } = system;
    const shared = {
      gram: float64(system.gram, [groups, features, features]),
      damping: float64(system.damping, [groups, 1, 1]),
      scale: float64(inverseDiagonal(system), [groups, 1, features]),
    };
    const begun = await this.#start.run(
      new Map(
        Object.entries({
          gram: shared.gram,
          scale: shared.scale,
          cross: float64(cross, [groups, features, denseFeatures]),
          sums: float64(sums, [groups, places, features]),
          dense: float64(dense, [groups, rows, denseFeatures]),
          offsets: float64(offsets, [groups, rows, places]),
          weights: float64(start, [groups, rows, features]),
        }),
      ),
      ['keep', ...STATE.slice(1)],
    );
    let state = new Map([...begun, ['weights', float64(start, [groups, rows, features])]]);
    const goal = TOLERANCE * total(state.get('energy'));
    for (let run = 0; run < MAX_RUNS && total(state.get('energy')) > goal; run++) {
      const results = await this.#iterate.run(
        new Map([...Object.entries(shared), ...state]),
        STATE.map(next),
      );
      for (const name of STATE) state = new Map([...state, [name, numbers(results.get(next(name)))]]);
    }
    return numbers(state.get('weights')).data as Float64Array;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#start[Symbol.asyncDispose]();
    await this.#iterate[Symbol.asyncDispose]();
  }
}

/** Of `gram` and the damping; 0 where that is 0, where nothing depends on the weight. */
function inverseDiagonal({ groups, features, gram, damping }: RowSystem): Float64Array {
  return Float64Array.from({ length: groups * features }, (_, at) => {
    const group = Math.floor(at / features);
    const value = gram[at * features + (at % features)] + damping[group];
    return value > 0 ? 1 / value : 0;
  });
}

/** From the first weights to what conjugate gradients begin with. */
function startGraph(): GraphProto {
  const graph = create(GraphProtoSchema, { name: 'start' });
  const builder = new GraphBuilder(graph, 'start_', OPSET);
  declareInputs(graph, ['gram', 'scale', 'cross', 'sums', 'dense', 'offsets', 'weights']);
  const keep = builder.op('Abs', [builder.op('Sign', ['weights'])]);
  const crossTurned = builder.op('Transpose', ['cross'], { perm: [0, 2, 1] });
  const product = builder.op('MatMul', ['dense', crossTurned]);
  const target = builder.op('Add', [product, builder.op('MatMul', ['offsets', 'sums'])]);
  const present = builder.op('MatMul', ['weights', 'gram']); // the damping does not pull at the weights that it holds on to
  const residual = builder.op('Mul', [keep, builder.op('Sub', [target, present])]);
  const direction = builder.op('Mul', [residual, 'scale']);
  const energy = sumOfRows(builder, residual, direction);
  addOutputs(graph, { keep, residual, direction, energy });
  return graph;
}

/** Iterations of preconditioned conjugate gradients; `energy` is the residual's squared norm, one of each row. */
function iterationGraph(): GraphProto {
  const graph = create(GraphProtoSchema, { name: 'iterate' });
  const builder = new GraphBuilder(graph, 'iterate_', OPSET);
  declareInputs(graph, ['gram', 'damping', 'scale', 'keep', ...STATE]);
  const tiny = builder.op('Cast', [builder.scalar(TINY)], { to: DOUBLE });
  const quotient = (a: string, b: string) => builder.op('Div', [a, builder.op('Add', [b, tiny])]);
  let [weights, residual, direction, energy]: string[] = [...STATE];
  for (let i = 0; i < UNROLLED; i++) {
    const pulled = builder.op('Mul', [direction, 'damping']);
    const whole = builder.op('Add', [builder.op('MatMul', [direction, 'gram']), pulled]);
    const product = builder.op('Mul', [whole, 'keep']);
    const step = quotient(energy, sumOfRows(builder, direction, product));
    weights = builder.op('Add', [weights, builder.op('Mul', [direction, step])]);
    residual = builder.op('Sub', [residual, builder.op('Mul', [product, step])]);
    const scaled = builder.op('Mul', [residual, 'scale']);
    const left = sumOfRows(builder, residual, scaled);
    direction = builder.op('Add', [scaled, builder.op('Mul', [direction, quotient(left, energy)])]);
    energy = left;
  }
  addOutputs(graph, {
    [next('weights')]: weights,
    [next('residual')]: residual,
    [next('direction')]: direction,
    [next('energy')]: energy,
  });
  return graph;
}

/** `[groups, rows, 1]` */
function sumOfRows(builder: GraphBuilder, a: string, b: string): string {
  return builder.reduce('ReduceSum', builder.op('Mul', [a, b]), [2], true);
}

function next(name: string): string {
  return `next_${name}`;
}

function declareInputs(graph: GraphProto, names: readonly string[]): void {
  graph.input = names.map((name) => declareTensor(name, DOUBLE));
}

/** Gives values the names that they are fetched by. */
function addOutputs(graph: GraphProto, values: Readonly<Record<string, string>>): void {
  for (const [output, value] of Object.entries(values)) {
    graph.node.push(createNode('Identity', [value], [output]));
    graph.output.push(declareTensor(output, DOUBLE));
  }
}

function float64(data: Float64Array, shape: readonly number[]): Fetched {
  return { dtype: 'float64', shape, data };
}

function total(fetched: Fetched | undefined): number {
  return (numbers(fetched).data as Float64Array).reduce((sum, value) => sum + value, 0);
}

function numbers(fetched: Fetched | undefined): Fetched {
  if (fetched?.data instanceof Float64Array) return fetched;
  throw new TypeError('solutions are float64');
}
