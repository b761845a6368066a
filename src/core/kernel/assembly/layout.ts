/*
 * AssemblyScript, not TypeScript: the files of this folder are the inner loops of `WasmKernel`, in WebAssembly SIMD.
 * `scripts/build-kernel.ts` compiles them to `kernel.wasm`.
 *
 * Scores are float32. The bit pattern of a non-negative float orders like its value, so a score's *key* is its bits
 * without the sign, and comparisons are those of integers.
 *
 * Loops take 16 scores a step without a branch. The scores left over at the end are copied to TAIL, padded with zeros,
 * for one step more, so that no step reads beyond the last score; where zeros count, the padding is taken off.
 */

export const STEP: usize = 64; // bytes of 16 scores
export const BLOCK: u32 = 4096;

// Memory from 1024 on (the compiler takes what lies below for unused); the host's buffers begin at HEAP.
export const TAIL: usize = 1024;
export const RESULT: usize = TAIL + STEP; // two u32 numbers for the host
export const BINS: usize = 2048; // 2048 counts, for `selectTop`
export const HISTOGRAM: usize = 65536; // four interleaved histograms of 65536 counts: no increment waits for the one before
export const HISTOGRAM_BYTES: usize = 262144;
export const FOLDED: usize = HISTOGRAM + 4 * HISTOGRAM_BYTES; // their sum
export const HEAP: usize = FOLDED + HISTOGRAM_BYTES;
