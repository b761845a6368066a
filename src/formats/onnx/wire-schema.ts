import { type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { WIRE } from './wire.ts';

/** What the schema says of one field. */
export interface FieldRule {
  readonly name: string;
  readonly wireType: number;
  readonly list: boolean;
  readonly isString: boolean;
  readonly message: DescMessage | null;
}

const rulesByMessage = new Map<DescMessage, ReadonlyMap<number, FieldRule>>();

/** The fields of a message by number. */
export function rulesOf(message: DescMessage): ReadonlyMap<number, FieldRule> {
  let rules = rulesByMessage.get(message);
  if (rules === undefined) {
    rules = new Map(
      message.fields.map((field) => [
        field.number,
        {
          name: field.name,
          wireType: field.message ? WIRE.bytes : wireTypeOf(field.scalar),
          list: field.fieldKind === 'list',
          isString: field.scalar === ScalarType.STRING,
          message: field.message ?? null,
        },
      ]),
    );
    rulesByMessage.set(message, rules);
  }
  return rules;
}

/** `scalar` is undefined for an enumeration. */
function wireTypeOf(scalar: ScalarType | undefined): number {
  if (scalar === ScalarType.FLOAT) return WIRE.fixed32;
  if (scalar === ScalarType.DOUBLE) return WIRE.fixed64;
  return scalar === ScalarType.STRING || scalar === ScalarType.BYTES ? WIRE.bytes : WIRE.varint;
}

/** Bytes of an element of a packed list; 1 for varints and text. */
export function packedWidth(rule: FieldRule): number {
  return rule.wireType === WIRE.fixed32 ? 4 : rule.wireType === WIRE.fixed64 ? 8 : 1;
}
