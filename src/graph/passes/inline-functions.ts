import { clone, create } from '@bufbuild/protobuf';
import { clip } from '../../core/clip.ts';
import { EmpError } from '../../core/errors.ts';
import {
  type AttributeProto,
  AttributeProtoSchema,
  type FunctionProto,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  type NodeProto,
  NodeProtoSchema,
  SparseTensorProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from '../../formats/onnx/onnx-schema.ts';
import { FreeNames, MAX_GLUED } from '../free-names.ts';
import { functionKey, normalizeDomain, OnnxModel } from '../onnx-model.ts';
import { unrollModel } from '../program.ts';
import { allGraphs, freePrefix, isStandard, mainGraph } from '../proto-walk.ts';

/** Of the model, and what graphs inside bodies declare and store: calls of calls multiply. */
const MAX_NODES = 100_000;
/** Characters of a node's name, which is glued of those of all calls around it and is for people alone. */
const MAX_NODE_NAME = 1000;

/**
 * Replaces calls of the model's own functions by their bodies. Requires nothing. Ensures that what is left of functions is written for other versions of operators than the
 * model's, or none is. Copies of a body share its tensors.
 * @throws EmpError unsupported_model for functions without end, and where the model becomes too large
 */
export function inlineFunctions(model: ModelProto): void {
  if (model.functions.length === 0) return;
  unrollModel(new OnnxModel(model)); // refuses functions without end
  const graph = mainGraph(model);
  const versions = new Map<string, bigint>();
  for (const { domain, version } of model.opsetImport.toReversed())
    versions.set(normalizeDomain(domain), version);
  const inlined = model.functions.filter((body) => importsAgree(versions, body));
  const functions = new Map(inlined.map((body) => [functionKey(body, body.name), body]));
  const prefix = freePrefix(graph, 'call');
  const expansion = new Expansion(freePrefix(graph, 'inlined_'));
  for (const { node } of allGraphs(model)) for (const { name } of node) expansion.nodeNames.take(name);
  let calls = 0;
  const expand = (list: readonly NodeProto[]): NodeProto[] =>
    list.flatMap((node) => {
      expansion.count(1);
      for (const { g, graphs } of node.attribute) {
        for (const inner of g === undefined ? graphs : [g, ...graphs]) inner.node = expand(inner.node);
      }
      const body = functions.get(functionKey(node, node.opType));
      return body === undefined
        ? [node]
        : expand(new Call(node, body, `${prefix}${calls++}_`, expansion).nodes());
    });
  graph.node = expand(graph.node);
  const known = new Set(model.opsetImport.map(({ domain }) => domain));
  for (const entry of inlined.flatMap(({ opsetImport }) => opsetImport)) {
    if (!known.has(entry.domain)) model.opsetImport.push(entry);
    known.add(entry.domain);
  }
  if (inlined.length === model.functions.length) model.functions = [];
}

/** What the bodies of all calls come to. */
class Expansion {
  readonly nodeNames = new FreeNames();
  readonly #prefix: string;
  #numbers = 0;
  #parts = 0;

  /** @param prefix of names that have numbers alone */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** A name in the place of one that is too long to be repeated for every call. */
  numbered(): string {
    return `${this.#prefix}${this.#numbers++}`;
  }

  /** Throws `unsupported_model` beyond what can be looked at. */
  count(parts: number): void {
    this.#parts += parts;
    if (this.#parts <= MAX_NODES) return;
    throw new EmpError(
      'unsupported_model',
      `the model's functions expand to more than ${MAX_NODES} nodes, which is more than can be looked at`,
    );
  }
}

/** One call of a function: what the names and attributes of the body mean in it. */
class Call {
  readonly #node: NodeProto;
  readonly #body: FunctionProto;
  readonly #prefix: string;
  readonly #expansion: Expansion;
  /** What names of the body are here: its own, then of the graphs inside it that are being copied what each gives itself. */
  readonly #scopes = [new Map([['', '']])];
  /** By name: the call's, else the function's own. */
  readonly #attributes = new Map<string, AttributeProto>();

  constructor(node: NodeProto, body: FunctionProto, prefix: string, expansion: Expansion) {
    this.#node = node;
    this.#body = body;
    this.#prefix = prefix;
    this.#expansion = expansion;
    for (const attribute of [...node.attribute, ...body.attributeProto]) {
      if (!this.#attributes.has(attribute.name)) this.#attributes.set(attribute.name, attribute);
    }
    const [names] = this.#scopes;
    for (const [index, name] of body.input.entries()) names.set(name, node.input[index] ?? '');
    for (const [index, name] of body.output.entries()) {
      const output = node.output[index];
      if (output) names.set(name, output);
    }
  }

  /** The body's nodes in place of the call. */
  nodes(): NodeProto[] {
    return this.#copyNodes(this.#body.node);
  }

  /** onnxruntime refuses a graph in which two nodes have one name. */
  #nameNode(glued: string): string {
    const name = clip(glued, MAX_NODE_NAME);
    const { nodeNames } = this.#expansion;
    return nodeNames.take(name) ?? nodeNames.number(`${name}#`);
  }

  #name(name: string): string {
    const known = this.#scopes.findLast((names) => names.has(name))?.get(name);
    return known ?? this.#give(name, this.#scopes[0]);
  }

  #give(name: string, scope: Map<string, string>): string {
    const isHiding = this.#scopes.some((names) => names !== scope && names.has(name));
    const given = isHiding || name.length > MAX_GLUED ? this.#expansion.numbered() : this.#prefix + name;
    scope.set(name, given);
    return given;
  }

  #copyNodes(nodes: readonly NodeProto[]): NodeProto[] {
    const caller = this.#node.name || this.#node.opType;
    return nodes.map((node) =>
      create(NodeProtoSchema, {
        name: this.#nameNode(`${caller}/${node.name || node.opType}`),
        opType: node.opType,
        domain: node.domain,
        overload: node.overload,
        input: node.input.map((name) => this.#name(name)),
        output: node.output.map((name) => this.#name(name)),
        attribute: node.attribute.flatMap((own) => this.#copyAttribute(own) ?? []),
      }),
    );
  }

  /** The call's where the body refers to one of those; null where the call does not give it. */
  #copyAttribute(own: AttributeProto): AttributeProto | null {
    const { name, type, refAttrName } = own;
    if (refAttrName !== '') {
      const given = this.#attributes.get(refAttrName);
      return given === undefined ? null : create(AttributeProtoSchema, { ...given, name });
    }
    if (own.g === undefined && own.graphs.length === 0) return own;
    const graphs = own.graphs.map((graph) => this.#copyGraph(graph));
    const single = own.g === undefined ? {} : { g: this.#copyGraph(own.g) };
    return create(AttributeProtoSchema, { name, type, graphs, ...single });
  }

  #copyGraph(graph: GraphProto): GraphProto {
    const { input, output, initializer, sparseInitializer, node } = graph;
    const own = new Map([['', '']]);
    this.#scopes.push(own);
    const given = [...input, ...initializer, ...sparseInitializer.flatMap(({ values }) => values ?? [])];
    for (const name of [...given.map((each) => each.name), ...node.flatMap((each) => each.output)])
      if (!own.has(name)) this.#give(name, own);
    this.#expansion.count(input.length + output.length + initializer.length + sparseInitializer.length);
    const copy = create(GraphProtoSchema, {
      name: graph.name,
      input: graph.input.map((value) => clone(ValueInfoProtoSchema, value)),
      output: graph.output.map((value) => clone(ValueInfoProtoSchema, value)),
      initializer: graph.initializer.map((tensor) => clone(TensorProtoSchema, tensor)),
      sparseInitializer: graph.sparseInitializer.map((tensor) => clone(SparseTensorProtoSchema, tensor)),
      node: this.#copyNodes(graph.node),
    });
    const sparse = copy.sparseInitializer.flatMap(({ values }) => values ?? []);
    for (const named of [...copy.input, ...copy.output, ...copy.initializer, ...sparse]) {
      named.name = this.#name(named.name);
    }
    this.#scopes.pop();
    return copy;
  }
}

/** @param versions of operators that the model uses, by domain */
function importsAgree(versions: ReadonlyMap<string, bigint>, body: FunctionProto): boolean {
  return body.opsetImport.every(({ domain, version }) => {
    const own = versions.get(normalizeDomain(domain));
    return own === undefined ? !isStandard({ domain }) : own === version;
  });
}
