import { create } from '@bufbuild/protobuf';
import type { Fetched } from '../formats/numbers.ts';
import { toFloat64 } from '../formats/numbers.ts';
import {
  GraphProtoSchema,
  type ModelProto,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../formats/onnx/onnx-schema.ts';
import { GraphBuilder } from '../graph/graph-builder.ts';
import { standardOpset } from '../graph/opset.ts';
import { replaceOutputs } from '../graph/passes/replace-outputs.ts';
import { freePrefix } from '../graph/proto-walk.ts';
import type { Feeds, ModelSession, ModelValue } from './session.ts';

/** Opens what was made of a model; `name` is there for those that have to write it to a file. */
export type OpenModel = (proto: ModelProto, name: string) => Promise<ModelSession>;

/** What `ModelSession` calls what is none. */
export const NO_TENSOR = 'other';

/**
 * What onnxruntime knows without running of a model's inputs and of `computed` values of its main graph. Dtypes are NO_TENSOR for what is none.
 * @throws EmpError what `open` throws
 */
export async function inferValues(
  proto: ModelProto,
  computed: readonly string[],
  open: OpenModel,
): Promise<Map<string, ModelValue>> {
  await using session = await open(replaceOutputs(proto, computed.map(declare)), 'types');
  return new Map([...session.inputs, ...session.outputs].map((value) => [value.name, value]));
}

/** What one run tells. */
export interface Observation {
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly values: ReadonlyMap<string, Fetched>;
}

/** Runs a model for the shapes of values of its main graph, and for a few values themselves. Release it with `await using`. */
export class ValueObserver implements AsyncDisposable {
  readonly #session: ModelSession;
  readonly #shapeNames: ReadonlyMap<string, string>;
  readonly #fetched: readonly string[];

  /** Use `ValueObserver.open`. */
  constructor(session: ModelSession, shapeNames: ReadonlyMap<string, string>, fetched: readonly string[]) {
    this.#session = session;
    this.#shapeNames = shapeNames;
    this.#fetched = fetched;
  }

  /**
   * @param shaped tensors, listed as they are computed, whose shapes are wanted
   * @param fetched values that are wanted themselves
   * @throws EmpError what `open` throws
   */
  static async open(
    proto: ModelProto,
    shaped: readonly string[],
    fetched: readonly string[],
    open: OpenModel,
  ): Promise<ValueObserver> {
    const added = create(GraphProtoSchema);
    const builder = new GraphBuilder(added, freePrefix(proto.graph ?? added, 'shape'), standardOpset(proto));
    // onnxruntime runs what is listed last first, with all that it needs: so every value is freed when its own consumers have run.
    const names = shaped.toReversed().map((name): [string, string] => [name, builder.op('Shape', [name])]);
    const outputs = [...names.map(([, shape]) => shape), ...fetched].map(declare);
    return new ValueObserver(
      await open(replaceOutputs(proto, outputs, added), 'shapes'),
      new Map(names),
      fetched,
    );
  }

  /** Throws what `ModelSession.run` throws. */
  async run(feeds: Feeds): Promise<Observation> {
    const results = await this.#session.run(feeds, [...this.#shapeNames.values(), ...this.#fetched]);
    const shapes = new Map<string, readonly number[]>();
    for (const [name, shapeName] of this.#shapeNames) {
      const shape = results.get(shapeName);
      if (shape) shapes.set(name, [...toFloat64(shape.data)]);
    }
    return { shapes, values: results };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}

/** onnxruntime finds types and shapes itself. */
function declare(name: string): ValueInfoProto {
  return create(ValueInfoProtoSchema, { name });
}
