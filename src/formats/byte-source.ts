/** Bytes that can be read by range: a file, an array, later an object in a bucket. Parsers know nothing else of I/O. */
export interface ByteSource {
  readonly byteLength: number;
  /** The bytes `[start, end)`. Rejects when the range reaches past `byteLength`. */
  read(start: number, end: number): Promise<Uint8Array>;
}

export function bytesSource(bytes: Uint8Array): ByteSource {
  return {
    byteLength: bytes.byteLength,
    async read(start, end) {
      if (start < 0 || end > bytes.byteLength || start > end) {
        throw new RangeError(`range ${start}-${end} of ${bytes.byteLength} bytes`);
      }
      return bytes.subarray(start, end);
    },
  };
}
