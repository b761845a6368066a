import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { type ByteSource, bytesSource } from '../byte-source.ts';
import type { ReadElements } from '../gather.ts';
import { type ByteRange, elementCount, type ModelFiles, type TensorData } from '../model.ts';
import { malformedTensor, type TensorHome } from './external-data.ts';
import { type TensorProto, TensorProto_DataLocation } from './onnx-schema.ts';
import { payloadOf } from './payload.ts';
import { createTensorData, elementBits } from './tensor-data.ts';
import { VarintElements } from './varint-elements.ts';

/**
 * The elements of a tensor of `byteWidth` bytes each (1 of smaller ones, of which it holds several), wherever they are: in the tensor itself, in the file of its skeleton, in external data. Null
 * where they are scattered over too many pieces. Throws `malformed_onnx` where they are not as many as the shape says (of varints when they
 * are read), `missing_file`.
 */
export function createElementReader(
  tensor: TensorProto,
  name: string,
  shape: readonly number[],
  byteWidth: number,
  home: TensorHome,
): ReadElements | null {
  const held = holdsNumbers(tensor) ? heldNumbers(tensor, name) : null;
  const data = held?.data ?? createTensorData(tensor, name, shape, home);
  if (data === null) return null;
  const files = held === null ? home.files : new Map([['', held.source]]);
  if (data.encoding === 'varint') {
    const elements = new VarintElements(files, data.runs, name, byteWidth);
    return (start, end) => elements.read(start, end);
  }
  const byteLength = Math.ceil((elementCount(shape) * Math.min(elementBits(tensor) ?? 8, 8 * byteWidth)) / 8);
  const found = data.runs.reduce((sum, run) => sum + run.byteLength, 0);
  if (found !== byteLength) throw malformedTensor(name, `expected ${byteLength} bytes, found ${found}`);
  return (start, end) => readRuns(files, data.runs, start, end);
}

/** Whether a tensor's numbers are all in the object, be it new or small enough to have stayed in the skeleton. */
export function holdsNumbers(tensor: TensorProto): boolean {
  if (tensor.dataLocation === TensorProto_DataLocation.EXTERNAL) return false;
  return payloadOf(tensor).runs.every(({ inline }) => inline);
}

/** The numbers in the object, as a file named '' would hold them. */
function heldNumbers(tensor: TensorProto, name: string): { data: TensorData; source: ByteSource } {
  const { rawData, floatData, doubleData, int32Data, int64Data, uint64Data } = tensor;
  const isVarint = int32Data.length + int64Data.length + uint64Data.length > 0;
  const lists = [rawData, floatData, doubleData, int32Data, int64Data, uint64Data];
  if (lists.filter(({ length }) => length > 0).length > 1) {
    throw malformedTensor(name, 'expected its numbers in one field, found several');
  }
  const writer = new BinaryWriter().raw(rawData);
  for (const value of floatData) writer.float(value);
  for (const value of doubleData) writer.double(value);
  for (const value of int32Data) writer.int32(value);
  for (const value of int64Data) writer.int64(value);
  for (const value of uint64Data) writer.uint64(value);
  const source = bytesSource(writer.finish());
  const runs = [{ file: '', offset: 0, byteLength: source.byteLength }];
  return { data: { encoding: isVarint ? 'varint' : 'dense', runs }, source };
}

async function readRuns(
  files: ModelFiles,
  runs: readonly ByteRange[],
  start: number,
  end: number,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (const { file, offset, byteLength } of runs) {
    const [first, last] = [Math.max(start, from), Math.min(end, from + byteLength)];
    if (first < last) pieces.push(await readRange(files, file, offset + first - from, offset + last - from));
    from += byteLength;
  }
  return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
}

/** The bytes `[start, end)` of one of the files. */
export function readRange(files: ModelFiles, file: string, start: number, end: number): Promise<Uint8Array> {
  const source = files.get(file);
  if (source === undefined) throw new TypeError(`no file ${file}`);
  return source.read(start, end);
}
