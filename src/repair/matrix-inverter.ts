import { present } from '../formats/numbers.ts';
import { TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import type { ModelSession, RuntimeSettings } from '../runtime/session.ts';
import { SmallGraph } from './small-graph.ts';

/** Inverts matrices in onnxruntime, in float64. */
export class MatrixInverter implements AsyncDisposable {
  readonly #session: ModelSession;

  private constructor(session: ModelSession) {
    this.#session = session;
  }

  static async open(runtime: RuntimeSettings): Promise<MatrixInverter> {
    const graph = new SmallGraph(['matrices'], TensorProto_DataType.DOUBLE);
    const inverses = graph.builder.microsoft('Inverse', ['matrices'], {});
    return new MatrixInverter(await graph.open({ inverses }, runtime));
  }

  /** Of one or more, `[count, size, size]`. */
  async invert(matrices: Float64Array, size: number): Promise<Float64Array> {
    const shape = [matrices.length / size ** 2, size, size];
    const feeds = new Map([['matrices', { dtype: 'float64', shape, data: matrices }]]);
    const results = await this.#session.run(feeds, ['inverses']);
    return present(results.get('inverses')).data as Float64Array;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}
