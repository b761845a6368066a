import { present } from '../formats/numbers.ts';
import { TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import type { ModelSession, RuntimeSettings } from '../runtime/session.ts';
import { ConjugateGradients, type Effort, WHOLE } from './conjugate-gradients.ts';
import { DirectSolver, sharedSupport } from './direct-solver.ts';
import { float64, largestOf, type RemainderOf, type RowSystem } from './row-system.ts';
import { SmallGraph } from './small-graph.ts';

/** Of the largest product: what float32 may round it by. Where no more is left of any equation, as in a layer with nothing gone before it, there is nothing to solve. */
const ROUNDING = 2 ** -18;

/** Least squares of many rows with one Gram matrix. */
export class RowSolver implements AsyncDisposable {
  readonly #runtime: RuntimeSettings;
  readonly #remainder: ModelSession;
  readonly #opened = new AsyncDisposableStack();
  #direct: DirectSolver | null = null;
  #gradients: ConjugateGradients | null = null;

  private constructor(runtime: RuntimeSettings, remainder: ModelSession) {
    this.#runtime = runtime;
    this.#remainder = this.#opened.use(remainder);
  }

  static async open(runtime: RuntimeSettings): Promise<RowSolver> {
    return new RowSolver(runtime, await openRemainder(runtime));
  }

  /**
   * The rows `w` that minimise `|X w - (y + o)|^2 + damping |w - s|^2`, y what the dense layer gives, o the row's offset in each place and s the row of `start`, and are zero wherever s is. Of the normal equations
   * `(X' X + damping) w = X' (y + o) + damping s` each row has those of its own support: where that is the same for all rows of a group one inverse solves them, elsewhere conjugate gradients do.
   * @returns `[groups, rows, features]`
   */
  async solve(system: RowSystem, effort: Effort = WHOLE): Promise<Float64Array> {
    const { products, start, from = start } = system;
    const remainderOf = this.#remainderOf(system);
    const left = await remainderOf(from);
    if (largestOf(left) <= ROUNDING * largestOf(products)) return from.slice();
    const support = sharedSupport(system);
    if (support !== null) {
      this.#direct ??= this.#opened.use(await DirectSolver.open(this.#runtime));
      return await this.#direct.solve(system, support, left);
    }
    this.#gradients ??= this.#opened.use(await ConjugateGradients.open(this.#runtime));
    return await this.#gradients.solve(system, left, remainderOf, effort);
  }

  #remainderOf({
    groups,
    rows,
    features,
    places,
    gram,
    products,
    sums,
    offsets,
    damping,
    start,
  }: RowSystem): RemainderOf {
    const shape = [groups, rows, features];
    const equations = {
      gram: float64(gram, [groups, features, features]),
      products: float64(products, shape),
      sums: float64(sums, [groups, places, features]),
      offsets: float64(offsets, [groups, rows, places]),
      damping: float64(damping, [groups, 1, 1]),
      start: float64(start, shape),
    };
    return async (weights) => {
      const feeds = new Map(Object.entries({ ...equations, weights: float64(weights, shape) }));
      const remainder = (await this.#remainder.run(feeds, ['remainder'])).get('remainder');
      return present(remainder).data as Float64Array;
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }
}

/** What is left of the equations, where they are not fixed to zero. */
async function openRemainder(runtime: RuntimeSettings): Promise<ModelSession> {
  const inputs = ['gram', 'products', 'sums', 'offsets', 'damping', 'start', 'weights'];
  const graph = new SmallGraph(inputs, TensorProto_DataType.DOUBLE);
  const { builder } = graph;
  const keep = builder.op('Abs', [builder.op('Sign', ['start'])]);
  const target = builder.op('Add', ['products', builder.op('MatMul', ['offsets', 'sums'])]);
  const pull = builder.op('Mul', ['damping', builder.op('Sub', ['start', 'weights'])]);
  const product = builder.op('MatMul', ['weights', 'gram']);
  const left = builder.op('Sub', [builder.op('Add', [target, pull]), product]);
  return await graph.open({ remainder: builder.op('Mul', [keep, left]) }, runtime);
}
