import { realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { EmpError, type ErrorCode, isOutOfMemory } from '../core/errors.ts';
import type { Fetched, TensorNumbers } from '../formats/numbers.ts';
import { plainReason } from './plain-reason.ts';

export type ExecutionProvider = 'cpu' | 'cuda';

export interface RuntimeSettings {
  /** In order of preference; each must start. */
  readonly providers: readonly ExecutionProvider[];
  /** Threads of one operator; operators run one after the other. */
  readonly threads: number;
}

/** One tensor per model input, by the input's name. */
export type Feeds = ReadonlyMap<string, Fetched>;

/** An input or output of a model as onnxruntime reports it. */
export interface ModelValue {
  readonly name: string;
  /** `other` for what is no tensor: sequences, maps, optionals. */
  readonly dtype: string;
  /** Numbers are fixed, names are free, empty names too. Empty for scalars and for values of unknown rank. */
  readonly dims: readonly (number | string)[];
}

/** A model in memory, ready to run. Release it with `await using` or `[Symbol.asyncDispose]()`. */
export class ModelSession implements AsyncDisposable {
  readonly inputs: readonly ModelValue[];
  readonly outputs: readonly ModelValue[];
  readonly #session: InferenceSession;
  readonly #folders: readonly string[];
  #released = false;

  /** Use `openSession`. `folders` are what must not stand in an error's text. */
  constructor(session: InferenceSession, folders: readonly string[]) {
    this.#session = session;
    this.#folders = folders;
    this.inputs = session.inputMetadata.map(describeValue);
    this.outputs = session.outputMetadata.map(describeValue);
  }

  /**
   * Runs the model once; the event loop waits meanwhile.
   * @param fetches names of the outputs wanted
   * @throws EmpError model_run_failed with onnxruntime's reason, limit_exceeded where memory could not be had
   */
  async run(feeds: Feeds, fetches: readonly string[]): Promise<ReadonlyMap<string, Fetched>> {
    const runtime = await loadRuntime();
    try {
      const tensors = [...feeds].map(([name, feed]) => [name, toTensor(runtime, feed)]);
      const results = await this.#session.run(Object.fromEntries(tensors), fetches);
      return new Map(fetches.map((name) => [name, toFetched(results[name])]));
    } catch (error) {
      throw failure('model_run_failed', 'onnxruntime: ', reasonOf(error, this.#folders));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    await this.#session.release();
  }
}

/** For graphs that run once or twice. */
export const UNOPTIMIZED = { graphOptimizationLevel: 'disabled', enableMemPattern: false } as const;

/** How a model is to be opened, where it is no ordinary one. */
export interface SessionOptions {
  /** False for graphs that grow and shrink a lot, such as those of gradients: a plan of memory made for one batch costs a third more of it. */
  readonly enableMemPattern?: boolean;
  /** `all` by default; `extended` is without the blocked layouts of convolutions, `disabled` for what runs once or twice. */
  readonly graphOptimizationLevel?: 'disabled' | 'extended' | 'all';
  /** Names of onnxruntime's optimizers that are left out. */
  readonly disabledOptimizers?: readonly string[];
}

/**
 * Opens the `.onnx` file at a path, its external data beside it, or the bytes of one that has no external data.
 * @throws EmpError unsupported_model with onnxruntime's reason, limit_exceeded where memory could not be had, execution_provider_unavailable
 */
export async function openSession(
  model: string | Uint8Array,
  settings: RuntimeSettings,
  options: SessionOptions = {},
): Promise<ModelSession> {
  const { InferenceSession } = await loadRuntime();
  const folder = typeof model === 'string' ? dirname(resolve(model)) : null;
  const folders = folder === null ? [] : [folder, await realpath(folder)];
  await refuseUnknownProviders(settings);
  try {
    const session = await InferenceSession.create(model as string, createOptions(settings, options));
    return new ModelSession(session, folders);
  } catch (error) {
    await checkProviders(settings);
    throw failure('unsupported_model', 'onnxruntime cannot open the model: ', reasonOf(error, folders));
  }
}

/**
 * Opens a tiny model with each of the providers, so that a process which needs them can fail at its start.
 * @throws EmpError execution_provider_unavailable naming the provider and what onnxruntime says
 */
export async function checkProviders(settings: RuntimeSettings): Promise<void> {
  const { InferenceSession } = await loadRuntime();
  await refuseUnknownProviders(settings);
  for (const provider of settings.providers) {
    try {
      const options = createOptions({ ...settings, providers: [provider] });
      await (await InferenceSession.create(IDENTITY_MODEL, options)).release();
    } catch (error) {
      throw unavailable(provider, reasonOf(error, []));
    }
  }
}

/** Version of onnxruntime, e.g. `1.30.0`. */
export async function runtimeVersion(): Promise<string> {
  return (await loadRuntime()).env.versions.common;
}

type Runtime = typeof import('onnxruntime-node');
let loading: Promise<Runtime> | null = null;

/** Loaded on first use: the library takes tens of megabytes, and most processes run no model. */
function loadRuntime(): Promise<Runtime> {
  loading ??= import('onnxruntime-node').then((loaded) => {
    loaded.env.logLevel = 'fatal'; // what it would print on stderr is in the errors that it throws
    return loaded;
  });
  return loading;
}

function createOptions(
  { providers, threads }: RuntimeSettings,
  { disabledOptimizers = [], ...options }: SessionOptions = {},
): InferenceSession.SessionOptions {
  return {
    executionProviders: providers,
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    logSeverityLevel: 4,
    extra: {
      // Waiting threads that spin take the cores from the other model in a comparison, and from other jobs.
      session: { intra_op: { allow_spinning: '0' } },
      optimization: { disable_specified_optimizers: disabledOptimizers.join(';') },
    },
    ...options,
  };
}

/** onnxruntime passes over the providers that it has not been built with as long as one is left. */
async function refuseUnknownProviders({ providers }: RuntimeSettings): Promise<void> {
  const { listSupportedBackends } = await loadRuntime();
  const known = listSupportedBackends().map(({ name }) => name);
  const unknown = providers.find((provider) => !known.includes(provider));
  if (unknown !== undefined) throw unavailable(unknown, `this build of it knows ${known.join(', ')}`);
}

function unavailable(provider: string, reason: string): EmpError {
  return new EmpError(
    'execution_provider_unavailable',
    `the execution provider '${provider}' cannot start; onnxruntime: ${reason}`,
  );
}

function describeValue(value: InferenceSession.ValueMetadata): ModelValue {
  return value.isTensor
    ? { name: value.name, dtype: value.type, dims: value.shape }
    : { name: value.name, dtype: 'other', dims: [] };
}

/**
 * onnxruntime 1.30 takes a Float16Array, which its Tensor makes of every float16 array, to be empty; its binding asks for no more than
 * these fields, and float16 as the bits of it works. Mended by https://github.com/microsoft/onnxruntime/pull/32323.
 */
function toTensor({ Tensor }: Runtime, { dtype, shape, data }: Fetched): Tensor {
  if (!(data instanceof Float16Array)) return new Tensor(dtype as 'float32', data as Float32Array, shape);
  const bits = new Uint16Array(data.buffer, data.byteOffset, data.length);
  return { type: 'float16', dims: shape, data: bits, location: 'cpu' } as Tensor;
}

function toFetched({ type, dims, data }: Tensor): Fetched {
  return { dtype: type, shape: dims, data: data as TensorNumbers };
}

function failure(code: ErrorCode, context: string, reason: string): EmpError {
  return new EmpError(isOutOfMemory(reason) ? 'limit_exceeded' : code, context + reason);
}

const MAX_REASON_LENGTH = 600;

/** What onnxruntime says on one line, without its own C++ and the place of the model's file. */
function reasonOf(error: unknown, folders: readonly string[]): string {
  const text = error instanceof Error ? error.message : String(error);
  const placeless = folders
    .reduce((stripped, folder) => stripped.replaceAll(`${folder}/`, '').replaceAll(folder, ''), text)
    .replace(/ resolved path: "[^"]*" allowed directory: "[^"]*"/g, '');
  return plainReason(placeless).slice(0, MAX_REASON_LENGTH);
}

/** `y = Identity(x)`, x float32 [1], as an ONNX file (ir_version 8, opset 13). */
const IDENTITY_MODEL = Buffer.from(
  'CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCAhAN',
  'base64',
);
