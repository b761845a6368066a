import { type DescMessage, fromBinary } from '@bufbuild/protobuf';
import { EmpError } from '../../core/errors.ts';
import type { ByteSource } from '../byte-source.ts';
import { GraphCounts, isName, MAX_NAME_BYTES } from './graph-limits.ts';
import { type ModelProto, ModelProtoSchema, TensorProtoSchema } from './onnx-schema.ts';
import {
  encodeNote,
  MAX_RUNS,
  NOTE_FIELD,
  PAYLOAD_FIELDS,
  type PayloadRun,
  WHOLE_FIELDS,
} from './payload.ts';
import { DECODED_ELEMENT_BYTES, SkeletonWriter } from './skeleton-writer.ts';
import { WIRE, WireReader } from './wire.ts';
import { type FieldRule, packedWidth, rulesOf } from './wire-schema.ts';

/** Payload bytes of one tensor that stay in the skeleton: shapes, axes and scales, but no weights. */
const MAX_INLINE_BYTES = 1024;
/** protobuf-es recurses to this depth; a subgraph takes three levels. */
const MAX_DEPTH = 100;

/** A message being read. */
interface OpenMessage {
  readonly rules: ReadonlyMap<number, FieldRule>;
  readonly message: DescMessage;
  /** The field that the message is; null for the model. */
  readonly field: FieldRule | null;
  readonly end: number;
  /** Where the message's bytes begin in the skeleton. */
  readonly outputStart: number;
  readonly runs: PayloadRun[];
  inlineBytes: number;
}

/**
 * The model without its tensors' numbers: valid ModelProto bytes in which payloads are left out once a tensor's exceed 1 KiB,
 * and every TensorProto carries a note (see `payloadOf`) of where its payload is in the file. Payloads are never
 * read. Throws `malformed_onnx` with the byte offset, also for a name that is too long, or `unsupported_model` where the rest is too large to hold.
 */
export async function readSkeletonBytes(source: ByteSource, file: string): Promise<Uint8Array> {
  const reader = new WireReader(source, file);
  if (source.byteLength === 0) throw reader.error(0, 'expected a ModelProto, found an empty file');
  const output = new SkeletonWriter(file);
  const counts = new GraphCounts(file);
  const stack = [openMessage(ModelProtoSchema, null, source.byteLength, 0)];
  for (;;) {
    let open = stack[stack.length - 1];
    while (reader.position === open.end) {
      closeMessage(open, output);
      stack.pop();
      if (stack.length === 0) return output.finish();
      open = stack[stack.length - 1];
    }
    if (reader.isLow) await reader.fill();
    const start = reader.position;
    const { field, wireType } = reader.tag(open.end);
    const rule = open.rules.get(field) ?? null;
    checkWireType(reader, open, rule, start, wireType);
    const [contents, end] = fieldRange(reader, open, start, wireType);

    if (rule !== null) counts.add(open.message, rule, start);
    if (rule?.message) {
      if (stack.length === MAX_DEPTH) {
        throw reader.error(start, `expected messages nested at most ${MAX_DEPTH} deep`);
      }
      output.beginMessage(field, start);
      stack.push(openMessage(rule.message, rule, end, output.byteLength));
      continue;
    }
    checkPacked(reader, rule, start, end - contents);
    checkName(reader, open, rule, start, end - contents);
    if (
      open.message === TensorProtoSchema &&
      !keepsTensorField(reader, open, field, [start, contents, end])
    ) {
      reader.position = end;
      continue;
    }
    output.reserve(end - start, decodedBytes(rule, end - contents), start);
    const loaded = reader.loaded(start, end);
    if (loaded === null) {
      await reader.copy(start, end, (bytes) => output.append(bytes));
    } else {
      output.append(loaded);
      reader.position = end;
    }
    if (rule?.wireType === WIRE.varint && !output.endsWithVarints(end - contents)) {
      throw reader.error(start, `expected ${rule.name} to hold whole varints of at most 10 bytes`);
    }
  }
}

/** Notes a payload; false for a field that the skeleton leaves out. */
function keepsTensorField(
  reader: WireReader,
  open: OpenMessage,
  field: number,
  [start, contents, end]: readonly [number, number, number],
): boolean {
  if (field === NOTE_FIELD) return false; // only ours may be there
  if (!PAYLOAD_FIELDS.has(field)) return true;
  const byteLength = end - contents;
  const inline = open.inlineBytes + byteLength <= MAX_INLINE_BYTES;
  if (inline) open.inlineBytes += byteLength;
  const { runs } = open;
  const last = runs.length < MAX_RUNS ? null : runs[runs.length - 1];
  if (last === null) {
    runs.push({ field, offset: contents, byteLength, inline });
  } else if (last.field === WHOLE_FIELDS && last.offset + last.byteLength === start) {
    runs[runs.length - 1] = { ...last, byteLength: end - last.offset };
  } else if (runs.length < 2 * MAX_RUNS) {
    runs.push({ field: WHOLE_FIELDS, offset: start, byteLength: end - start, inline: false });
  } else {
    throw reader.error(start, "expected a tensor's numbers one behind the other, found them scattered");
  }
  return inline;
}

/** Reads and decodes the skeleton. Throws as `readSkeletonBytes`; a model without a graph is malformed. */
export async function readSkeleton(source: ByteSource, file: string): Promise<ModelProto> {
  const bytes = await readSkeletonBytes(source, file);
  const model = fromBinary(ModelProtoSchema, bytes);
  if (model.graph === undefined) {
    throw new EmpError('malformed_onnx', `${file} is not a valid ONNX model: it holds no graph`, [
      { path: file, message: 'expected a ModelProto with a graph' },
    ]);
  }
  return model;
}

function openMessage(
  message: DescMessage,
  field: FieldRule | null,
  end: number,
  outputStart: number,
): OpenMessage {
  return { rules: rulesOf(message), message, field, end, outputStart, runs: [], inlineBytes: 0 };
}

function closeMessage(open: OpenMessage, output: SkeletonWriter): void {
  if (open.message === TensorProtoSchema && open.runs.length > 0) {
    output.bytesField(NOTE_FIELD, encodeNote(open.runs), open.end);
  }
  if (open.outputStart > 0) output.endMessage(open.outputStart);
}

/** Where the field's contents begin and where the field ends; the cursor stands at the contents. */
function fieldRange(
  reader: WireReader,
  open: OpenMessage,
  start: number,
  wireType: number,
): [number, number] {
  let contents = reader.position;
  let end = contents;
  if (wireType === WIRE.bytes) {
    const length = reader.varint(open.end, 'a length');
    contents = reader.position;
    end = contents + length;
  } else if (wireType === WIRE.varint) {
    reader.skipVarint(open.end);
    end = reader.position;
  } else {
    end += wireType === WIRE.fixed32 ? 4 : 8;
  }
  if (end > open.end) {
    throw reader.error(
      start,
      `expected a field that ends with its ${open.message.name} at byte ${open.end}, found one of ${end - contents} bytes`,
    );
  }
  return [contents, end];
}

function checkWireType(
  reader: WireReader,
  open: OpenMessage,
  rule: FieldRule | null,
  start: number,
  found: number,
): void {
  if (rule === null || rule.wireType === found || (rule.list && found === WIRE.bytes)) return;
  throw reader.error(
    start,
    `expected ${open.message.name}.${rule.name} with wire type ${rule.wireType}, found ${found}`,
  );
}

/** A packed list of floats holds whole floats. */
function checkPacked(reader: WireReader, rule: FieldRule | null, start: number, byteLength: number): void {
  const width = rule === null ? 1 : packedWidth(rule);
  if (rule !== null && byteLength % width !== 0) {
    throw reader.error(start, `expected ${rule.name} in multiples of ${width} bytes, found ${byteLength}`);
  }
}

function checkName(
  reader: WireReader,
  { message, field }: OpenMessage,
  rule: FieldRule | null,
  start: number,
  byteLength: number,
): void {
  if (rule === null || byteLength <= MAX_NAME_BYTES || !isName(rule, field)) return;
  throw reader.error(
    start,
    `expected ${message.name}.${rule.name} to have at most ${MAX_NAME_BYTES} bytes, found ${byteLength}`,
  );
}

/** An upper estimate of what protobuf-es makes of a field that is no message. */
function decodedBytes(rule: FieldRule | null, byteLength: number): number {
  if (rule === null || rule.wireType === WIRE.bytes) return DECODED_ELEMENT_BYTES + byteLength;
  return Math.ceil(byteLength / packedWidth(rule)) * DECODED_ELEMENT_BYTES;
}
