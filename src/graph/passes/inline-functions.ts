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
import { functionKey, normalizeDomain, OnnxModel } from '../onnx-model.ts';
import { unrollModel } from '../program.ts';
import { freePrefix, isStandard, mainGraph } from '../proto-walk.ts';

/** Calls of calls multiply. */
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
  let calls = 0;
  let nodes = 0;
  const expand = (list: readonly NodeProto[]): NodeProto[] =>
    list.flatMap((node) => {
      if (++nodes > MAX_NODES) throw tooLarge();
      for (const { g, graphs } of node.attribute) {
        for (const inner of g === undefined ? graphs : [g, ...graphs]) inner.node = expand(inner.node);
      }
      const body = functions.get(functionKey(node, node.opType));
      return body === undefined ? [node] : expand(new Call(node, body, `${prefix}${calls++}_`).nodes());
    });
  graph.node = expand(graph.node);
  const known = new Set(model.opsetImport.map(({ domain }) => domain));
  for (const entry of inlined.flatMap(({ opsetImport }) => opsetImport)) {
    if (!known.has(entry.domain)) model.opsetImport.push(entry);
    known.add(entry.domain);
  }
  if (inlined.length === model.functions.length) model.functions = [];
}

/** One call of a function: what the names and attributes of the body mean in it. */
class Call {
  readonly #node: NodeProto;
  readonly #body: FunctionProto;
  readonly #prefix: string;
  readonly #names = new Map([['', '']]);
  /** By name: the call's, else the function's own. */
  readonly #attributes = new Map<string, AttributeProto>();

  constructor(node: NodeProto, body: FunctionProto, prefix: string) {
    this.#node = node;
    this.#body = body;
    this.#prefix = prefix;
    for (const attribute of [...node.attribute, ...body.attributeProto]) {
      if (!this.#attributes.has(attribute.name)) this.#attributes.set(attribute.name, attribute);
    }
    for (const [index, name] of body.input.entries()) this.#names.set(name, node.input[index] ?? '');
    for (const [index, name] of body.output.entries()) {
      const output = node.output[index];
      if (output) this.#names.set(name, output);
    }
  }

  /** The body's nodes in place of the call. */
  nodes(): NodeProto[] {
    return this.#copyNodes(this.#body.node);
  }

  #name(name: string): string {
    return this.#names.get(name) ?? this.#prefix + name;
  }

  #copyNodes(nodes: readonly NodeProto[]): NodeProto[] {
    const caller = this.#node.name || this.#node.opType;
    return nodes.map((node) =>
      create(NodeProtoSchema, {
        name: clip(`${caller}/${node.name || node.opType}`, MAX_NODE_NAME),
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

function tooLarge(): EmpError {
  return new EmpError(
    'unsupported_model',
    `the model's functions expand to more than ${MAX_NODES} nodes, which is more than can be looked at`,
  );
}
