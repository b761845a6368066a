import type { FileSource } from '../formats/file-source.ts';
import { elementCount } from '../formats/model.ts';
import { byteWidth, type Fetched, viewNumbers } from '../formats/numbers.ts';
import type { ConstantArray, SampledArray, SampleSet } from '../formats/sample-set.ts';
import { stridesAbout } from './along-axis.ts';

/** An array with the file that it lies in. */
export interface OpenArray<A> {
  readonly array: A;
  readonly source: FileSource;
}

/** What is the same for every sample. */
export async function readWhole({ array, source }: OpenArray<ConstantArray>) {
  const { name, dtype, shape, offset, repeatedAxis } = array;
  const bytes = await source.read(offset, offset + elementCount(shape) * byteWidth(dtype));
  const fetched: Fetched = { dtype, shape, data: viewNumbers(bytes.buffer as ArrayBuffer, dtype) };
  return { name, fetched, repeatedAxis };
}

/** Samples that lie one behind the other. */
interface Span {
  readonly start: number;
  readonly count: number;
}

/** Where samples `[start, start + count)` lie. */
export function spansOf({ order }: SampleSet, start: number, count: number): Span[] {
  if (!order) return [{ start, count }];
  const spans: { start: number; count: number }[] = [];
  for (const place of order.subarray(start, start + count)) {
    const last = spans.at(-1);
    if (last && last.start + last.count === place) last.count++;
    else spans.push({ start: place, count: 1 });
  }
  return spans;
}

/** A gap of so many bytes is read through: it costs less than another read. */
const GAP_BYTES = 32 * 1024;

/** Spans in parts that are read at once, each in the file's order. */
function readAtOnce(spans: readonly Span[], bytesPerSample: number): Span[][] {
  const parts: Span[][] = [];
  for (const span of spans) {
    const last = parts.at(-1)?.at(-1);
    const gap = last ? (span.start - last.start - last.count) * bytesPerSample : -1;
    if (gap < 0 || gap > GAP_BYTES) parts.push([span]);
    else parts.at(-1)?.push(span);
  }
  return parts;
}

/** The samples of `spans`, as the model takes them. */
export async function readSamples(
  { dtype, shape, offset, axis = 0 }: SampledArray,
  source: FileSource,
  spans: readonly Span[],
): Promise<Fetched> {
  const place = axis ?? 0;
  const { outer, inner } = stridesAbout(shape, place, dtype);
  const count = spans.reduce((sum, span) => sum + span.count, 0);
  const fed = axis === null ? shape.slice(1) : shape.with(place, count);
  const read = (block: number, start: number, end: number) => {
    const from = offset + block * shape[place] * inner;
    return source.read(from + start * inner, from + end * inner);
  };
  if (outer === 1 && spans.length === 1) {
    const bytes = await read(0, spans[0].start, spans[0].start + count);
    return { dtype, shape: fed, data: viewNumbers(bytes.buffer as ArrayBuffer, dtype) };
  }
  const bytes = new Uint8Array(outer * count * inner);
  const parts = readAtOnce(spans, inner);
  let at = 0;
  for (let block = 0; block < outer; block++) {
    for (const part of parts) {
      const [{ start }, last] = [part[0], part[part.length - 1]];
      const found = await read(block, start, last.start + last.count);
      for (const span of part) {
        const from = (span.start - start) * inner;
        bytes.set(found.subarray(from, from + span.count * inner), at);
        at += span.count * inner;
      }
    }
  }
  return { dtype, shape: fed, data: viewNumbers(bytes.buffer, dtype) };
}
