import { BLOCK, FOLDED, HISTOGRAM, HISTOGRAM_BYTES, STEP, TAIL } from './layout';
import {
  addLanes,
  highPair,
  increment,
  keys,
  largestLane,
  lowPair,
  matches,
  padTail,
  takeOff,
  wholeSteps,
} from './steps';

/**
 * Per block `[max, sum, sumOfSquares]` into `partials`, three f64 each; returns the largest score. With `counting`, adds
 * to the histogram of the upper halves of the bit patterns, sign included: `fold` brings the two signs together.
 */
export function summarize(scores: usize, n: u32, partials: usize, counting: bool): f32 {
  const rest = padTail(scores, n);
  const h1 = HISTOGRAM + HISTOGRAM_BYTES;
  const h2 = h1 + HISTOGRAM_BYTES;
  const h3 = h2 + HISTOGRAM_BYTES;
  let largest = 0;
  while (n) {
    const size = min(n, BLOCK);
    n -= size;
    let end = wholeSteps(scores, size);
    let tail = size & 15;
    let most = i32x4.splat(0);
    let s0 = f64x2.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    let q0 = s0;
    let q1 = s0;
    let q2 = s0;
    let q3 = s0;
    for (;;) {
      for (; scores < end; scores += 32) {
        const a = keys(v128.load(scores));
        const b = keys(v128.load(scores, 16));
        most = i32x4.max_s(most, i32x4.max_s(a, b));
        const a0 = lowPair(a);
        const a1 = highPair(a);
        const b0 = lowPair(b);
        const b1 = highPair(b);
        s0 = f64x2.add(s0, a0);
        s1 = f64x2.add(s1, a1);
        s2 = f64x2.add(s2, b0);
        s3 = f64x2.add(s3, b1);
        q0 = f64x2.add(q0, f64x2.mul(a0, a0));
        q1 = f64x2.add(q1, f64x2.mul(a1, a1));
        q2 = f64x2.add(q2, f64x2.mul(b0, b0));
        q3 = f64x2.add(q3, f64x2.mul(b1, b1));
        if (counting) {
          increment(HISTOGRAM, load<u16>(scores, 2));
          increment(h1, load<u16>(scores, 6));
          increment(h2, load<u16>(scores, 10));
          increment(h3, load<u16>(scores, 14));
          increment(HISTOGRAM, load<u16>(scores, 18));
          increment(h1, load<u16>(scores, 22));
          increment(h2, load<u16>(scores, 26));
          increment(h3, load<u16>(scores, 30));
        }
      }
      if (!tail) break;
      tail = 0;
      scores = TAIL;
      end = TAIL + STEP;
    }
    const blockLargest = largestLane(most);
    largest = max(largest, blockLargest);
    store<f64>(partials, reinterpret<f32>(blockLargest));
    store<f64>(partials, addLanes(s0, s1, s2, s3), 8);
    store<f64>(partials, addLanes(q0, q1, q2, q3), 16);
    partials += 24;
  }
  if (counting && rest) takeOff(HISTOGRAM, 16 - rest);
  return reinterpret<f32>(largest);
}

/** Adds to the histogram the lower halves of the keys whose upper half is `prefix`. */
export function refine(scores: usize, n: u32, prefix: u32): void {
  const rest = padTail(scores, n);
  const wanted = i32x4.splat(prefix);
  let tail = rest;
  let end = wholeSteps(scores, n);
  for (;;) {
    for (; scores < end; scores += STEP) {
      let found = matches(scores, 16, wanted);
      while (found) {
        const i = <usize>ctz(found);
        found &= found - 1;
        increment(HISTOGRAM + (i & 3) * HISTOGRAM_BYTES, load<u16>(scores + (i << 2)));
      }
    }
    if (!tail) break;
    tail = 0;
    scores = TAIL;
    end = TAIL + STEP;
  }
  if (rest && !prefix) takeOff(HISTOGRAM, 16 - rest);
}

/** Adds up four bins over the interleaved histograms and zeroes them, if need be: most are empty. */
function takeFour(bin: usize): v128 {
  const at = HISTOGRAM + bin;
  const a = v128.load(at);
  const b = v128.load(at + HISTOGRAM_BYTES);
  const c = v128.load(at + 2 * HISTOGRAM_BYTES);
  const d = v128.load(at + 3 * HISTOGRAM_BYTES);
  const zero = i32x4.splat(0);
  if (v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)))) {
    v128.store(at, zero);
    v128.store(at + HISTOGRAM_BYTES, zero);
    v128.store(at + 2 * HISTOGRAM_BYTES, zero);
    v128.store(at + 3 * HISTOGRAM_BYTES, zero);
  }
  return i32x4.add(i32x4.add(a, b), i32x4.add(c, d));
}

/** Moves the interleaved histograms to FOLDED, added up, and starts the next at zero. `signed`: bins b and b + 32768 are one. */
export function fold(signed: bool): void {
  const half = HISTOGRAM_BYTES / 2;
  for (let bin: usize = 0; bin < half; bin += 16) {
    const positive = takeFour(bin);
    const negative = takeFour(bin + half);
    v128.store(FOLDED + bin, signed ? i32x4.add(positive, negative) : positive);
    v128.store(FOLDED + bin + half, signed ? i32x4.splat(0) : negative);
  }
}
