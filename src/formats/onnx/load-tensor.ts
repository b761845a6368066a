import { clearField, mergeFromBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { EmpError } from '../../core/errors.ts';
import { holdsNumbers, readRange } from './element-reader.ts';
import type { TensorHome } from './external-data.ts';
import { type TensorProto, TensorProto_DataLocation, TensorProtoSchema } from './onnx-schema.ts';
import { clearPayload, forgetPayload, payloadOf, WHOLE_FIELDS } from './payload.ts';
import { createTensorData, labelOf, parseShape } from './tensor-data.ts';

/** Of one tensor that is loaded as a whole. */
const MAX_BYTES = 64 * 2 ** 20;

/**
 * Gives a skeleton's tensor back the numbers that were left out of it, those of external data too, so that it can be written into another model.
 * Changes `tensor`; returns how many bytes of numbers it holds.
 * @throws EmpError malformed_onnx, missing_file, unsupported_model for more than 64 MiB
 */
export async function loadTensor(tensor: TensorProto, home: TensorHome): Promise<number> {
  const name = labelOf(tensor);
  const { runs } = payloadOf(tensor);
  const isWhole = holdsNumbers(tensor);
  const data = isWhole ? null : createTensorData(tensor, name, parseShape(tensor.dims, name), home);
  const isExternal = tensor.dataLocation === TensorProto_DataLocation.EXTERNAL;
  const byteLength = (isExternal ? (data?.runs ?? []) : runs).reduce((sum, run) => sum + run.byteLength, 0);
  forgetPayload(tensor);
  if (isWhole) return byteLength;
  checkLoadable(name, byteLength);
  if (isExternal) {
    const [run] = data?.runs ?? [];
    setRawData(tensor, run ? await read(home, run.file, run.offset, byteLength) : new Uint8Array());
    return byteLength;
  }
  const writer = new BinaryWriter();
  for (const run of runs) {
    const bytes = await read(home, home.file, run.offset, run.byteLength);
    if (run.field === WHOLE_FIELDS) writer.raw(bytes);
    else writer.tag(run.field, WireType.LengthDelimited).bytes(bytes);
  }
  clearNumbers(tensor);
  mergeFromBinary(TensorProtoSchema, tensor, writer.finish());
  return byteLength;
}

/** Removes whatever holds or locates the numbers. */
export function clearNumbers(tensor: TensorProto): void {
  clearPayload(tensor);
  clearField(tensor, TensorProtoSchema.field.dataLocation);
  clearField(tensor, TensorProtoSchema.field.externalData);
}

export function setRawData(tensor: TensorProto, bytes: Uint8Array<ArrayBuffer>): void {
  clearNumbers(tensor);
  tensor.rawData = bytes;
}

/** Throws `unsupported_model` for more bytes than one tensor may have in memory. */
export function checkLoadable(name: string, byteLength: number): void {
  if (byteLength <= MAX_BYTES) return;
  const message = `it has ${byteLength} bytes in a place where ${MAX_BYTES} are the most`;
  throw new EmpError('unsupported_model', `tensor ${name} cannot be loaded: ${message}`, [
    { path: name, message },
  ]);
}

async function read(
  { files }: TensorHome,
  file: string,
  offset: number,
  byteLength: number,
): Promise<Uint8Array<ArrayBuffer>> {
  return (await readRange(files, file, offset, offset + byteLength)) as Uint8Array<ArrayBuffer>;
}
