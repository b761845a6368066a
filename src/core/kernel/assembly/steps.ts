import { STEP, TAIL } from './layout';

/** Fills TAIL with the last `n mod 16` scores and returns their number. */
export function padTail(scores: usize, n: u32): u32 {
  const rest = n & 15;
  if (rest) {
    memory.fill(TAIL, 0, STEP);
    memory.copy(TAIL, scores + ((<usize>(n - rest)) << 2), (<usize>rest) << 2);
  }
  return rest;
}

/** The end of the last whole step. */
export function wholeSteps(scores: usize, n: u32): usize {
  return scores + ((<usize>(n & ~15)) << 2);
}

export function keys(scores: v128): v128 {
  return v128.and(scores, i32x4.splat(0x7fffffff));
}

export function lowPair(scores: v128): v128 {
  return f64x2.promote_low_f32x4(scores);
}

export function highPair(scores: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i32>(scores, scores, 2, 3, 0, 1));
}

/** Adds the eight lanes of a block: ((0+2)+(4+6)) + ((1+3)+(5+7)). */
export function addLanes(l01: v128, l23: v128, l45: v128, l67: v128): f64 {
  const pair = f64x2.add(f64x2.add(l01, l23), f64x2.add(l45, l67));
  return f64x2.extract_lane(pair, 0) + f64x2.extract_lane(pair, 1);
}

export function largestLane(a: v128): i32 {
  return max(
    max(i32x4.extract_lane(a, 0), i32x4.extract_lane(a, 1)),
    max(i32x4.extract_lane(a, 2), i32x4.extract_lane(a, 3)),
  );
}

export function addIntegerLanes(a: v128): u32 {
  return (
    i32x4.extract_lane(a, 0) + i32x4.extract_lane(a, 1) + i32x4.extract_lane(a, 2) + i32x4.extract_lane(a, 3)
  );
}

/** The 16 comparisons in a, b, c, d as 16 bits. */
export function bits(a: v128, b: v128, c: v128, d: v128): u32 {
  return i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
}

/** Which of a step's 16 scores have a key that reads `prefix` above its lowest `shift` bits. */
export function matches(scores: usize, shift: i32, prefix: v128): u32 {
  return bits(
    i32x4.eq(i32x4.shr_u(keys(v128.load(scores)), shift), prefix),
    i32x4.eq(i32x4.shr_u(keys(v128.load(scores, 16)), shift), prefix),
    i32x4.eq(i32x4.shr_u(keys(v128.load(scores, 32)), shift), prefix),
    i32x4.eq(i32x4.shr_u(keys(v128.load(scores, 48)), shift), prefix),
  );
}

export function increment(histogram: usize, bin: u32): void {
  const count = histogram + ((<usize>bin) << 2);
  store<u32>(count, load<u32>(count) + 1);
}

export function takeOff(count: usize, padding: u32): void {
  store<u32>(count, load<u32>(count) - padding);
}
