import type { ReadElements } from '../gather.ts';

/** Reads elements of `bits` bits, several to a byte and the first in its lowest, as bytes of one each. A list of bytes is read from front to back, so a byte that two ranges share is kept. */
export function unpackElements(readBytes: ReadElements, bits: number): ReadElements {
  const perByte = 8 / bits;
  let last = { at: -1, byte: 0 };
  return async (start, end) => {
    const [from, to] = [Math.floor(start / perByte), Math.ceil(end / perByte)];
    const isKnown = from === last.at;
    const whole = new Uint8Array(to - from);
    if (isKnown) whole[0] = last.byte;
    const first = from + Number(isKnown);
    if (first < to) whole.set(await readBytes(first, to), first - from);
    last = { at: to - 1, byte: whole[whole.length - 1] };
    const mask = (1 << bits) - 1;
    return Uint8Array.from({ length: end - start }, (_, i) => {
      const element = start + i;
      return (whole[Math.floor(element / perByte) - from] >> (bits * (element % perByte))) & mask;
    });
  };
}

/** The inverse, of elements in pieces; what is left of the last byte is 0. */
export async function* packElements(
  pieces: AsyncIterable<Uint8Array>,
  bits: number,
): AsyncGenerator<Uint8Array> {
  const perByte = 8 / bits;
  let begun = 0;
  let count = 0;
  for await (const piece of pieces) {
    const bytes = new Uint8Array(Math.floor((count + piece.length) / perByte));
    let at = 0;
    for (const element of piece) {
      begun |= element << (bits * count);
      if (++count < perByte) continue;
      bytes[at++] = begun;
      [begun, count] = [0, 0];
    }
    if (bytes.length > 0) yield bytes;
  }
  if (count > 0) yield Uint8Array.of(begun);
}
