import type { AttributeProto } from '../formats/onnx/onnx-schema.ts';

/** Reads a node's attributes by name; a fallback stands for one that is not given. */
export abstract class AttributeReader {
  abstract attribute(name: string): AttributeProto | undefined;

  has(name: string): boolean {
    return this.attribute(name) !== undefined;
  }

  integer(name: string, fallback: number): number {
    const found = this.attribute(name);
    return found === undefined ? fallback : Number(found.i);
  }

  integers(name: string): number[] | null {
    return this.attribute(name)?.ints.map(Number) ?? null;
  }

  float(name: string, fallback: number): number {
    return this.attribute(name)?.f ?? fallback;
  }

  text(name: string, fallback: string): string {
    const found = this.attribute(name);
    return found === undefined ? fallback : new TextDecoder().decode(found.s);
  }
}
