import { clip } from '../core/clip.ts';
import { EmpError } from '../core/errors.ts';
import type { ByteSource } from './byte-source.ts';
import { recognizeFile } from './foreign-file.ts';
import { malformedNpy, parseDescription } from './npy-literal.ts';
import { byteWidth, DTYPE_BY_DESCR } from './numbers.ts';

const MAGIC = new TextEncoder().encode('?NUMPY');
MAGIC[0] = 0x93;
/** Magic, version, and the longer of the two length fields. */
const PREFIX_BYTES = 12;
/** Only structured arrays, which are refused anyway, have headers beyond a few hundred bytes. */
const MAX_HEADER_BYTES = 65_536;

/** An array in C order, little-endian, that fills the file from `dataOffset` to its end. */
export interface NpyHeader {
  /** This project's name of it: `float32`, `int64`, `bool`, ... */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly dataOffset: number;
  readonly byteLength: number;
}

/**
 * The header of a `.npy` file of version 1, 2 or 3, checked against the file's size.
 * Spec: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 * @param bytes the file, or at least its header
 * @param fileByteLength of the whole file
 * @throws EmpError malformed_npy, unsupported_dtype
 */
export function parseNpyHeader(bytes: Uint8Array, fileByteLength: number = bytes.byteLength): NpyHeader {
  const { start, end, encoding } = parsePrefix(bytes);
  if (end > fileByteLength)
    throw malformedNpy(`the header should end at byte ${end}, the file does at ${fileByteLength}`);
  const { descr, fortranOrder, shape } = parseDescription(
    new TextDecoder(encoding).decode(bytes.subarray(start, end)),
  );
  const dtype = findDtype(descr);
  if (fortranOrder)
    throw malformedNpy('the array is in Fortran order; save np.ascontiguousarray(arr) instead');
  const byteLength = shape.reduce((product, dimension) => product * dimension, byteWidth(dtype));
  // A zero hides a dimension from the product.
  if (![...shape, byteLength].every(Number.isSafeInteger)) throw malformedNpy(`shape (${shape}) overflows`);
  if (byteLength !== fileByteLength - end)
    throw malformedNpy(
      `shape (${shape}) of ${dtype} takes ${byteLength} bytes, ${fileByteLength - end} follow the header`,
    );
  return { dtype, shape, dataOffset: end, byteLength };
}

/** Reads and parses the header alone. */
export async function readNpyHeader(source: ByteSource): Promise<NpyHeader> {
  const prefix = await source.read(0, Math.min(PREFIX_BYTES, source.byteLength));
  if (!hasMagic(prefix)) {
    const found = await recognizeFile(source);
    if (found?.how === 'accident' && source.byteLength > 0)
      throw malformedNpy(`it is ${found.what}: ${found.advice}`);
  }
  const { end } = parsePrefix(prefix);
  const header = await source.read(0, Math.min(end, source.byteLength));
  return parseNpyHeader(header, source.byteLength);
}

function hasMagic(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

/** Where the description lies, and its encoding, which versions 1 and 2 (latin1) and 3 (UTF-8) differ in. */
function parsePrefix(bytes: Uint8Array): { start: number; end: number; encoding: 'latin1' | 'utf-8' } {
  if (!hasMagic(bytes)) throw malformedNpy('it does not begin with \\x93NUMPY; np.save writes such files');
  const version = bytes[6];
  if (version === undefined || version < 1 || version > 3)
    throw malformedNpy(`version ${version} is none of 1, 2 and 3`);
  const start = version === 1 ? 10 : 12;
  if (bytes.byteLength < start)
    throw malformedNpy(`the file ends after ${bytes.byteLength} bytes, within the header`);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER_BYTES)
    throw malformedNpy(`the header's ${length} bytes are more than ${MAX_HEADER_BYTES}`);
  return { start, end: start + length, encoding: version === 3 ? 'utf-8' : 'latin1' };
}

/** Characters of a dtype that is told; NumPy's own have four. */
const MAX_TOLD_DTYPE = 40;

function findDtype(found: string): string {
  const dtype = DTYPE_BY_DESCR.get(found);
  if (dtype) return dtype;
  const descr = clip(found, MAX_TOLD_DTYPE);
  throw new EmpError('unsupported_dtype', `dtype '${descr}' is not supported: ${adviceFor(descr)}`);
}

function adviceFor(descr: string): string {
  if (descr.startsWith('>')) return `it is big-endian; save arr.astype('<${descr.slice(1)}')`;
  if (descr.includes('O')) return "it holds pickled Python objects; save arr.astype('<f4')";
  if (/V[12]$/.test(descr))
    return "NumPy has no bfloat16 or float8 and writes their bytes as void; save arr.astype('<f4'), or a safetensors file";
  return `expected one of ${[...DTYPE_BY_DESCR.keys()].join(', ')}, as in arr.astype('<f4')`;
}
