import { present } from '../formats/numbers.ts';
import { TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import type { ModelSession, RuntimeSettings } from '../runtime/session.ts';
import { MatrixInverter } from './matrix-inverter.ts';
import { float64, type RowSystem } from './row-system.ts';
import { SmallGraph } from './small-graph.ts';

/** The inverse of equations, `[groups, features, features]`, and what it was made of. */
interface KnownInverse {
  readonly gram: Float64Array;
  readonly keep: Uint8Array;
  readonly inverse: Float64Array;
}

/** For more an inverse takes longer than conjugate gradients do. */
const FEATURES_PER_ROW = 32;
/** Of the inverse, which is in memory about three times while it is formed. */
const MAX_BYTES = 2 ** 28;

/** Solves equations of rows with the same zeros, all rows of a group by one inverse, in onnxruntime. */
export class DirectSolver implements AsyncDisposable {
  readonly #inverter: MatrixInverter;
  readonly #multiply: ModelSession;
  /** Rows taken apart, and layers that get the same inputs, come one after the other. */
  #known: KnownInverse | null = null;

  private constructor(inverter: MatrixInverter, multiply: ModelSession) {
    this.#inverter = inverter;
    this.#multiply = multiply;
  }

  static async open(runtime: RuntimeSettings): Promise<DirectSolver> {
    await using opened = new AsyncDisposableStack();
    const inverter = opened.use(await MatrixInverter.open(runtime));
    const graph = new SmallGraph(['remainder', 'inverse'], TensorProto_DataType.DOUBLE);
    const change = graph.builder.op('MatMul', ['remainder', 'inverse']);
    const solver = new DirectSolver(inverter, await graph.open({ change }, runtime));
    opened.move(); // the solver keeps the inverter
    return solver;
  }

  /**
   * @param keep as `sharedSupport` has it
   * @param left of the equations where iterations would begin
   */
  async solve(system: RowSystem, keep: Uint8Array, left: Float64Array): Promise<Float64Array> {
    const { groups, rows, features, start, from = start } = system;
    const feeds = {
      remainder: float64(left, [groups, rows, features]),
      inverse: float64(await this.#inverseOf(system, keep), [groups, features, features]),
    };
    const results = await this.#multiply.run(new Map(Object.entries(feeds)), ['change']);
    const change = present(results.get('change')).data as Float64Array;
    return from.map((value, i) => value + change[i]);
  }

  async #inverseOf(system: RowSystem, keep: Uint8Array): Promise<Float64Array> {
    const { gram, features } = system;
    const known = this.#known;
    if (known?.gram === gram && known.keep.every((value, i) => value === keep[i])) return known.inverse;
    const inverse = await this.#inverter.invert(equationsOf(system, keep), features);
    this.#known = { gram, keep, inverse };
    return inverse;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inverter[Symbol.asyncDispose]();
    await this.#multiply[Symbol.asyncDispose]();
  }
}

/** What every row of a group keeps, 1 or 0, `[groups, features]`; null where rows differ, or where one inverse would take longer than iterations for all rows. */
export function sharedSupport({ groups, rows, features, start }: RowSystem): Uint8Array | null {
  if (features > FEATURES_PER_ROW * rows || 8 * groups * features ** 2 > MAX_BYTES) return null;
  const keep = new Uint8Array(groups * features);
  for (let row = 0; row < groups * rows; row++) {
    const first = Math.floor(row / rows) * features;
    const isFirst = row % rows === 0;
    for (let i = 0; i < features; i++) {
      const isKept = Number(start[row * features + i] !== 0);
      if (isFirst) keep[first + i] = isKept;
      else if (keep[first + i] !== isKept) return null;
    }
  }
  return keep;
}

/** The damped Gram matrices, with rows and columns of a unit matrix where nothing is kept, or no sample reaches the group. */
function equationsOf({ groups, features, gram, damping }: RowSystem, keep: Uint8Array): Float64Array {
  const matrices = new Float64Array(groups * features ** 2);
  for (let at = 0; at < groups * features; at++) {
    const group = Math.floor(at / features);
    const diagonal = at * features + (at % features);
    if (keep[at] === 0 || !(damping[group] > 0)) {
      matrices[diagonal] = 1;
      continue;
    }
    for (let i = 0; i < features; i++) {
      if (keep[group * features + i] === 1) matrices[at * features + i] = gram[at * features + i];
    }
    matrices[diagonal] += damping[group];
  }
  return matrices;
}
