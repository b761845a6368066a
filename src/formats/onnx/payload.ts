import { clearField, isFieldSet } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type TensorProto, TensorProtoSchema } from './onnx-schema.ts';

const { rawData, floatData, doubleData, int32Data, int64Data, uint64Data, stringData } =
  TensorProtoSchema.field;
const FIELDS = [rawData, floatData, doubleData, int32Data, int64Data, uint64Data, stringData];

/** The numbers of the fields of a TensorProto that hold its numbers. */
export const PAYLOAD_FIELDS: ReadonlySet<number> = new Set(FIELDS.map((field) => field.number));

/** A field number no schema uses (the largest there is): in a skeleton it notes where a tensor's numbers are. */
export const NOTE_FIELD = 2 ** 29 - 1;

/** Runs noted one by one of a tensor; writers use one. What follows of an unpacked list or of texts, one run an element, is not editable. */
export const MAX_RUNS = 1024;

/** In a field number's place: the run is a stretch of whole payload fields, tags included, as they follow the first MAX_RUNS. */
export const WHOLE_FIELDS = 0;

/** One occurrence of a payload field in the model file. */
export interface PayloadRun {
  /** The field's number in TensorProto, or WHOLE_FIELDS. */
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
  /** False where there were more than MAX_RUNS, so that some are WHOLE_FIELDS. */
  readonly complete: boolean;
}

/** A note's bytes, without tag and length. */
export function encodeNote(runs: readonly PayloadRun[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const run of runs) {
    writer.uint32(run.field).bool(run.inline).uint64(run.offset).uint64(run.byteLength);
  }
  return writer.finish();
}

/** Where the numbers of a skeleton's tensor are. */
export function payloadOf(tensor: TensorProto): Payload {
  const runs = notedRuns(tensor);
  const raw = rawData.number;
  const lastRaw = runs.findLastIndex((run) => run.field === raw);
  return {
    runs: runs.filter((run, index) => run.field !== raw || index === lastRaw),
    complete: runs.every((run) => run.field !== WHOLE_FIELDS),
  };
}

/** Whether a tensor holds numbers that no file is noted for: it was made, or loaded, since the skeleton was read. */
export function isMade(tensor: TensorProto): boolean {
  return notedRuns(tensor).length === 0 && FIELDS.some((field) => isFieldSet(tensor, field));
}

/** Leaves out of a skeleton's tensor what it holds of its numbers, which may be others in the file by now. */
export function leaveOutPayload(tensor: TensorProto): void {
  const runs = notedRuns(tensor);
  if (runs.length === 0) return;
  clearPayload(tensor);
  forgetPayload(tensor);
  const note = encodeNote(runs.map((run) => ({ ...run, inline: false })));
  const data = new BinaryWriter().bytes(note).finish();
  tensor.$unknown?.push({ no: NOTE_FIELD, wireType: WireType.LengthDelimited, data });
}

function notedRuns(tensor: TensorProto): PayloadRun[] {
  const runs: PayloadRun[] = [];
  for (const { no, data } of tensor.$unknown ?? []) {
    if (no !== NOTE_FIELD) continue;
    const reader = new BinaryReader(data);
    const end = reader.uint32() + reader.pos;
    while (reader.pos < end) {
      const field = reader.uint32();
      const inline = reader.bool();
      const offset = Number(reader.uint64());
      runs.push({ field, inline, offset, byteLength: Number(reader.uint64()) });
    }
  }
  return runs;
}

/** Removes whatever holds numbers; an empty `raw_data` would hold some. */
export function clearPayload(tensor: TensorProto): void {
  for (const field of FIELDS) clearField(tensor, field);
}

/** Removes a skeleton's note of where the numbers are. */
export function forgetPayload(tensor: TensorProto): void {
  tensor.$unknown = tensor.$unknown?.filter(({ no }) => no !== NOTE_FIELD) ?? [];
}
