import { type DescField, type DescMessage, type Message, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { ByteParts } from './byte-parts.ts';
import { type ModelProto, ModelProtoSchema, type TensorProto, TensorProtoSchema } from './onnx-schema.ts';

/** Fields through which a message can hold tensors, by message. */
const holdersByMessage = new Map<DescMessage, readonly (DescField & { message: DescMessage })[]>();

/**
 * The bytes of a model, each tensor's contents as `layOutTensor` gives them. The lengths of the messages around a tensor come before it, so
 * everything is laid out before a byte is written. Unknown fields stay.
 */
export function layOutModel(proto: ModelProto, layOutTensor: (tensor: TensorProto) => ByteParts): ByteParts {
  const layOut = (schema: DescMessage, message: Message): ByteParts => {
    if (isTensor(message)) return layOutTensor(message);
    const parts = new ByteParts();
    const rest = copyMessage(message);
    const inner = tensorHolders(schema).map((field) => [field, takeMessages(rest, field)] as const);
    parts.push(toBinary(schema, rest));
    for (const [field, messages] of inner) {
      for (const content of messages.map((child) => layOut(field.message, child))) {
        parts.push(fieldHeader(field.number, content.byteLength));
        parts.append(content);
      }
    }
    return parts;
  };
  return layOut(ModelProtoSchema, proto);
}

/** Tag and length of a field of `byteLength` bytes. */
export function fieldHeader(field: number, byteLength: number): Uint8Array {
  return new BinaryWriter().tag(field, WireType.LengthDelimited).uint64(byteLength).finish();
}

/** A copy whose fields can be replaced; the values of the fields are the same objects. */
export function copyMessage<T extends Message>(message: T): T {
  return Object.assign(Object.create(Object.getPrototypeOf(message)), message);
}

function isTensor(message: Message): message is TensorProto {
  return message.$typeName === TensorProtoSchema.typeName;
}

function takeMessages(message: Message, field: DescField): Message[] {
  const values = message as unknown as Record<string, Message | Message[] | undefined>;
  const value = values[field.localName];
  if (Array.isArray(value)) {
    values[field.localName] = [];
    return value;
  }
  delete values[field.localName];
  return value === undefined ? [] : [value];
}

function tensorHolders(schema: DescMessage): readonly (DescField & { message: DescMessage })[] {
  let holders = holdersByMessage.get(schema);
  if (holders === undefined) {
    holders = schema.fields.filter(
      (field): field is DescField & { message: DescMessage } =>
        field.message !== undefined && reachesTensor(field.message, new Set()),
    );
    holdersByMessage.set(schema, holders);
  }
  return holders;
}

function reachesTensor(schema: DescMessage, seen: Set<DescMessage>): boolean {
  if (schema === TensorProtoSchema) return true;
  if (seen.has(schema)) return false;
  seen.add(schema);
  return schema.fields.some((field) => field.message !== undefined && reachesTensor(field.message, seen));
}
