import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** A field of bytes: a text, or a message of parts. Written by number, so that files may hold what the schema's writer would not make. */
export function field(number: number, ...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const contents = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(contents).finish();
}

/** The bytes `count` times over. */
export function repeat(bytes: Uint8Array, count: number): Uint8Array {
  return new Uint8Array(bytes.byteLength * count).map((_, index) => bytes[index % bytes.byteLength]);
}

/** One message in the other, from the outermost field number to the innermost. */
export function nest(path: readonly number[], contents: Uint8Array | string): Uint8Array {
  return path.reduceRight<Uint8Array>(
    (inner, number) => field(number, inner),
    typeof contents === 'string' ? Buffer.from(contents) : contents,
  );
}
