import { elementCount } from '../formats/model.ts';
import { byteWidth, type Fetched, viewNumbers } from '../formats/numbers.ts';

/** How the bytes of a row-major array lie about one axis. */
export interface Strides {
  /** Blocks before the axis. */
  readonly outer: number;
  /** Bytes of one position of the axis within a block. */
  readonly inner: number;
}

export function stridesAbout(shape: readonly number[], axis: number, dtype: string): Strides {
  return {
    outer: elementCount(shape.slice(0, axis)),
    inner: elementCount(shape.slice(axis + 1)) * byteWidth(dtype),
  };
}

/** A tensor whose axis has one position, with `count` copies of it there. */
export function repeatAlong({ dtype, shape, data }: Fetched, axis: number, count: number): Fetched {
  const { outer, inner } = stridesAbout(shape, axis, dtype);
  const from = bytesOf(data);
  const to = new Uint8Array(outer * count * inner);
  for (let block = 0; block < outer * count; block++) {
    const source = Math.floor(block / count) * inner;
    to.set(from.subarray(source, source + inner), block * inner);
  }
  return { dtype, shape: shape.with(axis, count), data: viewNumbers(to.buffer, dtype) };
}

/** A tensor with one of its axes put first. */
export function axisToFront(fetched: Fetched, axis: number): Fetched {
  if (axis === 0) return fetched;
  const { dtype, shape, data } = fetched;
  const { outer, inner } = stridesAbout(shape, axis, dtype);
  const count = shape[axis];
  const from = bytesOf(data);
  const to = new Uint8Array(from.byteLength);
  for (let block = 0; block < outer; block++) {
    for (let place = 0; place < count; place++) {
      const source = (block * count + place) * inner;
      to.set(from.subarray(source, source + inner), (place * outer + block) * inner);
    }
  }
  return {
    dtype,
    shape: [count, ...shape.toSpliced(axis, 1)],
    data: viewNumbers(to.buffer, dtype),
  };
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
