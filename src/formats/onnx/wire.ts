import { EmpError } from '../../core/errors.ts';
import type { ByteSource } from '../byte-source.ts';

/** Protobuf wire types that a file may hold; groups (3 and 4) are no part of ONNX and are refused. */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** 64 bits, 7 a byte. */
export const MAX_VARINT_BYTES = 10;

const MAX_TAG_BYTES = 5;
const MAX_FIELD_NUMBER = 2 ** 29 - 1;
const HEADER_BYTES = 2 * MAX_VARINT_BYTES; // a tag and a length or value
const FIRST_WINDOW = 4096; // after a jump over a payload there is usually little before the next one
const LARGEST_WINDOW = 262144;

/**
 * A cursor over protobuf bytes that reads a file in windows: small ones after a jump, growing while it goes straight on.
 * Parsing is synchronous inside a window; call `fill` before a field. Errors name file and byte.
 */
export class WireReader {
  position = 0;
  readonly byteLength: number;
  readonly file: string;
  readonly #source: ByteSource;
  #window: Uint8Array = new Uint8Array(0);
  #start = 0;
  #size = FIRST_WINDOW;

  constructor(source: ByteSource, file: string) {
    this.#source = source;
    this.file = file;
    this.byteLength = source.byteLength;
  }

  /** Whether `fill` has to be awaited before the next field's header can be read. */
  get isLow(): boolean {
    const loaded = this.#start + this.#window.byteLength;
    return this.position + HEADER_BYTES > loaded && loaded < this.byteLength;
  }

  /** Loads a window at the cursor. */
  async fill(): Promise<void> {
    const loaded = this.#start + this.#window.byteLength;
    this.#size = this.position > loaded ? FIRST_WINDOW : Math.min(this.#size * 2, LARGEST_WINDOW);
    this.#start = this.position;
    this.#window = await this.#source.read(
      this.position,
      Math.min(this.position + this.#size, this.byteLength),
    );
  }

  /** The bytes `[start, end)` where the window holds them all, else null. */
  loaded(start: number, end: number): Uint8Array | null {
    if (start < this.#start || end > this.#start + this.#window.byteLength) return null;
    return this.#window.subarray(start - this.#start, end - this.#start);
  }

  /** Calls `take` with the bytes `[start, end)`, window by window, and leaves the cursor at `end`. */
  async copy(start: number, end: number, take: (bytes: Uint8Array) => void): Promise<void> {
    this.position = start;
    while (this.position < end) {
      const from = this.position - this.#start;
      if (from < 0 || from >= this.#window.byteLength) {
        await this.fill();
        continue;
      }
      const bytes = this.#window.subarray(from, end - this.#start);
      take(bytes);
      this.position += bytes.byteLength;
    }
  }

  /** A field's number and wire type; `end` is where the enclosing message stops. */
  tag(end: number): { field: number; wireType: number } {
    const start = this.position;
    const tag = this.varint(end, 'a field tag');
    if (this.position - start > MAX_TAG_BYTES) {
      throw this.error(start, `expected a field tag of at most ${MAX_TAG_BYTES} bytes`);
    }
    const field = Math.floor(tag / 8);
    const wireType = tag % 8;
    if (field < 1 || field > MAX_FIELD_NUMBER) {
      throw this.error(start, `expected a field number from 1 to ${MAX_FIELD_NUMBER}, found ${field}`);
    }
    if (wireType !== 0 && wireType !== 1 && wireType !== 2 && wireType !== 5) {
      throw this.error(
        start,
        `expected a field of wire type 0, 1, 2 or 5, found ${wireType} (field ${field})`,
      );
    }
    return { field, wireType };
  }

  /** A varint of at most 2^53 - 1. */
  varint(end: number, what: string): number {
    const start = this.position;
    let value = 0;
    let scale = 1;
    for (let count = 0; count < MAX_VARINT_BYTES; count++) {
      const byte = this.#byte(end, start, what);
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw this.error(start, `expected ${what} below 2^53`);
        return value;
      }
    }
    throw this.error(start, `expected ${what}, found a varint of more than ${MAX_VARINT_BYTES} bytes`);
  }

  /** Moves past a varint of any 64-bit value. */
  skipVarint(end: number): void {
    const start = this.position;
    for (let count = 0; count < MAX_VARINT_BYTES; count++) {
      if (this.#byte(end, start, 'a varint') < 0x80) return;
    }
    throw this.error(start, `found a varint of more than ${MAX_VARINT_BYTES} bytes`);
  }

  error(offset: number, message: string): EmpError {
    const finding = { path: this.file, message: `byte ${offset}: ${message}` };
    return new EmpError('malformed_onnx', `${this.file} is not a valid ONNX model: ${finding.message}`, [
      finding,
    ]);
  }

  #byte(end: number, start: number, what: string): number {
    if (this.position >= end) {
      throw this.error(start, `expected ${what}, but the message or file ends at byte ${end}`);
    }
    const byte = this.#window[this.position - this.#start];
    this.position++;
    return byte;
  }
}
