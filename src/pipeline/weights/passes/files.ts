import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';

/** Files of one pass, opened once a thread and read and written by position. */
export class PositionedFiles implements Disposable {
  readonly #descriptors = new Map<string, number>();

  /** Fills `into` from `offset` on. */
  read(path: string, into: Uint8Array, offset: number): void {
    const descriptor = this.#open(path, 'r');
    for (let done = 0; done < into.byteLength; ) {
      const n = readSync(descriptor, into, done, into.byteLength - done, offset + done);
      if (n === 0)
        throw new Error(
          `${path} ended at byte ${fstatSync(descriptor).size}, and was to be read up to ${offset + into.byteLength}`,
        );
      done += n;
    }
  }

  /** Writes all of `bytes` from `offset` on. */
  write(path: string, bytes: Uint8Array, offset: number): void {
    const descriptor = this.#open(path, 'r+');
    for (let done = 0; done < bytes.byteLength; ) {
      done += writeSync(descriptor, bytes, done, bytes.byteLength - done, offset + done);
    }
  }

  [Symbol.dispose](): void {
    for (const descriptor of this.#descriptors.values()) closeSync(descriptor);
    this.#descriptors.clear();
  }

  #open(path: string, flags: 'r' | 'r+'): number {
    const key = `${flags} ${path}`;
    let descriptor = this.#descriptors.get(key);
    if (descriptor === undefined) {
      descriptor = openSync(path, flags);
      this.#descriptors.set(key, descriptor);
    }
    return descriptor;
  }
}
