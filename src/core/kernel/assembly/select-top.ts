import { BINS, RESULT, STEP, TAIL } from './layout';
import { increment, matches, padTail, takeOff, wholeSteps } from './steps';

/** Where the current digit of `selectTop` leads: the bin, how many are still to be kept inside it, how many it holds. */
let bin: u32 = 0;
let wantedInBin: u32 = 0;
let heldInBin: u32 = 0;

/** Walks the BINS down from the highest until they hold `wanted` scores. */
function walk(wanted: u32): void {
  let at: usize = BINS + 2048 * 4 - 16;
  while (!v128.any_true(v128.load(at))) at -= 16;
  at += 12;
  for (;;) {
    const held = load<u32>(at);
    if (held >= wanted) {
      heldInBin = held;
      break;
    }
    wanted -= held;
    at -= 4;
  }
  wantedInBin = wanted;
  bin = <u32>((at - BINS) >> 2);
}

/** Counts into BINS the digit at `shift`, `mask` wide, of the keys that read `prefix` above it, and walks them. */
function nextDigit(scores: usize, n: u32, prefix: u32, prefixShift: i32, shift: i32, mask: u32): void {
  const rest = padTail(scores, n);
  const wanted = i32x4.splat(prefix);
  let tail = rest;
  let end = wholeSteps(scores, n);
  memory.fill(BINS, 0, 2048 * 4);
  for (;;) {
    for (; scores < end; scores += STEP) {
      let found = matches(scores, prefixShift, wanted);
      while (found) {
        const i = <usize>ctz(found);
        found &= found - 1;
        increment(BINS, (load<u32>(scores + (i << 2)) >> shift) & mask);
      }
    }
    if (!tail) break;
    tail = 0;
    scores = TAIL;
    end = TAIL + STEP;
  }
  if (rest && !prefix) takeOff(BINS, 16 - rest);
  walk(wantedInBin);
}

/**
 * Key of the smallest score when the `keep` largest (1 <= keep <= n) are kept, by digits of 11, 11 and 9 bits. How many
 * scores equal it, and how many of those are kept, into RESULT.
 */
export function selectTop(scores: usize, n: u32, keep: u32): u32 {
  memory.fill(BINS, 0, 2048 * 4);
  const end = scores + ((<usize>n) << 2);
  for (let at = scores; at < end; at += 4) increment(BINS, (load<u16>(at, 2) >> 4) & 2047);
  walk(keep);
  let prefix = bin;
  nextDigit(scores, n, prefix, 20, 9, 2047);
  prefix = (prefix << 11) | bin;
  nextDigit(scores, n, prefix, 9, 0, 511);
  store<u32>(RESULT, heldInBin);
  store<u32>(RESULT, wantedInBin, 4);
  return (prefix << 9) | bin;
}
