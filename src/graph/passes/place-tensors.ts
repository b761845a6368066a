import { constants } from 'node:fs';
import { copyFile, type FileHandle, link, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { BYTE_WIDTH, isFloatDtype } from '../../core/dtype.ts';
import { EmpError } from '../../core/errors.ts';
import { widen } from '../../core/float-format.ts';
import { readIrregular } from '../../formats/irregular.ts';
import { elementCount, type ModelFiles, type TensorData } from '../../formats/model.ts';
import { holdsNumbers } from '../../formats/onnx/element-reader.ts';
import { homeOf, type TensorHome } from '../../formats/onnx/external-data.ts';
import { checkLoadable, clearNumbers, loadTensor, setRawData } from '../../formats/onnx/load-tensor.ts';
import {
  type ModelProto,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
} from '../../formats/onnx/onnx-schema.ts';
import { forgetPayload, isMade } from '../../formats/onnx/payload.ts';
import { createTensorData, dtypeOf, labelOf, parseShape } from '../../formats/onnx/tensor-data.ts';
import type { StoredModel } from '../../formats/stored-model.ts';
import { heldTensors } from '../proto-walk.ts';

/**
 * Where a large tensor goes: `linked` stays in the model's own file, of which the prepared model's folder has a hard link; `copied` goes to a file of
 * its own, since onnx's shape inference refuses hard links in inner graphs; `inline` into the `.onnx` file, as everything but initializers must.
 */
type Placement = 'linked' | 'copied' | 'inline';
const PLACEMENTS = { main: 'linked', inner: 'copied', other: 'inline' } as const;

/** Smaller tensors are inline, so that their numbers are at hand: shapes, axes, scales. */
const MAX_SMALL_BYTES = 1024;
const CHUNK_BYTES = 2 ** 20;
const MAX_FLOAT32 = 2 ** 128 - 2 ** 104;
/** Folder of the links, and the file of what was copied or converted. */
const LINKS = 'source';
const COPIES = 'tensors.bin';

/** Where the tensors of a model are, and where they go. */
export interface TensorPlaces {
  readonly model: StoredModel;
  /** The model's, open. */
  readonly files: ModelFiles;
  /** Where the model will be written; must exist. */
  readonly directory: string;
  /** What becomes of other floats. */
  readonly floats: 'float32' | 'as stored';
  readonly signal: AbortSignal;
}

/**
 * Gives the tensors of a skeleton their numbers back: by reference to files, or as float32. Requires a model as it was read from `files`, none of its tensors placed; those that were made since are left as they are. Ensures that no
 * stored floats but float32 are left where that is asked for, that numbers of tensors up to a kilobyte are at hand, and that all others are where onnxruntime finds them from `directory`.
 * @throws EmpError malformed_onnx, missing_file, unsupported_model
 */
export async function placeTensors(model: ModelProto, places: TensorPlaces): Promise<void> {
  await using placer = new TensorPlacer(places);
  model.trainingInfo = [];
  // Inner graphs come first: a tensor that the main graph shares with one has to be where inner graphs may have it.
  for (const { tensor, within } of heldTensors(model)) await placer.place(tensor, PLACEMENTS[within]);
}

class TensorPlacer implements AsyncDisposable {
  readonly #model: StoredModel;
  readonly #directory: string;
  readonly #isWidening: boolean;
  readonly #signal: AbortSignal;
  readonly #home: TensorHome;
  readonly #linked = new Set<string>();
  readonly #placed = new Set<TensorProto>();
  #copies: FileHandle | null = null;
  #copiedBytes = 0;

  constructor({ model, files, directory, floats, signal }: TensorPlaces) {
    this.#model = model;
    this.#directory = directory;
    this.#isWidening = floats === 'float32';
    this.#signal = signal;
    this.#home = homeOf(files);
  }

  /** Changes `tensor`. Throws `malformed_onnx`, `missing_file`, `unsupported_model`. */
  async place(tensor: TensorProto, placement: Placement): Promise<void> {
    if (this.#placed.has(tensor) || isMade(tensor)) return;
    this.#placed.add(tensor);
    const name = labelOf(tensor);
    const shape = parseShape(tensor.dims, name);
    const data = createTensorData(tensor, name, shape, this.#home);
    const dtype = dtypeOf(tensor);
    const widened = this.#isWidening && isFloatDtype(dtype) && dtype !== 'float32' ? dtype : null;
    const count = elementCount(shape);
    const byteLength = widened ? 4 * count : (data?.runs ?? []).reduce((sum, run) => sum + run.byteLength, 0);
    const isInline = byteLength <= MAX_SMALL_BYTES || placement === 'inline';
    if (widened === null && (isInline || data?.encoding !== 'dense' || holdsNumbers(tensor))) {
      await loadTensor(tensor, this.#home);
      return;
    }
    forgetPayload(tensor);
    if (widened !== null) tensor.dataType = TensorProto_DataType.FLOAT;
    if (data === null) {
      if (count > 0) throw unplaceable(name, 'its numbers are scattered over too many pieces');
      setRawData(tensor, new Uint8Array());
      return;
    }
    const chunks = widened ? this.#float32(data, widened, count) : this.#read(data, count, 1);
    const [run] = data.runs;
    if (isInline) {
      checkLoadable(name, byteLength);
      setRawData(tensor, await collect(chunks));
    } else if (widened === null && placement === 'linked' && data.runs.length === 1) {
      setExternal(tensor, await this.#link(run.file), run.offset, byteLength);
    } else {
      setExternal(tensor, COPIES, await this.#copy(chunks), byteLength);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#copies?.close();
  }

  async *#float32(
    data: TensorData,
    dtype: 'float16' | 'bfloat16' | 'float64',
    count: number,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for await (const bytes of this.#read(data, count, BYTE_WIDTH[dtype])) {
      const numbers = new Float64Array(bytes.byteLength / BYTE_WIDTH[dtype]);
      widen(bytes, dtype, numbers);
      yield new Uint8Array(narrow(numbers).buffer);
    }
  }

  /** In pieces of whole elements. */
  async *#read(data: TensorData, count: number, byteWidth: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    if (data.encoding === 'varint') {
      yield new Uint8Array(await readIrregular(this.#model.directory, data, count));
      return;
    }
    for (const { file, offset, byteLength } of data.runs) {
      for (let start = 0; start < byteLength; start += CHUNK_BYTES) {
        this.#signal.throwIfAborted();
        const end = Math.min(byteLength, start + CHUNK_BYTES);
        const bytes = await this.#home.files.get(file)?.read(offset + start, offset + end);
        if (bytes === undefined || bytes.byteLength % byteWidth !== 0)
          throw new RangeError(`part of ${file}`);
        yield bytes as Uint8Array<ArrayBuffer>;
      }
    }
  }

  async #link(file: string): Promise<string> {
    const location = `${LINKS}/${file}`;
    if (this.#linked.has(file)) return location;
    const [from, to] = [join(this.#model.directory, file), join(this.#directory, location)];
    await mkdir(dirname(to), { recursive: true });
    await link(from, to).catch(() => copyFile(from, to, constants.COPYFILE_FICLONE));
    this.#linked.add(file);
    return location;
  }

  /** Returns where the bytes begin in the file of copies. */
  async #copy(chunks: AsyncIterable<Uint8Array>): Promise<number> {
    this.#copies ??= await open(join(this.#directory, COPIES), 'wx');
    const offset = this.#copiedBytes;
    for await (const chunk of chunks) {
      await this.#copies.writeFile(chunk);
      this.#copiedBytes += chunk.byteLength;
    }
    return offset;
  }
}

function setExternal(tensor: TensorProto, location: string, offset: number, byteLength: number): void {
  clearNumbers(tensor);
  tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
  tensor.externalData = Object.entries({ location, offset, length: byteLength }).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value: `${value}` }),
  );
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return new Uint8Array(Buffer.concat(parts));
}

/** The least float64 is what masks are filled with: it must not become infinite. */
function narrow(numbers: Float64Array): Float32Array<ArrayBuffer> {
  const narrowed = new Float32Array(numbers);
  for (let i = 0; i < narrowed.length; i++) {
    if (Math.abs(narrowed[i]) === Number.POSITIVE_INFINITY && Number.isFinite(numbers[i])) {
      narrowed[i] = Math.sign(numbers[i]) * MAX_FLOAT32;
    }
  }
  return narrowed;
}

function unplaceable(name: string, reason: string): EmpError {
  return new EmpError('unsupported_model', `tensor ${name} cannot be placed: ${reason}`, [
    { path: name, message: reason },
  ]);
}
