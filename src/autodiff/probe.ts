import { elementCount } from '../formats/model.ts';
import type { ModelProto } from '../formats/onnx/onnx-schema.ts';
import { dtypeOf, numbersOf, parseShape } from '../formats/onnx/tensor-data.ts';
import { sizedByContent } from '../graph/content-sizes.ts';
import { OnnxModel } from '../graph/onnx-model.ts';
import { Origins } from '../graph/origins.ts';
import { mainGraph } from '../graph/proto-walk.ts';
import type { Size, ValueFacts } from '../graph/value-facts.ts';
import {
  type Feeds,
  type ModelValue,
  openSession,
  type RuntimeSettings,
  UNOPTIMIZED,
} from '../runtime/session.ts';
import { inferValues, NO_TENSOR, type OpenModel, ValueObserver } from '../runtime/value-observer.ts';
import { type PreparedModel, writePrepared } from './prepare.ts';

/** Operators that give the numbers of their first input in the same order. Exporters put them behind constants such as axes. */
const SAME_NUMBERS: ReadonlySet<string> = new Set(['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze']);

/** What a model and runs of it tell of the values of its main graph. */
export interface ProbedValues extends ValueFacts {
  /** Element type (`float32`, `int64`, ...), null for what is no tensor or not known. */
  dtypeOf(name: string): string | null;
  /** The shape in every run; null for a value that has none. */
  runsOf(name: string): readonly (readonly number[])[] | null;
  /** Elements of all values together, by run. */
  readonly elements: readonly number[];
}

/**
 * Runs a prepared model, or what was made of it, once on each of `runs` and notes the shapes of all values: sizes that differ between runs
 * are 'varies', a value whose rank differs has no shape. Runs on 2 and on 3 samples find what follows the batch. Sizes that may depend on what is in a sample are
 * known only where onnxruntime infers them without running. Nothing is optimized and no value leaves onnxruntime, so that the cost is a forward pass each and a
 * few bytes a value.
 * @throws EmpError what `openSession` and `ModelSession.run` throw
 */
export async function probeValues(
  prepared: PreparedModel,
  proto: ModelProto,
  runs: readonly Feeds[],
  settings: RuntimeSettings,
): Promise<ProbedValues> {
  const graph = mainGraph(proto);
  const open = async (made: ModelProto, name: string) =>
    openSession(await writePrepared(prepared, made, name), settings, UNOPTIMIZED);
  const computed = graph.node.flatMap(({ output }) => output.filter((name) => name !== ''));
  const inferred = await inferValues(proto, computed, open);
  const values = [...graph.input.map(({ name }) => name), ...computed].filter(
    (name) => (inferred.get(name)?.dtype ?? NO_TENSOR) !== NO_TENSOR,
  );
  const sizes = await runShapes(proto, values, runs, open);
  const shapes = new Map(
    graph.initializer.map(({ name, dims }): [string, Size[]] => [name, parseShape(dims, name)]),
  );
  const { graph: model } = new OnnxModel(proto);
  const uncertain = sizedByContent(model);
  for (const [name, found] of sizes) {
    const [first] = found;
    if (found.some(({ length }) => length !== first.length)) continue;
    shapes.set(
      name,
      uncertain.has(name)
        ? first.map((_, axis) => certainSize(inferred.get(name)?.dims, first.length, axis))
        : first.map((size, axis) => (found.every((shape) => shape[axis] === size) ? size : 'varies')),
    );
  }
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  const origins = new Origins((node) => node.domain === '' && SAME_NUMBERS.has(node.op));
  return {
    shapeOf: (name) => shapes.get(name) ?? null,
    constantOf(name) {
      const tensor = constants.get(origins.of(model.resolve(name))?.name ?? '');
      return tensor === undefined ? null : numbersOf(tensor);
    },
    dtypeOf(name) {
      const tensor = constants.get(name);
      return tensor === undefined ? (inferred.get(name)?.dtype ?? null) : dtypeOf(tensor);
    },
    runsOf: (name) => sizes.get(name) ?? null,
    elements: runs.map((_, run) =>
      [...sizes.values()].reduce((sum, found) => sum + elementCount(found[run]), 0),
    ),
  };
}

/** What holds for all samples, of a value whose shape onnxruntime may know in part, or not at all. */
function certainSize(dims: ModelValue['dims'] = [], rank: number, axis: number): Size {
  const size = dims.length === rank ? dims[axis] : null;
  return typeof size === 'number' ? size : null;
}

/** The shapes of values, by name, in each of the runs. */
async function runShapes(
  proto: ModelProto,
  values: readonly string[],
  runs: readonly Feeds[],
  open: OpenModel,
): Promise<Map<string, (readonly number[])[]>> {
  await using observer = await ValueObserver.open(proto, values, [], open);
  const found = new Map(values.map((name): [string, (readonly number[])[]] => [name, []]));
  for (const feeds of runs) {
    for (const [name, shape] of (await observer.run(feeds)).shapes) found.get(name)?.push(shape);
  }
  return found;
}
