import type { ByteRange, ModelFiles } from '../model.ts';
import { malformedTensor } from './external-data.ts';
import { MAX_VARINT_BYTES } from './wire.ts';

const READ_BYTES = 2 ** 20;

/** A list of varints read from front to back as little-endian elements of a fixed width, of which each varint has the bits. */
export class VarintElements {
  readonly #files: ModelFiles;
  readonly #runs: readonly ByteRange[];
  readonly #name: string;
  readonly #byteWidth: number;
  /** Where the next element begins among the elements' bytes. */
  #position = 0;
  /** Whole varints, and the next among them. */
  #varints: Uint8Array = new Uint8Array(0);
  #next = 0;
  #run = 0;
  #runBytesRead = 0;

  /** `name` is the tensor's, for errors; `byteWidth` is 1, 2, 4 or 8. */
  constructor(files: ModelFiles, runs: readonly ByteRange[], name: string, byteWidth: number) {
    this.#files = files;
    this.#runs = runs;
    this.#name = name;
    this.#byteWidth = byteWidth;
  }

  /**
   * Bytes `[start, end)` of the elements; `start` is not before the end of the last call's. Throws `malformed_onnx` where there are
   * fewer elements, a varint is cut or too long, or a number has more bits than an element.
   */
  async read(start: number, end: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    while (this.#position < end) {
      if (this.#next === this.#varints.byteLength) await this.#load();
      this.#decode(new DataView(bytes.buffer), start, end);
    }
    return bytes;
  }

  async #load(): Promise<void> {
    while (this.#run < this.#runs.length && this.#runBytesRead === this.#runs[this.#run].byteLength) {
      this.#run++;
      this.#runBytesRead = 0;
    }
    if (this.#run === this.#runs.length) {
      throw malformedTensor(this.#name, `found only ${this.#position / this.#byteWidth} elements`);
    }
    const { file, offset, byteLength } = this.#runs[this.#run];
    const from = offset + this.#runBytesRead;
    const to = Math.min(from + READ_BYTES, offset + byteLength);
    const bytes = await this.#files.get(file)?.read(from, to);
    if (bytes === undefined) throw new TypeError(`no file ${file}`);
    const whole = bytes.findLastIndex((byte) => byte < 0x80) + 1;
    if (whole === 0) throw malformedTensor(this.#name, `expected whole varints at byte ${from}`);
    this.#varints = bytes.subarray(0, whole);
    this.#next = 0;
    this.#runBytesRead += whole;
  }

  #decode(output: DataView, start: number, end: number): void {
    const varints = this.#varints;
    const width = this.#byteWidth;
    let next = this.#next;
    let position = this.#position;
    while (position < end && next < varints.byteLength) {
      let low = 0;
      let high = 0;
      let shift = 0;
      for (let byte = 0x80; byte >= 0x80; shift += 7) {
        byte = varints[next++];
        const bits = byte & 0x7f;
        if (shift < 32) low |= bits << shift;
        if (shift === 28) high = bits >>> 4;
        else if (shift > 28) high |= bits << (shift - 32);
      }
      if (shift > 7 * MAX_VARINT_BYTES) {
        throw malformedTensor(this.#name, `found a varint of more than ${MAX_VARINT_BYTES} bytes`);
      }
      if (!fits(low, high, width)) {
        throw malformedTensor(this.#name, `found a number of more than ${width} bytes`);
      }
      if (position >= start) write(output, position - start, low, high, width);
      position += width;
    }
    this.#next = next;
    this.#position = position;
  }
}

/** Whether 64 bits are a number of `width` bytes with or without a sign. */
function fits(low: number, high: number, width: number): boolean {
  if (width === 8) return true;
  if (width === 4) return high === 0 || high === -1;
  return high === low >> 31 && low >= -(1 << (8 * width - 1)) && low < 1 << (8 * width);
}

function write(output: DataView, at: number, low: number, high: number, width: number): void {
  if (width === 1) output.setUint8(at, low);
  else if (width === 2) output.setUint16(at, low, true);
  else output.setInt32(at, low, true);
  if (width === 8) output.setInt32(at + 4, high, true);
}
