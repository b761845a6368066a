import { toBinary } from '@bufbuild/protobuf';
import { EmpError } from '../core/errors.ts';
import { elementCount, type ModelFiles } from '../formats/model.ts';
import { byteWidth, type Fetched, isNumberType, toFloat64, viewNumbers } from '../formats/numbers.ts';
import { type ModelProto, ModelProtoSchema } from '../formats/onnx/onnx-schema.ts';
import { dtypeOf, numbersOf } from '../formats/onnx/tensor-data.ts';
import { madeOfContent } from '../graph/content-sizes.ts';
import { modelInputs, type OnnxInput } from '../graph/interface.ts';
import { isHeld, type ObservedTrace, type SeenInput } from '../graph/observed-values.ts';
import { OnnxModel } from '../graph/onnx-model.ts';
import { capturedValues } from '../graph/reads.ts';
import { type StoredTensor, shapeOfStored } from '../graph/weights/constants.ts';
import { tieCacheAxes } from './cache-axes.ts';
import { OpenAxes } from './open-axes.ts';
import { type ModelValue, openSession, type RuntimeSettings, UNOPTIMIZED } from './session.ts';
import { INTEGER, type RunSetting, runTwice } from './size-trials.ts';
import { inferValues, NO_TENSOR, type Observation, ValueObserver } from './value-observer.ts';
import { createZeroedModel } from './zeroed-model.ts';

const INTEGER_DTYPES: ReadonlySet<string | undefined> = new Set(['int64', 'int32', 'bool']);
/** Tables of positions have as many; more are data. */
const MAX_INTEGERS = 65_536;
/** What an input says of itself is not to be trusted. */
const MAX_FEED_BYTES = 2 ** 28;

/**
 * Runs a model twice to learn the concrete shapes of all values of its main graph. Its weights are zeros, made when they are needed, and neither read nor kept; nothing is
 * written to disk. Sizes that depend on what is in a sample are those of zeros and small numbers.
 * @param files those that the model was read from
 * @param seen what every input was, for a graph that was seen at work inside another
 * @throws EmpError unsupported_model where onnxruntime cannot open the model or run it at any of the sizes tried, and what `createZeroedModel` throws
 */
export async function traceShapes(
  model: OnnxModel,
  files: ModelFiles,
  runtime: RuntimeSettings,
  signal: AbortSignal,
  seen: ReadonlyMap<string, SeenInput> | null = null,
): Promise<ObservedTrace> {
  const { proto, stored, zeroed } = await createZeroedModel(model, files, signal);
  const computed = model.graph.nodes.flatMap(({ proto }) =>
    proto.output.filter((name) => name !== '' && !stored.has(name)),
  );
  const open = (made: ModelProto) => openSession(toBinary(ModelProtoSchema, made), runtime, UNOPTIMIZED);
  const inferred = computed.length > 0 ? await inferValues(proto, computed, open) : new Map();
  const tensors = computed.filter((name) => (inferred.get(name)?.dtype ?? NO_TENSOR) !== NO_TENSOR);
  // onnxruntime runs nothing for no outputs.
  if (tensors.length === 0) return createTrace(stored, inferred, [NOTHING, NOTHING]);
  const whole = new OnnxModel(proto);
  const { graph } = whole;
  const isSteady = ([, { values }]: [string, SeenInput]) => values !== null;
  const steadyInputs = new Set([...(seen ?? [])].filter(isSteady).map(([name]) => name));
  const content = madeOfContent(graph, zeroed, steadyInputs);
  const captured = new Set(
    graph.nodes.flatMap((node) => node.subgraphs.flatMap((inner) => capturedValues(inner.graph))),
  );
  const isWanted = (name: string) => {
    const dtype = inferred.get(name)?.dtype ?? NO_TENSOR;
    return INTEGER_DTYPES.has(dtype) || (isNumberType(dtype) && captured.has(graph.resolve(name)));
  };
  const steady = tensors.filter((name) => !content.has(name) && isWanted(name));
  const inputs = modelInputs(whole);
  for (const input of inputs) checkFeedable(input);
  await using observer = await ValueObserver.open(proto, tensors, steady, open);
  const layouts = [new OpenAxes(inputs), ...tieCacheAxes(inputs).map((ties) => new OpenAxes(inputs, ties))];
  const hasIntegers = inputs.some(({ dtype }) => /int/.test(dtype ?? ''));
  const run = async (feedOf: (input: OnnxInput) => Fetched): Promise<Observation> => {
    const feeds = new Map(inputs.map((input) => [input.name, feedOf(input)]));
    const { shapes, values } = await observer.run(feeds);
    const fed = [...feeds].map(([name, { shape }]): [string, readonly number[]] => [name, shape]);
    const given = [...feeds].filter(([name]) => steadyInputs.has(name));
    return { shapes: new Map([...fed, ...shapes]), values: new Map([...given, ...values]) };
  };
  const runOpen = ({ shapes, integer }: RunSetting) =>
    run(({ name, dtype }) => createFeed(dtype ?? '', shapes.get(name) ?? [], integer));
  const isVaried = !inputs.some((input) => isHeld(input, seen?.get(input.name)?.shapes ?? null));
  const runs =
    (seen && isVaried && (await runAsSeen(seen, run, steadyInputs.size > 0))) ||
    (await runTwice(layouts, hasIntegers, runOpen, signal));
  return createTrace(stored, inferred, runs);
}

/** Of a run that computes no tensors. */
const NOTHING: Observation = { shapes: new Map(), values: new Map() };

function createTrace(
  stored: ReadonlyMap<string, StoredTensor>,
  inferred: ReadonlyMap<string, ModelValue>,
  runs: readonly [Observation, Observation],
): ObservedTrace {
  const shapesOf = (name: string) => {
    const tensor = stored.get(name);
    const shape = tensor && shapeOfStored(tensor, name);
    const [first, second] = runs.map(({ shapes }) => shape ?? shapes.get(name));
    return first && second ? ([first, second] as const) : null;
  };
  return {
    shapesOf,
    dtypeOf(name) {
      const tensor = stored.get(name);
      const dtype = tensor ? dtypeOfStored(tensor) : inferred.get(name)?.dtype;
      return dtype === undefined || dtype === NO_TENSOR ? null : dtype;
    },
    integersOf(name) {
      const tensor = stored.get(name);
      return tensor ? storedIntegers(tensor) : sameIntegers(runs.map(({ values }) => values.get(name)));
    },
    storedOf: (name) => stored.get(name) ?? null,
    steadyOf(name) {
      const [first, second] = runs.map(({ values }) => values.get(name));
      return first && second ? [first, second] : null;
    },
  };
}

/** Both runs under the sizes that were seen; null where the graph does not take them and `mustFit` does not say that no others would do. */
async function runAsSeen(
  seen: ReadonlyMap<string, SeenInput>,
  run: (feedOf: (input: OnnxInput) => Fetched) => Promise<Observation>,
  mustFit: boolean,
): Promise<[Observation, Observation] | null> {
  const feedOf = (index: 0 | 1) => (input: OnnxInput) => {
    const { shapes, values } = seen.get(input.name) ?? { shapes: [[], []], values: null };
    return values?.[index] ?? createFeed(input.dtype ?? '', shapes[index], INTEGER);
  };
  try {
    return [await run(feedOf(0)), await run(feedOf(1))];
  } catch (error) {
    const isOther = error instanceof EmpError && error.code === 'model_run_failed' && !mustFit;
    if (!isOther) throw error;
    return null;
  }
}

function dtypeOfStored(stored: StoredTensor): string | undefined {
  const tensor = stored.$typeName === 'onnx.TensorProto' ? stored : stored.values;
  return tensor && dtypeOf(tensor);
}

function storedIntegers(stored: StoredTensor): readonly number[] | null {
  if (stored.$typeName !== 'onnx.TensorProto' || !INTEGER_DTYPES.has(dtypeOf(stored))) return null;
  const isFew = elementCount(shapeOfStored(stored, stored.name)) <= MAX_INTEGERS;
  return isFew ? numbersOf(stored) : null;
}

function sameIntegers([first, second]: readonly (Fetched | undefined)[]): readonly number[] | null {
  if (!first || !second || first.data.length > MAX_INTEGERS || !INTEGER_DTYPES.has(first.dtype)) return null;
  const [numbers, others] = [first, second].map(({ data }) => [...toFloat64(data)]);
  const isSameShape = first.shape.join() === second.shape.join();
  return isSameShape && numbers.every((value, index) => value === others[index]) ? numbers : null;
}

/** Throws `unsupported_model`. */
function checkFeedable({ name, dtype, dims }: OnnxInput): void {
  const isKnown = dtype !== null && isNumberType(dtype);
  if (isKnown && dims !== null) return;
  const message = isKnown ? 'it does not say how many axes it has' : `it takes ${dtype ?? 'an unknown type'}`;
  throw new EmpError(
    'unsupported_model',
    `the model cannot be run to learn the shapes of its values: nothing can be fed to its input ${JSON.stringify(name)}, ${message}`,
    [{ path: name, message }],
  );
}

/** A wave of floats, everywhere the same integer, or only true. Throws `model_run_failed` where that would be too large. */
function createFeed(dtype: string, shape: readonly number[], integer: number): Fetched {
  const byteLength = elementCount(shape) * byteWidth(dtype);
  if (byteLength > MAX_FEED_BYTES) {
    throw new EmpError('model_run_failed', `an input of shape [${shape.join(', ')}] is too large to try`);
  }
  const data = viewNumbers(new ArrayBuffer(byteLength), dtype);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) data.fill(BigInt(integer));
  else if (dtype.startsWith('float')) for (let i = 0; i < data.length; i++) data[i] = Math.sin(i / 3) / 2;
  else data.fill(dtype === 'bool' ? 1 : integer);
  return { dtype, shape, data };
}
