import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import { type TensorProto, TensorProtoSchema } from 'onnx-buf';

/** The fields of a TensorProto that hold its numbers. */
export const PAYLOAD_FIELDS: ReadonlySet<number> = new Set(
  [
    TensorProtoSchema.field.rawData,
    TensorProtoSchema.field.floatData,
    TensorProtoSchema.field.doubleData,
    TensorProtoSchema.field.int32Data,
    TensorProtoSchema.field.int64Data,
    TensorProtoSchema.field.uint64Data,
    TensorProtoSchema.field.stringData,
  ].map((field) => field.number),
);

/** A field number no schema uses (the largest there is): in a skeleton it notes where a tensor's numbers are. */
export const NOTE_FIELD = 2 ** 29 - 1;

/** Runs noted of one tensor; writers use one. An unpacked list, one run an element, is cut off here and not editable. */
export const MAX_RUNS = 1024;

/** One occurrence of a payload field in the model file. */
export interface PayloadRun {
  /** The field's number in TensorProto. */
  readonly field: number;
  readonly offset: number;
  readonly byteLength: number;
  /** Whether the skeleton still holds these bytes. */
  readonly inline: boolean;
}

/** Where a tensor's numbers are in the model file. */
export interface Payload {
  /** In file order. Of `raw_data`, which is no list, only the last occurrence counts and is here. */
  readonly runs: readonly PayloadRun[];
  /** False where there were more than MAX_RUNS. */
  readonly complete: boolean;
}

const TRUNCATED = 0; // in a field's place in a note: runs are missing

/** A note's bytes, without tag and length. */
export function encodeNote(payload: Payload): Uint8Array {
  const writer = new BinaryWriter();
  for (const run of payload.runs) {
    writer.uint32(run.field).bool(run.inline).uint64(run.offset).uint64(run.byteLength);
  }
  if (!payload.complete) writer.uint32(TRUNCATED);
  return writer.finish();
}

/** Where the numbers of a skeleton's tensor are. */
export function payloadOf(tensor: TensorProto): Payload {
  const runs: PayloadRun[] = [];
  let complete = true;
  for (const { no, data } of tensor.$unknown ?? []) {
    if (no !== NOTE_FIELD) continue;
    const reader = new BinaryReader(data);
    const end = reader.uint32() + reader.pos;
    while (reader.pos < end) {
      const field = reader.uint32();
      if (field === TRUNCATED) {
        complete = false;
        continue;
      }
      const inline = reader.bool();
      const offset = Number(reader.uint64());
      runs.push({ field, inline, offset, byteLength: Number(reader.uint64()) });
    }
  }
  const raw = TensorProtoSchema.field.rawData.number;
  const lastRaw = runs.findLastIndex((run) => run.field === raw);
  return { runs: runs.filter((run, index) => run.field !== raw || index === lastRaw), complete };
}
