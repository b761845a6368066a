import type { DescMessage } from '@bufbuild/protobuf';
import { EmpError } from '../../core/errors.ts';
import { FunctionProtoSchema, GraphProtoSchema, NodeProtoSchema, TensorProtoSchema } from './onnx-schema.ts';
import type { FieldRule } from './wire-schema.ts';

/**
 * Of every name: of nodes, values, operators, attributes, axes, keys and files. Exporters glue a module's path into them, some hundred bytes. V8 hashes
 * strings above 16,383 characters by their length alone, so that sets of long names cost the square of their number.
 */
export const MAX_NAME_BYTES = 4096;
/** In all graphs and functions; the largest exported models have some 100,000. */
const MAX_NODES = 250_000;
/** Branches, bodies and functions; the deepest exports have some thousand. */
const MAX_GRAPHS = 25_000;
/** A mixture of 61 layers with 256 experts of 3 weights each has 50,000. */
const MAX_TENSORS = 250_000;
/** Inputs and outputs of nodes and functions; nodes have three or four. */
const MAX_OPERANDS = 1_500_000;

const TEXT = 'doc_string';
const METADATA = 'metadata_props';

/** Whether a field is a name, not text that nothing is looked up by: documentation, and values of metadata. `holder` is the field that its message is. */
export function isName(field: FieldRule, holder: FieldRule | null): boolean {
  if (!field.isString || field.name === TEXT) return false;
  return !(holder?.name === METADATA && field.name === 'value');
}

/** What a model's graphs are made of, counted before objects are made of it. */
export class GraphCounts {
  readonly #counts = new Map<string, number>();
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** Counts a field of a message, found at byte `offset` of the file. Throws `unsupported_model` for too many of its kind. */
  add(message: DescMessage, field: FieldRule, offset: number): void {
    const counted = countedAs(message, field);
    if (counted === null) return;
    const { what, most } = counted;
    const count = (this.#counts.get(what) ?? 0) + 1;
    this.#counts.set(what, count);
    if (count <= most) return;
    const text = `more than ${most} ${what} (reached at byte ${offset})`;
    throw new EmpError('unsupported_model', `${this.#file} holds ${text}`, [
      { path: this.#file, message: text },
    ]);
  }
}

interface Limit {
  readonly what: string;
  readonly most: number;
}

const GRAPHS: Limit = { what: 'graphs and functions', most: MAX_GRAPHS };
const OPERANDS: Limit = { what: 'inputs and outputs of nodes', most: MAX_OPERANDS };
const BY_MESSAGE: ReadonlyMap<DescMessage, Limit> = new Map<DescMessage, Limit>([
  [NodeProtoSchema, { what: 'nodes', most: MAX_NODES }],
  [TensorProtoSchema, { what: 'tensors', most: MAX_TENSORS }],
  [GraphProtoSchema, GRAPHS],
  [FunctionProtoSchema, GRAPHS],
]);

function countedAs(message: DescMessage, field: FieldRule): Limit | null {
  if (field.message !== null) return BY_MESSAGE.get(field.message) ?? null;
  const hasOperands = message === NodeProtoSchema || message === FunctionProtoSchema;
  return hasOperands && (field.name === 'input' || field.name === 'output') ? OPERANDS : null;
}
