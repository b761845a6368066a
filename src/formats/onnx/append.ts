import { constants } from 'node:fs';
import { appendFile, chmod, copyFile, link, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { EmpError } from '../../core/errors.ts';
import type { OnnxModel } from './graph.ts';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from './onnx-schema.ts';
import { freePrefix } from './proto-walk.ts';

/** Standard operators for a model that imports none. */
const FALLBACK_OPSET = 17;
/** Before it, Cast took the name of a type and Reshape its shape as an attribute. */
const MIN_OPSET = 6;
/** Since these versions a reduction takes its axes as an input. */
const AXES_INPUT_SINCE = { ReduceSum: 13, ReduceSumSquare: 18 } as const;

/**
 * Nodes and outputs to be added to a model's main graph, in standard operators of the model's own version. Protobuf merges messages
 * that follow each other, so that these bytes behind the `.onnx` file's are the whole edit, however large the file is.
 */
export class GraphAppendix {
  readonly #model: OnnxModel;
  readonly #graph: GraphProto = create(GraphProtoSchema);
  readonly #opset: number;
  readonly #prefix: string;
  #names = 0;

  /** Throws `unsupported_model` for standard operators older than version 6. */
  constructor(model: OnnxModel) {
    this.#model = model;
    this.#opset = model.opsets.get('') ?? FALLBACK_OPSET;
    if (this.#opset < MIN_OPSET) {
      throw new EmpError(
        'unsupported_model',
        `the model uses ONNX operators of version ${this.#opset}: its activations can be captured from version ${MIN_OPSET} on; export it again`,
      );
    }
    this.#prefix = freePrefix(model.proto.graph ?? this.#graph, 'emp_');
  }

  /**
   * Adds a node; integers are attributes of type INT, lists of them INTS.
   * @param copied attributes of another node, as they are there
   * @returns the name of its one output
   */
  node(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, number | readonly number[]>> = {},
    copied: readonly AttributeProto[] = [],
  ): string {
    const list = Object.entries(attributes).map(([name, value]) =>
      typeof value === 'number'
        ? create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(value) })
        : create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: value.map(BigInt) }),
    );
    return this.#node(op, inputs, [...list, ...copied]);
  }

  /** An input of the model, of any shape, that nothing else has. Returns its name. */
  input(elemType: TensorProto_DataType): string {
    const name = this.#fresh();
    const type = create(TypeProtoSchema, { value: { case: 'tensorType', value: { elemType } } });
    this.#graph.input.push(create(ValueInfoProtoSchema, { name, type }));
    return name;
  }

  /** A constant tensor of float32. */
  floats(values: Float32Array<ArrayBuffer>, dims: readonly number[]): string {
    return this.#constant({
      dims: dims.map(BigInt),
      dataType: TensorProto_DataType.FLOAT,
      rawData: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    });
  }

  /** A constant vector of int64. */
  integers(values: readonly number[]): string {
    return this.#constant({
      dims: [BigInt(values.length)],
      dataType: TensorProto_DataType.INT64,
      int64Data: values.map(BigInt),
    });
  }

  /** Sums over `axes`, which go. */
  reduce(op: keyof typeof AXES_INPUT_SINCE, value: string, axes: readonly number[]): string {
    if (this.#opset >= AXES_INPUT_SINCE[op]) {
      return this.node(op, [value, this.integers(axes)], { keepdims: 0 });
    }
    return this.#node(
      op,
      [value],
      [
        create(AttributeProtoSchema, { name: 'axes', type: AttributeType.INTS, ints: axes.map(BigInt) }),
        create(AttributeProtoSchema, { name: 'keepdims', type: AttributeType.INT, i: 0n }),
      ],
    );
  }

  /** Makes a value an output of the model; `dims` null leaves its shape open. */
  output(name: string, elemType: TensorProto_DataType, dims: readonly number[] | null): void {
    const dim = dims?.map((size) => ({ value: { case: 'dimValue' as const, value: BigInt(size) } }));
    const type = create(TypeProtoSchema, {
      value: { case: 'tensorType', value: { elemType, ...(dim && { shape: { dim } }) } },
    });
    this.#graph.output.push(create(ValueInfoProtoSchema, { name, type }));
  }

  toBytes(): Uint8Array {
    const version = BigInt(FALLBACK_OPSET);
    const opsetImport = this.#model.opsets.has('') ? [] : [create(OperatorSetIdProtoSchema, { version })];
    return toBinary(ModelProtoSchema, create(ModelProtoSchema, { graph: this.#graph, opsetImport }));
  }

  /** An initializer would have to be an input in old models. */
  #constant(tensor: MessageInitShape<typeof TensorProtoSchema>): string {
    const t = create(TensorProtoSchema, tensor);
    const value = create(AttributeProtoSchema, { name: 'value', type: AttributeType.TENSOR, t });
    return this.#node('Constant', [], [value]);
  }

  #fresh(): string {
    return `${this.#prefix}${this.#names++}`;
  }

  #node(op: string, input: readonly string[], attribute: AttributeProto[]): string {
    const name = this.#fresh();
    this.#graph.node.push(
      create(NodeProtoSchema, { opType: op, input: [...input], output: [name], attribute }),
    );
    return name;
  }
}

/**
 * Writes the model below `target` with `appendix` behind its `.onnx` file; files of external data are linked, or copied where links are not
 * possible. Returns the `.onnx` file's path.
 */
export async function writeAppended(
  directory: string,
  files: readonly string[],
  appendix: Uint8Array,
  target: string,
): Promise<string> {
  let path = '';
  for (const file of files) {
    const [from, to] = [join(directory, file), join(target, file)];
    await mkdir(dirname(to), { recursive: true });
    if (!file.endsWith('.onnx')) {
      await link(from, to).catch(() => copyFile(from, to, constants.COPYFILE_FICLONE));
      continue;
    }
    await copyFile(from, to, constants.COPYFILE_FICLONE);
    await chmod(to, 0o600); // a copy of a read-only file is read-only
    await appendFile(to, appendix);
    path = to;
  }
  return path;
}
