import { clip, MAX_TOLD_NAME } from '../core/clip.ts';
import type {
  AttributeProto,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  SparseTensorProto,
  TensorProto,
} from '../formats/onnx/onnx-schema.ts';
import { AttributeReader } from './attribute-reader.ts';
import { standardOpset } from './opset.ts';

/** A place where a value is read. */
export interface ValueUse {
  readonly node: OnnxNode;
  /** The position among the node's inputs. */
  readonly input: number;
}

/** A named value of a graph. Inner graphs that read it are among its uses. */
export class OnnxValue {
  readonly name: string;
  readonly graph: OnnxGraph;
  /** Null for graph inputs and initializers, and for names that nothing defines. */
  producer: OnnxNode | null = null;
  /** The initializer of this name; it may be a graph input too, whose default it is. */
  initializer: TensorProto | SparseTensorProto | null = null;
  readonly uses: ValueUse[] = [];

  constructor(name: string, graph: OnnxGraph) {
    this.name = name;
    this.graph = graph;
  }
}

/** A graph inside a node, such as a branch of an If. */
export interface Subgraph {
  readonly attribute: string;
  readonly graph: OnnxGraph;
}

export class OnnxNode extends AttributeReader {
  readonly proto: NodeProto;
  readonly graph: OnnxGraph;
  /** Null where an optional input is left out. */
  readonly inputs: (OnnxValue | null)[] = [];
  readonly outputs: (OnnxValue | null)[] = [];
  readonly subgraphs: Subgraph[] = [];

  constructor(proto: NodeProto, graph: OnnxGraph) {
    super();
    this.proto = proto;
    this.graph = graph;
  }

  get op(): string {
    return this.proto.opType;
  }

  /** Empty for the standard operators. */
  get domain(): string {
    return normalizeDomain(this.proto.domain);
  }

  /** The operator's name, behind its domain where it is no standard one: `com.microsoft.Attention`. */
  get qualifiedOp(): string {
    return qualifiedOp(this.proto);
  }

  /** Whether the node is a standard operator, of this name. */
  is(op: string): boolean {
    return this.op === op && this.domain === '';
  }

  /** What to call the node in a text: its name, its first output where it has none, else its operator; of long names the ends. */
  get label(): string {
    return clip(this.proto.name || this.proto.output.find((name) => name !== '') || this.op, MAX_TOLD_NAME);
  }

  /** The label and the operator. */
  get title(): string {
    return `${this.label} (${clip(this.op, MAX_TOLD_NAME)})`;
  }

  /** The attribute as written; inside a function it may refer to one of the function's (`refAttrName`). */
  attribute(name: string): AttributeProto | undefined {
    return this.proto.attribute.find((attribute) => attribute.name === name);
  }
}

/** The main graph, a subgraph of a node, or a function's body. */
export class OnnxGraph {
  readonly proto: GraphProto | FunctionProto;
  /** The graph whose names are visible here; null for the main graph and functions. */
  readonly parent: OnnxGraph | null;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly initializers: readonly OnnxValue[];
  readonly nodes: readonly OnnxNode[];
  readonly #values = new Map<string, OnnxValue>();
  readonly #given: ReadonlySet<OnnxValue>;

  constructor(proto: GraphProto | FunctionProto, parent: OnnxGraph | null) {
    this.proto = proto;
    this.parent = parent;
    this.inputs = proto.input.map((input) => this.#define(typeof input === 'string' ? input : input.name));
    this.initializers = isFunction(proto) ? [] : this.#defineInitializers(proto);
    this.nodes = proto.node.map((node) => this.#defineNode(node));
    for (const node of this.nodes) this.#connect(node);
    this.outputs = proto.output.map((output) =>
      this.resolve(typeof output === 'string' ? output : output.name),
    );
    this.#given = new Set(this.outputs);
  }

  /** Whether a value is one of the graph's outputs. */
  gives(value: OnnxValue): boolean {
    return this.#given.has(value);
  }

  /** The value that a name means in this graph: its own or the nearest enclosing one's. */
  find(name: string): OnnxValue | null {
    return this.#values.get(name) ?? this.parent?.find(name) ?? null;
  }

  /** `find`, with a value that nothing produces for an unknown name. */
  resolve(name: string): OnnxValue {
    return this.find(name) ?? this.#define(name);
  }

  #define(name: string): OnnxValue {
    let value = this.#values.get(name);
    if (value === undefined) {
      value = new OnnxValue(name, this);
      this.#values.set(name, value);
    }
    return value;
  }

  /** Of several initializers with one name the last counts, as in onnxruntime. */
  #defineInitializers(proto: GraphProto): OnnxValue[] {
    const define = (name: string, initializer: TensorProto | SparseTensorProto) => {
      const value = this.#define(name);
      value.initializer = initializer;
      return value;
    };
    const dense = proto.initializer.map((tensor) => define(tensor.name, tensor));
    const sparse = proto.sparseInitializer.map((tensor) => define(tensor.values?.name ?? '', tensor));
    return [...new Set([...dense, ...sparse])];
  }

  #defineNode(proto: NodeProto): OnnxNode {
    const node = new OnnxNode(proto, this);
    for (const name of proto.output) {
      const value = name === '' ? null : this.#define(name);
      if (value !== null) value.producer = node;
      node.outputs.push(value);
    }
    return node;
  }

  #connect(node: OnnxNode): void {
    for (const [input, name] of node.proto.input.entries()) {
      const value = name === '' ? null : this.resolve(name);
      value?.uses.push({ node, input });
      node.inputs.push(value);
    }
    for (const { name, g, graphs } of node.proto.attribute) {
      for (const proto of g === undefined ? graphs : [g, ...graphs]) {
        node.subgraphs.push({ attribute: name, graph: new OnnxGraph(proto, this) });
      }
    }
  }
}

/** The one graph model of the project: views over a decoded ModelProto, which stays the place where everything is stored. */
export class OnnxModel {
  readonly proto: ModelProto;
  readonly graph: OnnxGraph;
  /** Bodies of the model's own functions, in the file's order. */
  readonly functions: readonly OnnxGraph[];
  /** Version of the standard operators. */
  readonly opset: number;
  /** Nodes of the main graph that give what nothing gives in the file: it has others in their place. */
  readonly added: ReadonlySet<NodeProto>;
  readonly #functionsByName = new Map<string, OnnxGraph>();

  /** `proto` must hold a graph. */
  constructor(proto: ModelProto, added: ReadonlySet<NodeProto> = new Set()) {
    if (proto.graph === undefined) throw new TypeError('a ModelProto without a graph');
    this.proto = proto;
    this.graph = new OnnxGraph(proto.graph, null);
    this.functions = proto.functions.map((body) => {
      const graph = new OnnxGraph(body, null);
      this.#functionsByName.set(functionKey(body, body.name), graph);
      return graph;
    });
    this.opset = standardOpset(proto);
    this.added = added;
  }

  /** The body of the function that a node calls, or null for an operator. */
  functionOf(node: OnnxNode): OnnxGraph | null {
    return this.#functionsByName.get(functionKey(node.proto, node.op)) ?? null;
  }
}

export function isFunction(proto: GraphProto | FunctionProto): proto is FunctionProto {
  return proto.$typeName === 'onnx.FunctionProto';
}

/** Empty for the standard operators. */
export function normalizeDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

/** An operator's name, behind its domain where it is no standard one. */
export function qualifiedOp({ domain, opType }: Pick<NodeProto, 'domain' | 'opType'>): string {
  const own = normalizeDomain(domain);
  return own === '' ? opType : `${own}.${opType}`;
}

/** A call and the function that it means have the same. */
export function functionKey({ domain, overload }: NodeProto | FunctionProto, name: string): string {
  return JSON.stringify([normalizeDomain(domain), name, overload]);
}
