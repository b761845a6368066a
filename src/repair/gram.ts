import { EmpError } from '../core/errors.ts';
import { type Fetched, float32Of } from '../formats/numbers.ts';
import { TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import { type Batch, nameSamples } from '../runtime/batches.ts';
import type { ModelSession, RuntimeSettings } from '../runtime/session.ts';
import { SmallGraph } from './small-graph.ts';

/** What layers that get the same inputs are fitted by: sums over rows, X the inputs of one group and Y the outputs of the dense layer's. */
export interface Grams {
  /** `X' X`, `[groups, features, features]`. */
  readonly gram: Float64Array;
  /** `X' 1` of each place, `[groups, places, features]`. */
  readonly sums: Float64Array;
  /** `Y' X` of each layer, `[groups, units, features]`. */
  readonly products: readonly Float64Array[];
}

export interface GramShape {
  /** A layer's, for errors. */
  readonly weight: string;
  readonly groups: number;
  readonly features: number;
  readonly places: number;
  /** Of each layer, in one group. */
  readonly units: readonly number[];
}

/** Rows of one place of the layers in one batch: `[groups, rows, features]`, and `[groups, rows, units]` of each layer; float32. */
interface RowBlock {
  readonly span: Pick<Batch, 'start' | 'count' | 'order'>;
  readonly inputs: Fetched;
  readonly outputs: readonly Fetched[];
}

/** Products of so many rows at a time are formed in float32, and added up in float64. */
const MAX_ROWS = 4096;
const MAX_BYTES = 2 ** 25;
const { FLOAT } = TensorProto_DataType;

/** Forms products of rows in onnxruntime. */
export class RowMultiplier implements AsyncDisposable {
  readonly #gram: ModelSession;
  readonly #product: ModelSession;

  private constructor(gram: ModelSession, product: ModelSession) {
    this.#gram = gram;
    this.#product = product;
  }

  static async open(runtime: RuntimeSettings): Promise<RowMultiplier> {
    await using opened = new AsyncDisposableStack();
    const own = new SmallGraph(['x'], FLOAT);
    const gram = opened.use(
      await own.open(
        { gram: timesInputs(own, 'x'), sums: own.builder.reduce('ReduceSum', 'x', [1], false) },
        runtime,
      ),
    );
    const both = new SmallGraph(['x', 'y'], FLOAT);
    const multiplier = new RowMultiplier(gram, await both.open({ product: timesInputs(both, 'y') }, runtime));
    opened.move(); // the multiplier keeps the session
    return multiplier;
  }

  /** `x' x` and `x' 1`. */
  async gram(x: Fetched): Promise<readonly [gram: Float32Array, sums: Float32Array]> {
    const results = await this.#gram.run(new Map([['x', x]]), ['gram', 'sums']);
    return [float32Of(results.get('gram')), float32Of(results.get('sums'))];
  }

  /** `y' x`. */
  async product(y: Fetched, x: Fetched): Promise<Float32Array> {
    const feeds = new Map(Object.entries({ x, y }));
    return float32Of((await this.#product.run(feeds, ['product'])).get('product'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#gram[Symbol.asyncDispose]();
    await this.#product[Symbol.asyncDispose]();
  }
}

/** Adds up the products of rows that come batch by batch. */
export class GramSum {
  readonly #multiplier: RowMultiplier;
  readonly #shape: GramShape;
  readonly #waiting: RowBlock[][];
  readonly #grams: Grams;

  constructor(shape: GramShape, multiplier: RowMultiplier) {
    const { groups, features, places, units } = shape;
    this.#multiplier = multiplier;
    this.#shape = shape;
    this.#waiting = Array.from({ length: places }, () => []);
    this.#grams = {
      gram: new Float64Array(groups * features * features),
      sums: new Float64Array(groups * places * features),
      products: units.map((count) => new Float64Array(groups * count * features)),
    };
  }

  /** @throws EmpError non_finite_activation naming the weight and the samples */
  async add(place: number, block: RowBlock): Promise<void> {
    const waiting = this.#waiting[place];
    waiting.push(block);
    const rows = waiting.reduce((sum, { inputs }) => sum + inputs.shape[1], 0);
    const { groups, features } = this.#shape;
    if (rows >= MAX_ROWS || 4 * groups * rows * features >= MAX_BYTES) await this.#multiply(place);
  }

  /** With what is still waiting. Throws as `add`. */
  async finish(): Promise<Grams> {
    for (const place of this.#waiting.keys()) await this.#multiply(place);
    return this.#grams;
  }

  async #multiply(place: number): Promise<void> {
    const blocks = this.#waiting[place];
    if (blocks.length === 0) return;
    this.#waiting[place] = [];
    const { gram, sums, products } = this.#grams;
    const { groups, features, places } = this.#shape;
    const x = joinRows(blocks.map(({ inputs }) => inputs));
    const [ownGram, ownSums] = await this.#multiplier.gram(x);
    let isSound = addTo(gram, ownGram);
    for (let group = 0; group < groups; group++) {
      const own = ownSums.subarray(group * features, (group + 1) * features);
      isSound = addTo(sums.subarray((group * places + place) * features), own) && isSound;
    }
    for (const [i, product] of products.entries()) {
      const y = joinRows(blocks.map(({ outputs }) => outputs[i]));
      isSound = addTo(product, await this.#multiplier.product(y, x)) && isSound;
    }
    if (isSound) return;
    const [{ span }] = blocks;
    const last = blocks[blocks.length - 1].span;
    const { weight } = this.#shape;
    const message = `the products of its layer's inputs are NaN, infinite or too large for ${nameSamples({ ...span, count: last.start + last.count - span.start })}: look for such numbers in the data, and in the weights up to this layer`;
    throw new EmpError('non_finite_activation', `${weight}: ${message}`, [{ path: weight, message }]);
  }
}

/** `value' x`, as the graph has it. */
function timesInputs({ builder }: SmallGraph, value: string): string {
  return builder.op('MatMul', [builder.op('Transpose', [value], { perm: [0, 2, 1] }), 'x']);
}

/** Returns whether what was added is finite. */
function addTo(total: Float64Array, part: Float32Array): boolean {
  let check = 0;
  for (let i = 0; i < part.length; i++) {
    total[i] += part[i];
    check += part[i];
  }
  return Number.isFinite(check);
}

/** One behind the other, in every group. */
function joinRows(parts: readonly Fetched[]): Fetched {
  if (parts.length === 1) return parts[0];
  const [groups, , width] = parts[0].shape;
  const rows = parts.reduce((sum, { shape }) => sum + shape[1], 0);
  const data = new Float32Array(groups * rows * width);
  let offset = 0;
  for (let group = 0; group < groups; group++) {
    for (const part of parts) {
      const size = part.shape[1] * width;
      data.set(float32Of(part).subarray(group * size, (group + 1) * size), offset);
      offset += size;
    }
  }
  return { dtype: 'float32', shape: [groups, rows, width], data };
}
