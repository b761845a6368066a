/** Shared by the threads of one pass: `[next unit to take, units done, abort, units in all]`. */
export type PassControl = Int32Array<SharedArrayBuffer>;

export function createControl(): PassControl {
  return new Int32Array(new SharedArrayBuffer(16));
}

/** Share of the pass that is done, 0 to 1. */
export function shareDone(control: PassControl): number {
  return Atomics.load(control, 1) / Math.max(1, Atomics.load(control, 3));
}

export function requestAbort(control: PassControl): void {
  Atomics.store(control, 2, 1);
}

/** The numbers `0..count-1` that this thread gets of those shared with the others, until an abort is requested. */
export function* takeTurns(count: number, control: PassControl): Generator<number> {
  Atomics.store(control, 3, count);
  for (let unit = Atomics.add(control, 0, 1); unit < count; unit = Atomics.add(control, 0, 1)) {
    if (Atomics.load(control, 2) !== 0) return;
    yield unit;
    Atomics.add(control, 1, 1);
  }
}
