/** Bytes `[start, end]`, both inclusive as in HTTP. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * One `bytes` range of a `Range` header (RFC 9110, 14.1.2). Null where the header is to be ignored: another unit, several ranges, or not
 * understood, which the RFC lets a server answer with the whole. `unsatisfiable` where it lies outside the file.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | 'unsatisfiable' | null {
  const match = /^bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))$/i.exec(header?.replaceAll(' ', '') ?? '');
  if (!match) return null;
  const [, first, last, suffix] = match;
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  const end = last ? Number(last) : size - 1;
  if (last && end < start) return null;
  return start >= size ? 'unsatisfiable' : { start, end: Math.min(end, size - 1) };
}
