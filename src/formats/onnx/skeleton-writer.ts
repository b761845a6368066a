import { EmpError } from '../../core/errors.ts';
import { MAX_VARINT_BYTES, WIRE } from './wire.ts';

/** Everything but tensors; the largest real models have a few megabytes of it. */
const MAX_SKELETON_BYTES = 64 * 2 ** 20;
/** Estimated size of the decoded objects, since an empty message of 2 bytes becomes one of half a kilobyte. */
const MAX_DECODED_BYTES = 512 * 2 ** 20;
const DECODED_MESSAGE_BYTES = 512;
export const DECODED_ELEMENT_BYTES = 32;
/** Over-long varints of this width hold the lengths of messages, which are not known when a message begins. */
const LENGTH_BYTES = 5;

/** The skeleton's bytes, growing up to the limits. */
export class SkeletonWriter {
  byteLength = 0;
  #bytes = new Uint8Array(65536);
  #decodedBytes = 0;
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** Whether the last `byteLength` bytes are varints back to back. */
  endsWithVarints(byteLength: number): boolean {
    let continued = 0;
    for (let index = this.byteLength - byteLength; index < this.byteLength; index++) {
      continued = this.#bytes[index] < 0x80 ? 0 : continued + 1;
      if (continued === MAX_VARINT_BYTES) return false;
    }
    return continued === 0;
  }

  /** Makes sure that `byteLength` more fit, at byte `offset` of the file. */
  reserve(byteLength: number, decodedBytes: number, offset: number): void {
    const needed = this.byteLength + byteLength;
    this.#decodedBytes += decodedBytes;
    if (needed > MAX_SKELETON_BYTES || this.#decodedBytes > MAX_DECODED_BYTES) {
      const limit = needed > MAX_SKELETON_BYTES ? MAX_SKELETON_BYTES : MAX_DECODED_BYTES;
      const message = `more than ${limit / 2 ** 20} MiB of graph, attributes and texts, tensors not counted (reached at byte ${offset})`;
      throw new EmpError('unsupported_model', `${this.#file} holds ${message}`, [
        { path: this.#file, message },
      ]);
    }
    if (needed > this.#bytes.byteLength) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.byteLength));
      grown.set(this.#bytes.subarray(0, this.byteLength));
      this.#bytes = grown;
    }
  }

  append(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.byteLength);
    this.byteLength += bytes.byteLength;
  }

  beginMessage(field: number, offset: number): void {
    this.reserve(2 * LENGTH_BYTES, DECODED_MESSAGE_BYTES, offset);
    this.#varint(field * 8 + WIRE.bytes);
    this.byteLength += LENGTH_BYTES;
  }

  endMessage(start: number): void {
    let length = this.byteLength - start;
    for (let index = start - LENGTH_BYTES; index < start; index++) {
      this.#bytes[index] = (length & 0x7f) | (index < start - 1 ? 0x80 : 0);
      length >>>= 7;
    }
  }

  bytesField(field: number, contents: Uint8Array, offset: number): void {
    this.reserve(2 * LENGTH_BYTES + contents.byteLength, DECODED_ELEMENT_BYTES, offset);
    this.#varint(field * 8 + WIRE.bytes);
    this.#varint(contents.byteLength);
    this.append(contents);
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.byteLength);
  }

  #varint(value: number): void {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) {
      this.#bytes[this.byteLength++] = (rest % 128) | 0x80;
    }
    this.#bytes[this.byteLength++] = rest;
  }
}
