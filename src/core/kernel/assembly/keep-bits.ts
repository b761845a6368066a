import { BLOCK, RESULT, STEP, TAIL } from './layout';
import {
  addIntegerLanes,
  addLanes,
  bits,
  highPair,
  keys,
  lowPair,
  matches,
  padTail,
  takeOff,
  wholeSteps,
} from './steps';

/** Counts of scores above and equal to the one whose key is `threshold` (all are above a negative one), into RESULT. */
export function rank(scores: usize, n: u32, threshold: i32): void {
  const rest = padTail(scores, n);
  const limit = i32x4.splat(threshold);
  let above = i32x4.splat(0);
  let tied = above;
  let tail = rest;
  let end = wholeSteps(scores, n);
  for (;;) {
    for (; scores < end; scores += 32) {
      const a = keys(v128.load(scores));
      const b = keys(v128.load(scores, 16));
      above = i32x4.sub(above, i32x4.add(i32x4.gt_s(a, limit), i32x4.gt_s(b, limit)));
      tied = i32x4.sub(tied, i32x4.add(i32x4.eq(a, limit), i32x4.eq(b, limit)));
    }
    if (!tail) break;
    tail = 0;
    scores = TAIL;
    end = TAIL + STEP;
  }
  store<u32>(RESULT, addIntegerLanes(above));
  store<u32>(RESULT, addIntegerLanes(tied), 4);
  if (rest && threshold < 0) takeOff(RESULT, 16 - rest);
  if (rest && threshold === 0) takeOff(RESULT + 4, 16 - rest);
}

/** One past the index of the `ties`-th score (`ties` >= 1) whose key is `threshold`; `n` or more where there are fewer. */
function tieCut(scores: usize, n: u32, threshold: i32, ties: u32): u32 {
  const wanted = i32x4.splat(threshold);
  const whole = n & ~15;
  for (let first: u32 = 0; first < n; first += 16) {
    let found = matches(first < whole ? scores + ((<usize>first) << 2) : TAIL, 0, wanted);
    const count = popcnt(found);
    if (count >= ties) {
      while (--ties) found &= found - 1;
      return first + ctz(found) + 1;
    }
    ties -= count;
  }
  return n;
}

/**
 * Keep mask of the scores whose key is above `threshold` and of the first `ties` of those equal to it (`ties` >= n: all).
 * Per block the sum of the kept scores into `partials`, one f64 each.
 */
export function keepMask(
  scores: usize,
  n: u32,
  threshold: i32,
  ties: u32,
  mask: usize,
  partials: usize,
): void {
  const rest = padTail(scores, n);
  const cut = ties === 0 ? 0 : ties >= n ? n : tieCut(scores, n, threshold, ties);
  // Below the cut a score is kept when it is above threshold - 1, from the cut on when it is above threshold.
  const limit = i32x4.splat(threshold);
  const cutA = i32x4.splat(cut);
  const cutB = i32x4.splat(cut - 4);
  const cutC = i32x4.splat(cut - 8);
  const cutD = i32x4.splat(cut - 12);
  const sixteen = i32x4.splat(16);
  let index = i32x4(0, 1, 2, 3);
  while (n) {
    const size = min(n, BLOCK);
    n -= size;
    let end = wholeSteps(scores, size);
    let tail = size & 15;
    let s0 = f64x2.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    for (;;) {
      for (; scores < end; scores += STEP) {
        let a = keys(v128.load(scores));
        let b = keys(v128.load(scores, 16));
        let c = keys(v128.load(scores, 32));
        let d = keys(v128.load(scores, 48));
        const keepA = i32x4.gt_s(a, i32x4.add(limit, i32x4.lt_s(index, cutA)));
        const keepB = i32x4.gt_s(b, i32x4.add(limit, i32x4.lt_s(index, cutB)));
        const keepC = i32x4.gt_s(c, i32x4.add(limit, i32x4.lt_s(index, cutC)));
        const keepD = i32x4.gt_s(d, i32x4.add(limit, i32x4.lt_s(index, cutD)));
        index = i32x4.add(index, sixteen);
        store<u16>(mask, <u16>bits(keepA, keepB, keepC, keepD));
        mask += 2;
        a = v128.and(a, keepA);
        b = v128.and(b, keepB);
        c = v128.and(c, keepC);
        d = v128.and(d, keepD);
        s0 = f64x2.add(f64x2.add(s0, lowPair(a)), lowPair(c));
        s1 = f64x2.add(f64x2.add(s1, highPair(a)), highPair(c));
        s2 = f64x2.add(f64x2.add(s2, lowPair(b)), lowPair(d));
        s3 = f64x2.add(f64x2.add(s3, highPair(b)), highPair(d));
      }
      if (!tail) break;
      tail = 0;
      scores = TAIL;
      end = TAIL + STEP;
    }
    store<f64>(partials, addLanes(s0, s1, s2, s3));
    partials += 8;
  }
  if (rest) store<u16>(mask - 2, load<u16>(mask - 2) & (((<u16>1) << (<u16>rest)) - 1));
}
