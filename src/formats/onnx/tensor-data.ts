import { elementCount, type TensorData } from '../model.ts';
import { byteWidth, isNumberType, toFloat64, viewNumbers } from '../numbers.ts';
import { externalRange, malformedTensor, type TensorHome } from './external-data.ts';
import {
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
  TensorProto_DataType as Type,
} from './onnx-schema.ts';
import { MAX_RUNS, payloadOf } from './payload.ts';

/** Dimensions of a tensor; numpy allows 64. */
export const MAX_RANK = 64;

const { rawData, floatData, doubleData, int32Data, int64Data, uint64Data } = TensorProtoSchema.field;

/** A number format: its name here, its size, and the list that holds it where `raw_data` does not. */
interface TypeInfo {
  readonly dtype: string;
  readonly bits: number;
  readonly list: { readonly number: number; readonly name: string };
}

const TYPES: ReadonlyMap<number, TypeInfo> = new Map<number, TypeInfo>([
  [Type.FLOAT, { dtype: 'float32', bits: 32, list: floatData }],
  [Type.DOUBLE, { dtype: 'float64', bits: 64, list: doubleData }],
  [Type.FLOAT16, { dtype: 'float16', bits: 16, list: int32Data }],
  [Type.BFLOAT16, { dtype: 'bfloat16', bits: 16, list: int32Data }],
  [Type.COMPLEX64, { dtype: 'complex64', bits: 64, list: floatData }],
  [Type.COMPLEX128, { dtype: 'complex128', bits: 128, list: doubleData }],
  [Type.BOOL, { dtype: 'bool', bits: 8, list: int32Data }],
  [Type.INT8, { dtype: 'int8', bits: 8, list: int32Data }],
  [Type.UINT8, { dtype: 'uint8', bits: 8, list: int32Data }],
  [Type.INT16, { dtype: 'int16', bits: 16, list: int32Data }],
  [Type.UINT16, { dtype: 'uint16', bits: 16, list: int32Data }],
  [Type.INT32, { dtype: 'int32', bits: 32, list: int32Data }],
  [Type.UINT32, { dtype: 'uint32', bits: 32, list: uint64Data }],
  [Type.INT64, { dtype: 'int64', bits: 64, list: int64Data }],
  [Type.UINT64, { dtype: 'uint64', bits: 64, list: uint64Data }],
  [Type.FLOAT8E4M3FN, { dtype: 'float8_e4m3fn', bits: 8, list: int32Data }],
  [Type.FLOAT8E4M3FNUZ, { dtype: 'float8_e4m3fnuz', bits: 8, list: int32Data }],
  [Type.FLOAT8E5M2, { dtype: 'float8_e5m2', bits: 8, list: int32Data }],
  [Type.FLOAT8E5M2FNUZ, { dtype: 'float8_e5m2fnuz', bits: 8, list: int32Data }],
  [Type.FLOAT8E8M0, { dtype: 'float8_e8m0', bits: 8, list: int32Data }],
  [Type.FLOAT4E2M1, { dtype: 'float4_e2m1', bits: 4, list: int32Data }],
  [Type.INT4, { dtype: 'int4', bits: 4, list: int32Data }],
  [Type.UINT4, { dtype: 'uint4', bits: 4, list: int32Data }],
  [Type.INT2, { dtype: 'int2', bits: 2, list: int32Data }],
  [Type.UINT2, { dtype: 'uint2', bits: 2, list: int32Data }],
]);

/** The element type's name; `undefined` and unknown ones as `onnx_type_<number>`. */
export function dtypeOf(tensor: TensorProto): string {
  if (tensor.dataType === Type.STRING) return 'string';
  return TYPES.get(tensor.dataType)?.dtype ?? `onnx_type_${tensor.dataType}`;
}

/** The number that stands for an element type; null for a name that is none's. */
export function dataTypeOf(dtype: string): number | null {
  return [...TYPES].find(([, type]) => type.dtype === dtype)?.[0] ?? null;
}

/** Bits of an element; null for texts and unknown types. */
export function elementBits(tensor: TensorProto): number | null {
  return TYPES.get(tensor.dataType)?.bits ?? null;
}

/** Dimensions as numbers. Throws `malformed_onnx` where they are negative, too many, or have no exact product. */
export function parseShape(dims: readonly bigint[], name: string): number[] {
  if (dims.length > MAX_RANK) {
    throw malformedTensor(name, `expected at most ${MAX_RANK} dimensions, found ${dims.length}`);
  }
  let count = 1n;
  for (const dim of dims) {
    if (dim < 0n) throw malformedTensor(name, `expected dimensions of 0 or more, found ${dim}`);
    count *= dim;
  }
  const shape = dims.map(Number);
  if (count > Number.MAX_SAFE_INTEGER || !shape.every(Number.isSafeInteger)) {
    throw malformedTensor(name, `expected fewer than 2^53 elements, found dimensions ${dims.join(' x ')}`);
  }
  return shape;
}

/**
 * Where the numbers of a skeleton's tensor are. Null where there are none to point at: empty tensors, strings, unknown types, and
 * lists scattered over more than MAX_RUNS pieces. Throws `malformed_onnx` where there are fewer or more bytes than the shape says,
 * `missing_file` where external data was not given.
 */
export function createTensorData(
  tensor: TensorProto,
  name: string,
  shape: readonly number[],
  home: TensorHome,
): TensorData | null {
  const type = TYPES.get(tensor.dataType);
  const count = elementCount(shape);
  if (type === undefined) return null;
  const byteLength = Math.ceil((count * type.bits) / 8);
  if (tensor.dataLocation === TensorProto_DataLocation.EXTERNAL) {
    const range = externalRange(tensor, name, byteLength, home);
    return count === 0 ? null : { encoding: 'dense', runs: [range] };
  }

  const payload = payloadOf(tensor);
  if (!payload.complete) return null;
  const filled = payload.runs.filter((run) => run.byteLength > 0);
  const fields = new Set(filled.map((run) => run.field));
  if (fields.size > 1) throw malformedTensor(name, 'expected its numbers in one field, found several');
  const [field] = fields;
  if (field !== undefined && field !== rawData.number && field !== type.list.number) {
    throw malformedTensor(name, `expected ${type.dtype} numbers in raw_data or ${type.list.name}`);
  }
  const runs = filled.map((run) => ({ file: home.file, offset: run.offset, byteLength: run.byteLength }));
  if (runs.length > MAX_RUNS) return null;
  const found = runs.reduce((sum, run) => sum + run.byteLength, 0);
  const isVarint = field !== undefined && field !== rawData.number && VARINT_LISTS.has(field);
  const [least, most] = isVarint ? varintLengths(count, type.bits) : [byteLength, byteLength];
  if (found < least || found > most) {
    const expected = least === most ? `${least}` : `${least} to ${most}`;
    throw malformedTensor(
      name,
      `expected ${expected} bytes for ${type.dtype} [${shape.join(', ')}], found ${found}`,
    );
  }
  return count === 0 ? null : { encoding: isVarint ? 'varint' : 'dense', runs };
}

const VARINT_LISTS: ReadonlySet<number> = new Set(
  [int32Data, int64Data, uint64Data].map((field) => field.number),
);

/** Fewest and most bytes that `count` elements take as varints; several elements below a byte share one. */
function varintLengths(count: number, bits: number): [number, number] {
  const varints = bits < 8 ? Math.ceil((count * bits) / 8) : count;
  return [varints, 10 * varints];
}

/** Integers of a tensor whose numbers the skeleton kept (axes, shapes, indices); null for everything else. */
export function inlineIntegers(tensor: TensorProto): readonly number[] | null {
  if (tensor.dataType !== Type.INT64 && tensor.dataType !== Type.INT32) return null;
  const { complete, runs } = payloadOf(tensor);
  return complete && runs.every(({ inline }) => inline) ? numbersOf(tensor) : null;
}

/** The numbers that a stored tensor itself holds; null for external data and for other types. Integers beyond 2^53 are rounded. */
export function numbersOf(tensor: TensorProto): readonly number[] | null {
  if (tensor.dataLocation === TensorProto_DataLocation.EXTERNAL) return null;
  const dtype = dtypeOf(tensor);
  if (!isNumberType(dtype)) return null;
  const { rawData, floatData, int32Data, int64Data, uint64Data } = tensor;
  const wholeBytes = rawData.byteLength - (rawData.byteLength % byteWidth(dtype));
  if (rawData.byteLength > 0) return [...toFloat64(viewNumbers(rawData.slice(0, wholeBytes).buffer, dtype))];
  return [...floatData, ...int32Data, ...int64Data.map(Number), ...uint64Data.map(Number)];
}

/** What to call a tensor in a text. */
export function labelOf({ name }: TensorProto): string {
  return name || 'of a node';
}
