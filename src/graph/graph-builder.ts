import { type AttributeProto, type GraphProto, TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import { type AttributeValues, createNode, createTensor, declareTensor, integerTensor } from './messages.ts';

/** Slice ends and the like beyond this mean "to the end", and larger numbers lose their last digits. */
const FARTHEST = 2 ** 62;

/** Since this version Slice takes its bounds as inputs. */
const SLICE_INPUTS_SINCE = 10;
/** Since this version all reductions take their axes as an input; ReduceSum, and Unsqueeze, have since 13. */
const AXES_INPUT_SINCE = 18;
const SUM_AXES_INPUT_SINCE = 13;

/** Adds operators to a graph. Names begin with a prefix that no other name of the graph has. */
export class GraphBuilder {
  readonly graph: GraphProto;
  readonly #prefix: string;
  readonly #opset: number;
  readonly #storesIn: 'initializers' | 'nodes';
  readonly #constants = new Map<string, string>();
  #names = 0;

  /** @param storesIn what constants become; an initializer would have to be an input in old models */
  constructor(
    graph: GraphProto,
    prefix: string,
    opset: number,
    storesIn: 'initializers' | 'nodes' = 'initializers',
  ) {
    this.graph = graph;
    this.#prefix = prefix;
    this.#opset = opset;
    this.#storesIn = storesIn;
  }

  /** A name that is still free. */
  fresh(hint: string): string {
    return `${this.#prefix}${this.#names++}_${hint}`;
  }

  /**
   * Adds a node and returns its outputs' names. Null inputs are left out.
   * @param copied attributes of another node, as they are there
   */
  nodes(
    op: string,
    inputs: readonly (string | null)[],
    attributes: AttributeValues,
    outputs: number,
    copied: readonly AttributeProto[] = [],
  ): string[] {
    const names = Array.from({ length: outputs }, () => this.fresh(op));
    const given = inputs.map((name) => name ?? '');
    const node = createNode(op, given, names, attributes, names[0]);
    for (const attribute of copied) node.attribute.push(attribute);
    this.graph.node.push(node);
    return names;
  }

  /** Adds a node of one output. */
  op(
    op: string,
    inputs: readonly (string | null)[],
    attributes: AttributeValues = {},
    copied: readonly AttributeProto[] = [],
  ): string {
    return this.nodes(op, inputs, attributes, 1, copied)[0];
  }

  /** Adds a node of one of onnxruntime's own operators, of one output. */
  microsoft(op: string, inputs: readonly (string | null)[], attributes: AttributeValues): string {
    const name = this.op(op, inputs, attributes);
    for (const node of this.graph.node.slice(-1)) node.domain = 'com.microsoft';
    return name;
  }

  /** ReduceSum, ReduceMean, ReduceMax, ... over `axes`. */
  reduce(op: string, input: string, axes: readonly number[], keepdims: boolean): string {
    const since = op === 'ReduceSum' ? SUM_AXES_INPUT_SINCE : AXES_INPUT_SINCE;
    return this.#opset >= since
      ? this.op(op, [input, this.integers(axes)], { keepdims: Number(keepdims) })
      : this.op(op, [input], { axes, keepdims: Number(keepdims) });
  }

  /** Positions of the first axis. */
  slice(input: string, start: number, end: number): string {
    return this.#opset >= SLICE_INPUTS_SINCE
      ? this.op('Slice', [input, this.integers([start]), this.integers([end])])
      : this.op('Slice', [input], { starts: [start], ends: [end] });
  }

  /** Axes of size 1 more. */
  unsqueeze(input: string, axes: readonly number[]): string {
    return this.#opset >= SUM_AXES_INPUT_SINCE
      ? this.op('Unsqueeze', [input, this.integers(axes)])
      : this.op('Unsqueeze', [input], { axes });
  }

  /** An input of the graph, of any shape where `dims` is left out. Returns its name. */
  input(hint: string, elemType: TensorProto_DataType, dims: Dims = null): string {
    const name = this.fresh(hint);
    this.graph.input.push(declareTensor(name, elemType, dims));
    return name;
  }

  /** Makes a value an output of the graph, of any shape where `dims` is left out. Returns its name. */
  output(name: string, elemType: TensorProto_DataType, dims: Dims = null): string {
    this.graph.output.push(declareTensor(name, elemType, dims));
    return name;
  }

  /** A constant vector of int64. */
  integers(values: readonly number[]): string {
    return this.#integers(values, [values.length]);
  }

  /** A constant int64 of rank 0. */
  integer(value: number): string {
    return this.#integers([value], []);
  }

  /** A constant float32 of rank 0. */
  scalar(value: number): string {
    return this.floats([value], []);
  }

  /** A constant float32 tensor. */
  floats(values: ArrayLike<number>, dims: readonly number[]): string {
    const numbers = Float32Array.from(values);
    return this.#constant(`float [${dims}] ${values}`, (name) =>
      createTensor(name, TensorProto_DataType.FLOAT, dims, new Uint8Array(numbers.buffer)),
    );
  }

  #integers(values: readonly number[], dims: readonly number[]): string {
    const bounded = values.map((value) => Math.max(-FARTHEST, Math.min(FARTHEST, value)));
    return this.#constant(`int64 [${dims}] ${bounded}`, (name) => integerTensor(name, bounded, dims));
  }

  #constant(key: string, make: (name: string) => ReturnType<typeof createTensor>): string {
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = this.fresh('constant');
    const tensor = make(name);
    if (this.#storesIn === 'nodes')
      this.graph.node.push(createNode('Constant', [], [name], { value: { tensor } }));
    else this.graph.initializer.push(tensor);
    this.#constants.set(key, name);
    return name;
  }
}

type Dims = Parameters<typeof declareTensor>[2];
