import { create } from '@bufbuild/protobuf';
import { EmpError } from '../../core/errors.ts';
import type { ByteRange, ModelFiles } from '../model.ts';
import { ByteParts, type DeferredBytes } from './byte-parts.ts';
import { StringStringEntryProtoSchema, type TensorProto } from './onnx-schema.ts';

/** What fills a page begins on one, so that it can be mapped alone, as ONNX advises; in between a cache line, lest thousands of vectors take a page each. */
const PAGE_BYTES = 4096;
const LINE_BYTES = 64;
/**
 * Bytes of tensors in a written file by those of the file that was read. Tensors that overlapped are apart in what is written: a
 * few may, but not thousands of a gigabyte each.
 */
const MAX_GROWTH = 4;

/** Files of external data to be written: those that were read, their tensors one behind the other. */
export class ExternalLayout {
  readonly #sources: ModelFiles;
  readonly #files = new Map<string, ByteParts>();
  readonly #tensorBytes = new Map<string, number>();
  /** Offsets of ranges copied as they are, by the range. */
  readonly #copies = new Map<string, number>();

  constructor(sources: ModelFiles) {
    this.#sources = sources;
  }

  /** By name, in the order of first use. */
  get files(): ReadonlyMap<string, ByteParts> {
    return this.#files;
  }

  /** A place for all bytes of a range, which tensors share that shared it. Throws as `add`. */
  addCopy(range: ByteRange, contents: DeferredBytes): number {
    const key = JSON.stringify([range.file, range.offset, range.byteLength]);
    const offset = this.#copies.get(key) ?? this.add(range.file, contents);
    this.#copies.set(key, offset);
    return offset;
  }

  /** A place for a tensor of that file; returns its offset. Throws `unsupported_model` where overlaps would multiply the file. */
  add(file: string, contents: DeferredBytes): number {
    const parts = this.#files.get(file) ?? new ByteParts();
    this.#files.set(file, parts);
    const tensorBytes = (this.#tensorBytes.get(file) ?? 0) + contents.byteLength;
    this.#tensorBytes.set(file, tensorBytes);
    const most = MAX_GROWTH * (this.#sources.get(file)?.byteLength ?? 0);
    if (tensorBytes > most) {
      const message = `its tensors overlap so much that they would take more than ${most} bytes apart`;
      throw new EmpError('unsupported_model', `${file} cannot be rewritten: ${message}`, [
        { path: file, message },
      ]);
    }
    const alignment = contents.byteLength < PAGE_BYTES ? LINE_BYTES : PAGE_BYTES;
    const padding = -parts.byteLength & (alignment - 1);
    if (padding > 0) parts.push(new Uint8Array(padding));
    const offset = parts.byteLength;
    parts.push(contents);
    return offset;
  }
}

/** Entries that say where a tensor is now; a checksum, which is of the whole old file, goes. */
export function externalEntries(tensor: TensorProto, offset: number, byteLength: number) {
  const others = tensor.externalData.filter(({ key }) => !['offset', 'length', 'checksum'].includes(key));
  const place = Object.entries({ offset, length: byteLength });
  return [
    ...others,
    ...place.map(([key, value]) => create(StringStringEntryProtoSchema, { key, value: `${value}` })),
  ];
}
