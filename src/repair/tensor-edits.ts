import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isFloatDtype } from '../core/dtype.ts';
import { narrow, widen } from '../core/float-format.ts';
import { readIrregular, writeRuns } from '../formats/irregular.ts';
import { type ByteRange, elementCount, type TensorData } from '../formats/model.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import { tensorOf } from './editable-tensors.ts';

/** Where bytes that were written over are kept. */
interface Former {
  readonly range: ByteRange;
  readonly offset: number;
}

/** The numbers of a model's tensors and their keep masks, read from files and changed in them, until `undo`. */
export class TensorEdits implements AsyncDisposable {
  readonly #model: StoredModel;
  readonly #masks: ReadonlyMap<string, ByteRange>;
  readonly #journalPath: string;
  #journal: FileHandle | null = null;
  #journalBytes = 0;
  #former: Former[] = [];

  /** @param masks where the packed keep masks of weights are, in files of the model's folder */
  constructor(
    model: StoredModel,
    scratchDirectory: string,
    masks: ReadonlyMap<string, ByteRange> = new Map(),
  ) {
    this.#model = model;
    this.#masks = masks;
    this.#journalPath = join(scratchDirectory, 'repair-journal');
  }

  /** In the tensor's order. */
  async read(name: string): Promise<Float64Array> {
    return await readNumbers(this.#model, name);
  }

  /** Writes the numbers, rounded to the tensor's dtype, in the place of those that it has; `reasonNotToEdit` must be null. */
  async write(name: string, numbers: Float64Array): Promise<void> {
    const tensor = tensorOf(this.#model.inventory, name);
    if (!tensor?.data || !isFloatDtype(tensor.dtype) || numbers.length !== elementCount(tensor.shape)) {
      throw new TypeError(`${numbers.length} numbers for ${name}`);
    }
    const { data, dtype } = tensor;
    await this.#keep(data.runs, await readIrregular(this.#model.directory, data, numbers.length));
    await writeRuns(this.#model.directory, data.runs, narrow(numbers, dtype));
  }

  /** The packed keep mask of a weight. */
  async readMask(name: string): Promise<Uint8Array> {
    return await readIrregular(this.#model.directory, this.#maskOf(name), 0);
  }

  /** Writes a mask as long in its place. */
  async writeMask(name: string, mask: Uint8Array): Promise<void> {
    const { runs } = this.#maskOf(name);
    await this.#keep(runs, await this.readMask(name));
    await writeRuns(this.#model.directory, runs, mask);
  }

  /** Forgets what was there before: from here on `undo` goes back to what is now. */
  async keep(): Promise<void> {
    this.#former = [];
    this.#journalBytes = 0;
    await this.#journal?.truncate();
  }

  /** Puts back what was there at the last `keep`. */
  async undo(): Promise<void> {
    for (const { range, offset } of this.#former.reverse()) {
      const bytes = new Uint8Array(range.byteLength);
      await this.#journal?.read(bytes, 0, range.byteLength, offset);
      await writeRuns(this.#model.directory, [range], bytes);
    }
    await this.keep();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#journal?.close();
    await rm(this.#journalPath, { force: true });
  }

  #maskOf(name: string): TensorData {
    const range = this.#masks.get(name);
    if (range === undefined) throw new TypeError(`no keep mask of ${name}`);
    return { encoding: 'dense', runs: [range] };
  }

  async #keep(runs: readonly ByteRange[], bytes: Uint8Array): Promise<void> {
    this.#journal ??= await open(this.#journalPath, 'w+');
    await this.#journal.write(bytes, 0, bytes.byteLength, this.#journalBytes);
    for (const range of runs) {
      this.#former.push({ range, offset: this.#journalBytes });
      this.#journalBytes += range.byteLength;
    }
  }
}

/** The numbers of a model's float tensor, in its order. */
export async function readNumbers(
  { directory, inventory }: StoredModel,
  name: string,
): Promise<Float64Array> {
  const tensor = tensorOf(inventory, name);
  if (!tensor?.data || !isFloatDtype(tensor.dtype)) throw new TypeError(`no numbers of ${name}`);
  const { data, dtype, shape } = tensor;
  const numbers = new Float64Array(elementCount(shape));
  widen(await readIrregular(directory, data, numbers.length), dtype, numbers);
  return numbers;
}
