import { DTYPE_BY_NAME, tensorByteLength } from './dtype-codes.ts';
import { LENGTH_BYTES, METADATA_KEY, type SafetensorsTensor } from './header.ts';

export interface SafetensorsLayout {
  /** The length field and the header: the file's first bytes. */
  readonly header: Uint8Array;
  /** Where each tensor's data go, in the order given. */
  readonly tensors: readonly SafetensorsTensor[];
  readonly fileByteLength: number;
}

/**
 * Lays out a safetensors file so that its data can be written by range afterwards. The same input gives the same bytes; data follow one
 * another in the order given, from an offset that is a multiple of 8.
 * @throws RangeError on a caller's mistake: an unknown dtype, a name used twice, a shape whose bytes overflow
 */
export function createSafetensorsLayout(
  tensors: readonly Pick<SafetensorsTensor, 'name' | 'dtype' | 'shape'>[],
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsLayout {
  // A Map and entries, since integer-like names ("0") would be moved to the front of an object's keys.
  const entries = new Map<string, unknown>();
  if (Object.keys(metadata).length > 0) entries.set(METADATA_KEY, metadata);
  const placed: SafetensorsTensor[] = [];
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    const type = DTYPE_BY_NAME.get(dtype);
    const byteLength = type ? tensorByteLength(shape, type.bits) : null;
    if (!type || byteLength === null) throw new RangeError(`cannot lay out ${name}: ${dtype} [${shape}]`);
    if (entries.has(name) || name === METADATA_KEY) throw new RangeError(`the name ${name} is taken`);
    const start = end;
    end += byteLength;
    entries.set(name, { dtype: type.code, shape, data_offsets: [start, end] });
    placed.push({ name, dtype, shape, offset: start, byteLength });
  }
  const header = encodeHeader(entries);
  const dataOffset = header.byteLength;
  return {
    header,
    tensors: placed.map((tensor) => ({ ...tensor, offset: dataOffset + tensor.offset })),
    fileByteLength: dataOffset + end,
  };
}

/** Padded with spaces to a multiple of 8, as the reference implementation does. */
function encodeHeader(entries: ReadonlyMap<string, unknown>): Uint8Array {
  const members = Array.from(entries, ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const json = new TextEncoder().encode(`{${members.join(',')}}`);
  const paddedLength = Math.ceil(json.byteLength / 8) * 8;
  const header = new Uint8Array(LENGTH_BYTES + paddedLength).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(paddedLength), true);
  header.set(json, LENGTH_BYTES);
  return header;
}
