import { combineRanges, parse, type Range } from 'range-parser';

/**
 * The stretch of bytes that a `Range` header asks for (RFC 9110, 14.1.2), both ends inclusive. Of several ranges those outside the file do
 * not count, and those that join are one. Null where the header is to be ignored: another unit, several stretches, or not understood, which
 * the RFC lets a server answer with the whole. `unsatisfiable` where no byte of it is in the file.
 */
export function parseRange(header: string | undefined, size: number): Range | 'unsatisfiable' | null {
  if (header === undefined) return null;
  const { code, type, ranges } = parse(size, header);
  const malformed = (code & 1) === 1;
  if (type !== 'bytes' || malformed) return null;
  // The last bytes of an empty file are there, all none of them.
  if (ranges.length === 0) return code === 0 ? null : 'unsatisfiable';
  const [{ start, end }, ...others] = combineRanges(ranges);
  return others.length === 0 ? { start, end } : null;
}
