function isKept(mask: usize, i: u32): bool {
  return ((load<u8>(mask + (i >> 3)) >> (i & 7)) & 1) !== 0;
}

/** Zeroes the elements `first` to `n`, of `width` bytes, whose bit in the mask is 0. */
function zeroTail(weights: usize, first: u32, n: u32, mask: usize, width: usize): void {
  for (let i = first; i < n; i++) if (!isKept(mask, i)) memory.fill(weights + <usize>i * width, 0, width);
}

export function zeroDropped16(weights: usize, n: u32, mask: usize): void {
  const lanes = i16x8(1, 2, 4, 8, 16, 32, 64, 128);
  const whole = n & ~7;
  for (let i: u32 = 0; i < whole; i += 8) {
    const at = weights + ((<usize>i) << 1);
    const kept = i16x8.eq(v128.and(i16x8.splat(load<u8>(mask + (i >> 3))), lanes), lanes);
    v128.store(at, v128.and(v128.load(at), kept));
  }
  zeroTail(weights, whole, n, mask, 2);
}

export function zeroDropped32(weights: usize, n: u32, mask: usize): void {
  const lanes = i32x4(1, 2, 4, 8);
  const upperLanes = i32x4(16, 32, 64, 128);
  const whole = n & ~7;
  for (let i: u32 = 0; i < whole; i += 8) {
    const at = weights + ((<usize>i) << 2);
    const byte = i32x4.splat(load<u8>(mask + (i >> 3)));
    v128.store(at, v128.and(v128.load(at), i32x4.eq(v128.and(byte, lanes), lanes)));
    v128.store(at, v128.and(v128.load(at, 16), i32x4.eq(v128.and(byte, upperLanes), upperLanes)), 16);
  }
  zeroTail(weights, whole, n, mask, 4);
}

export function zeroDropped64(weights: usize, n: u32, mask: usize): void {
  zeroTail(weights, 0, n, mask, 8);
}
