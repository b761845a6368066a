import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { ModelProtoSchema } from '../../../src/formats/onnx/onnx-schema.ts';
import { encode, floats, model, node } from '../../../test/models/build-model.ts';
import { type Attack, attack, postModel } from '../attack.ts';
import { MAX_BYTES, product, size } from './sizes.ts';

/** Bytes appended to a protobuf are merged into it: a model that is right in all else gets one thing too much. */
const BASE = encode(
  model({
    nodes: [node('MatMul', ['x', 'w'], ['h']), node('MatMul', ['h', 'v'], ['y'])],
    initializers: [floats('w', [4, 8]), floats('v', [8, 3])],
    inputs: [['x', [1, 4]]],
    outputs: [['y', [1, 3]]],
  }),
);

/** Where a message stands: the fields that lead to it from the model. */
interface Place {
  readonly message: DescMessage;
  readonly path: readonly DescField[];
}

/** Every message of the schema by one of the shortest ways to it. */
function placesOf(root: DescMessage): Place[] {
  const places: Place[] = [{ message: root, path: [] }];
  for (const { message, path } of places)
    for (const field of message.fields) {
      const inner = messageOf(field);
      if (inner && !places.some((place) => place.message === inner))
        places.push({ message: inner, path: [...path, field] });
    }
  return places;
}

/** Ways from a message back to it, along which a file may nest without end. */
function cyclesOf(message: DescMessage): DescField[][] {
  const cycles: DescField[][] = [];
  const open = message.fields.map((field) => [field]);
  for (const path of open) {
    const inner = messageOf(path[path.length - 1]);
    if (inner === message) cycles.push(path);
    else if (inner && path.length < 4)
      for (const field of inner.fields) if (!path.includes(field)) open.push([...path, field]);
  }
  return cycles;
}

function messageOf(field: DescField | undefined): DescMessage | undefined {
  return field?.fieldKind === 'message' || (field?.fieldKind === 'list' && field.listKind === 'message')
    ? field.message
    : undefined;
}

const PLACES = placesOf(ModelProtoSchema);
const FIELDS = PLACES.flatMap((place) => place.message.fields.map((field) => ({ place, field })));
const CYCLES = PLACES.flatMap((place) => cyclesOf(place.message).map((cycle) => ({ place, cycle })));

function isText(field: DescField): boolean {
  const scalar = 'scalar' in field ? field.scalar : undefined;
  return scalar === 9 || scalar === 12;
}

function varint(value: number): Uint8Array {
  return new BinaryWriter().uint32(value).finish();
}

function lengthDelimited(field: DescField, content: Uint8Array): Uint8Array {
  const head = new BinaryWriter().tag(field.number, WireType.LengthDelimited).finish();
  return Buffer.concat([head, varint(content.byteLength), content]);
}

function inside({ path }: Place, content: Uint8Array): Uint8Array {
  return path.reduceRight((inner, field) => lengthDelimited(field, inner), content);
}

/** One value of a field, `length` bytes long where it may be. */
function encodeField(field: DescField, length: number): Uint8Array {
  const letters = Buffer.alloc(length, 'a');
  if (isText(field)) return lengthDelimited(field, letters);
  const inner = messageOf(field);
  if (inner) {
    // With a text within, so that it is not merely empty.
    const text = inner.fields.find(isText);
    return lengthDelimited(field, text && length > 2 ? lengthDelimited(text, letters) : new Uint8Array());
  }
  return lengthDelimited(field, new Uint8Array(length).fill(1));
}

function fieldAttack({ place, field }: (typeof FIELDS)[number], count: number, length: number): Attack {
  const value = encodeField(field, length);
  const times = Math.max(1, Math.min(count, Math.floor(MAX_BYTES / value.byteLength)));
  const content = Buffer.concat(Array.from({ length: times }, () => value));
  const name = `onnx ${place.message.name}.${field.name}: ${times} of ${length} bytes`;
  return attack(name, postModel('model.onnx', Buffer.concat([BASE, inside(place, content)])));
}

function nestedAttack({ place, cycle }: (typeof CYCLES)[number], depth: number): Attack {
  // From the innermost out, each head before the one that it holds.
  const heads: Uint8Array[] = [];
  let byteLength = 0;
  let levels = 0;
  for (; levels < depth && byteLength < MAX_BYTES; levels++)
    for (const field of cycle.toReversed()) {
      const head = new BinaryWriter().tag(field.number, WireType.LengthDelimited).uint32(byteLength).finish();
      heads.push(head);
      byteLength += head.byteLength;
    }
  const content = Buffer.concat(heads.reverse());
  const ways = cycle.map(({ name }) => name).join('.');
  const name = `onnx ${place.message.name} nested ${levels} times by ${ways}`;
  return attack(name, postModel('model.onnx', Buffer.concat([BASE, inside(place, content)])));
}

/** Every field of ONNX's schema repeated, long, both, or nested. */
export const onnxFields: fc.Arbitrary<Attack> = fc.oneof(
  fc.tuple(fc.constantFrom(...FIELDS), size).map(([at, count]) => fieldAttack(at, count, 1)),
  fc.tuple(fc.constantFrom(...FIELDS), size).map(([at, length]) => fieldAttack(at, 1, length)),
  fc
    .tuple(fc.constantFrom(...FIELDS), product)
    .map(([at, { count, length }]) => fieldAttack(at, count, length)),
  fc.tuple(fc.constantFrom(...CYCLES), size).map(([at, depth]) => nestedAttack(at, depth)),
);
