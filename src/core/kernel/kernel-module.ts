import { readFileSync } from 'node:fs';

/** The little of WebAssembly's JavaScript interface used here: Node's types leave it to `lib.dom`, a browser's globals. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: unknown };
};

export type Address = number;

/** What `assembly/` exports. Scores are float32, at an address that is a multiple of 4; a key is a score's bits without sign. */
export interface KernelExports {
  readonly memory: {
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  };
  readonly RESULT: { readonly value: Address };
  readonly FOLDED: { readonly value: Address };
  readonly HEAP: { readonly value: Address };
  widenBfloat16(source: Address, target: Address, n: number): void;
  widenFloat16(source: Address, target: Address, n: number): void;
  clampNegative(scores: Address, n: number): void;
  summarize(scores: Address, n: number, partials: Address, counting: boolean): number;
  refine(scores: Address, n: number, prefix: number): void;
  fold(signed: boolean): void;
  selectTop(scores: Address, n: number, keep: number): number;
  rank(scores: Address, n: number, threshold: number): void;
  keepMask(
    scores: Address,
    n: number,
    threshold: number,
    ties: number,
    mask: Address,
    partials: Address,
  ): void;
  zeroDropped16(weights: Address, n: number, mask: Address): void;
  zeroDropped32(weights: Address, n: number, mask: Address): void;
  zeroDropped64(weights: Address, n: number, mask: Address): void;
  firstNonFinite(scores: Address, n: number): number;
}

const PAGE_BYTES = 65536;

/**
 * The compiled kernel, shared by all instances of a thread. The one place where core reads a file: `kernel.wasm` is
 * code of its own that lies beside this module.
 */
const kernelModule = new WebAssembly.Module(readFileSync(new URL('./kernel.wasm', import.meta.url)));

/** An instance with its own memory, `heapBytes` of it from `HEAP` on for the host's buffers. */
export function createInstance(heapBytes: number): KernelExports {
  const exports = new WebAssembly.Instance(kernelModule).exports as KernelExports;
  const { memory, HEAP } = exports;
  memory.grow(Math.ceil((HEAP.value + heapBytes - memory.buffer.byteLength) / PAGE_BYTES));
  return exports;
}
