/** bfloat16 is the upper half of a float32. Writes whole vectors, up to 28 bytes beyond the last score. */
export function widenBfloat16(source: usize, target: usize, n: u32): void {
  const end = target + ((<usize>n) << 2);
  for (; target < end; target += 32, source += 16) {
    const a = v128.load(source);
    v128.store(target, i32x4.shl(i32x4.extend_low_i16x8_u(a), 16));
    v128.store(target, i32x4.shl(i32x4.extend_high_i16x8_u(a), 16), 16);
  }
}

/** Four finite float16, sign-extended to 32 bits. */
function widenHalf(a: v128): v128 {
  // Moving the exponent's bias from 15 to 127 is a multiplication by 2^112, right for subnormals too.
  return f32x4.mul(
    v128.and(i32x4.shl(a, 13), i32x4.splat(0x8fffe000)),
    f32x4.splat(reinterpret<f32>(0x77800000)),
  );
}

/** Writes whole vectors, up to 28 bytes beyond the last score. */
export function widenFloat16(source: usize, target: usize, n: u32): void {
  const exponent = i16x8.splat(0x7c00);
  let nonFinite = i16x8.splat(0);
  const end = target + ((<usize>n) << 2);
  for (let from = source, to = target; to < end; to += 32, from += 16) {
    const a = v128.load(from);
    nonFinite = v128.or(nonFinite, i16x8.eq(v128.and(a, exponent), exponent));
    v128.store(to, widenHalf(i32x4.extend_low_i16x8_s(a)));
    v128.store(to, widenHalf(i32x4.extend_high_i16x8_s(a)), 16);
  }
  if (!v128.any_true(nonFinite)) return;
  for (; target < end; target += 4, source += 2) {
    if ((load<u16>(source) & 0x7c00) === 0x7c00) store<u32>(target, load<u32>(target) | 0x7f800000);
  }
}

/** Negative scores become 0, except -Infinity, which is an error to be found later. Writes whole vectors. */
export function clampNegative(scores: usize, n: u32): void {
  const end = scores + ((<usize>n) << 2);
  for (; scores < end; scores += 16) {
    const a = v128.load(scores);
    const negative = v128.and(f32x4.lt(a, f32x4.splat(0)), f32x4.gt(a, f32x4.splat(-Infinity)));
    v128.store(scores, v128.andnot(a, negative));
  }
}

/** Index of the first NaN or Infinity, or `n`. */
export function firstNonFinite(scores: usize, n: u32): u32 {
  for (let i: u32 = 0; i < n; i++) {
    if ((load<u32>(scores + ((<usize>i) << 2)) & 0x7f800000) === 0x7f800000) return i;
  }
  return n;
}
