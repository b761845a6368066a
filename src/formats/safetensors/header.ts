import type { ByteSource } from '../byte-source.ts';
import { DTYPE_BY_CODE, tensorByteLength } from './dtype-codes.ts';
import { isObject, malformed, parseStrictJson, quote } from './strict-json.ts';

/** The reference implementation's limit; 100,000 tensors need some 11 MB. */
export const MAX_HEADER_BYTES = 100_000_000;
/** The header's own length, a little-endian uint64, comes first. */
export const LENGTH_BYTES = 8;
export const METADATA_KEY = '__metadata__';
/** PyTorch itself stops at 64. */
const MAX_RANK = 64;

export interface SafetensorsTensor {
  readonly name: string;
  /** This project's name of it: `bfloat16`, not `BF16`. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offset: number;
  readonly byteLength: number;
}

export interface SafetensorsHeader {
  readonly metadata: ReadonlyMap<string, string>;
  /** In the order of their data, which the header's keys need not follow. */
  readonly tensors: readonly SafetensorsTensor[];
}

/**
 * The header of a safetensors file, every claim in it checked: the data of the tensors cover the file to its end without holes or overlaps.
 * Spec: https://github.com/huggingface/safetensors#format
 * @param bytes the file, or at least its length field and header
 * @param fileByteLength of the whole file
 * @throws EmpError malformed_safetensors, naming the tensor
 */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  fileByteLength: number = bytes.byteLength,
): SafetensorsHeader {
  const headerEnd = LENGTH_BYTES + parseHeaderByteLength(bytes, fileByteLength);
  const header = parseStrictJson(decodeUtf8(bytes.subarray(LENGTH_BYTES, headerEnd)));
  if (!isObject(header)) throw malformed('the header is not a JSON object');

  let metadata: ReadonlyMap<string, string> = new Map();
  const entries: TensorEntry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === METADATA_KEY) metadata = parseMetadata(value);
    else entries.push(parseEntry(name, value));
  }
  const dataByteLength = fileByteLength - headerEnd;
  const inDataOrder = entries.toSorted((a, b) => a.start - b.start || a.end - b.end);
  checkCoverage(inDataOrder, dataByteLength);
  const tensors = inDataOrder.map(({ name, dtype, shape, start, end }) => {
    return { name, dtype, shape, offset: headerEnd + start, byteLength: end - start };
  });
  return { metadata, tensors };
}

/** Reads and parses the header alone, never tensor data. */
export async function readSafetensorsHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const prefix = await source.read(0, Math.min(LENGTH_BYTES, source.byteLength));
  const headerByteLength = parseHeaderByteLength(prefix, source.byteLength);
  return parseSafetensorsHeader(await source.read(0, LENGTH_BYTES + headerByteLength), source.byteLength);
}

function parseHeaderByteLength(bytes: Uint8Array, fileByteLength: number): number {
  if (bytes.byteLength < LENGTH_BYTES)
    throw malformed(`the file ends after ${bytes.byteLength} bytes, within the header's 8-byte length`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES)
    throw malformed(
      `bytes 0-8 announce a header of ${length} bytes; the format's limit is ${MAX_HEADER_BYTES}. Is this a safetensors file?`,
    );
  if (Number(length) > fileByteLength - LENGTH_BYTES)
    throw malformed(`the header should be ${length} bytes long, but the file holds ${fileByteLength} in all`);
  return Number(length);
}

function decodeUtf8(header: Uint8Array): string {
  if (header[0] !== 0x7b) throw malformed("byte 8, the header's first, is not '{'");
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(header);
  } catch (error) {
    if (error instanceof TypeError) throw malformed('the header is not valid UTF-8');
    throw error;
  }
}

function parseMetadata(value: unknown): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  if (!isObject(value)) throw malformed(`${METADATA_KEY} is not an object of strings`);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string')
      throw malformed(`${METADATA_KEY}: the value of ${quote(key)} is not a string`);
    metadata.set(key, text);
  }
  return metadata;
}

/** A tensor as the header claims it; `start` and `end` count from the end of the header. */
interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

function parseEntry(name: string, value: unknown): TensorEntry {
  checkTensorName(name);
  if (!isObject(value)) throw malformed('is not described by an object', name);
  const { shape, data_offsets: offsets } = value;
  const dtype = typeof value.dtype === 'string' ? DTYPE_BY_CODE.get(value.dtype) : undefined;
  if (!dtype) {
    const found = quote(JSON.stringify(value.dtype) ?? 'missing');
    throw malformed(`dtype ${found} is none of ${[...DTYPE_BY_CODE.keys()].join(', ')}`, name);
  }
  if (!Array.isArray(shape) || !shape.every(isCount))
    throw malformed('shape is not an array of whole numbers of at least 0', name);
  if (shape.length > MAX_RANK)
    throw malformed(`shape has ${shape.length} dimensions, more than ${MAX_RANK}`, name);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    throw malformed('data_offsets is not [start, end] in whole numbers of at least 0', name);
  const [start, end] = offsets;
  if (end < start) throw malformed(`data_offsets end at ${end}, before their start ${start}`, name);

  const described = `shape [${shape}] of ${dtype.code}`;
  const byteLength = tensorByteLength(shape, dtype.bits);
  if (byteLength === null) throw malformed(`${described} overflows, or does not fill whole bytes`, name);
  if (byteLength !== end - start)
    throw malformed(`${described} takes ${byteLength} bytes, data_offsets hold ${end - start}`, name);
  return { name, dtype: dtype.name, shape, start, end };
}

function checkTensorName(name: string): void {
  if (!name.isWellFormed()) throw malformed('the name holds half of a surrogate pair', name);
  // Names become keys of JSON objects in reports, where this one would vanish or do worse.
  if (name === '__proto__') throw malformed('this name is not accepted', name);
}

/** @param tensors by start, then end */
function checkCoverage(tensors: readonly TensorEntry[], dataByteLength: number): void {
  let covered = 0;
  let before: TensorEntry | undefined;
  for (const tensor of tensors) {
    const { name, start, end } = tensor;
    if (start < covered)
      throw malformed(`its data ${start}-${end} overlap those of ${quote(before?.name ?? '')}`, name);
    if (start > covered)
      throw malformed(`bytes ${covered}-${start} before its data belong to no tensor`, name);
    if (end > dataByteLength)
      throw malformed(`its data end at ${end}, the file's at ${dataByteLength}: was it cut short?`, name);
    covered = end;
    before = tensor;
  }
  if (covered !== dataByteLength)
    throw malformed(`the last ${dataByteLength - covered} bytes of the file belong to no tensor`);
}

/** Not `-0`, which an integer of the format cannot be. */
function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Object.is(value, Math.abs(value as number));
}
