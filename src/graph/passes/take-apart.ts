import { create } from '@bufbuild/protobuf';
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  type NodeProto,
} from '../../formats/onnx/onnx-schema.ts';
import { ATTENTION_PARTS, MERGED_ATTENTION_PARTS } from '../attention-parts.ts';
import { EXPERT_PARTS } from '../expert-parts.ts';
import { FreeNames, MAX_GLUED } from '../free-names.ts';
import { FusedNode, type KnownValues, type Parts } from '../fused-node.ts';
import { FUSED_PARTS } from '../fused-parts.ts';
import { GraphBuilder } from '../graph-builder.ts';
import { knownValues } from '../known-values.ts';
import { declareTensor } from '../messages.ts';
import { OnnxModel, qualifiedOp } from '../onnx-model.ts';
import { standardOpset } from '../opset.ts';
import { allGraphs, freePrefix, innerGraphs, mainGraph } from '../proto-walk.ts';
import { ROTARY_PARTS } from '../rotary-parts.ts';

const MICROSOFT = 'com.microsoft';
/** Of operators that hold layers, or parts of them. */
const LAYER_PARTS: PartsByOperator = new Map([...FUSED_PARTS, ...MERGED_ATTENTION_PARTS, ...EXPERT_PARTS]);
/** Of those that only gradients have to go through; merged attention in an old opset is among them, which may be a newer one by then. */
const HEAD_PARTS: PartsByOperator = new Map([...MERGED_ATTENTION_PARTS, ...ATTENTION_PARTS, ...ROTARY_PARTS]);

type PartsByOperator = ReadonlyMap<string, Parts>;

/**
 * Replaces the operators that onnxruntime's optimizer puts together by what they are put together of: Conv, Gemm, MatMul, Add, activation functions, normalizations, attention with the layers inside it. Requires nothing. Ensures that
 * a value has the name that it had, and that no such operator is left but in uses that are not covered.
 * @param context.added the nodes of the main graph whose outputs it did not have before
 */
export function takeApart(model: ModelProto, { added }: { readonly added: Set<NodeProto> }): void {
  replaceAll(model, LAYER_PARTS, added);
}

/**
 * Replaces attention that stands in one operator, and the rotation of its queries and keys, by products, Softmax and what is between them. Requires opset 16 or later. Ensures that a value has the name
 * that it had, and that no such operator is left but in uses that are not covered, and on values whose rank the graph does not tell.
 */
export function expandAttention(model: ModelProto): void {
  replaceAll(model, HEAD_PARTS, new Set());
}

function replaceAll(model: ModelProto, parts: PartsByOperator, added: Set<NodeProto>): void {
  if (model.functions.some(({ domain }) => domain === MICROSOFT)) return; // what these mean the model says itself
  const hasFused = ({ node }: GraphProto) => node.some((each) => parts.has(qualifiedOp(each)));
  const graphs = allGraphs(model);
  const bodies = model.functions.map((body) =>
    create(GraphProtoSchema, { node: body.node, input: body.input.map((name) => declareTensor(name, 0)) }),
  );
  if (![...graphs, ...bodies.flatMap((body) => [body, ...innerGraphs(body.node)])].some(hasFused)) return;
  const opset = standardOpset(model);
  const replaced = replaceIn(graphs, parts, freePrefix(mainGraph(model), 'part_'), opset);
  for (const node of replaced.get(mainGraph(model)) ?? []) added.add(node);
  for (const [index, body] of model.functions.entries()) {
    const inner = [bodies[index], ...innerGraphs(body.node)];
    replaceIn(inner, parts, freePrefix(bodies[index], 'part_'), standardOpset(body));
    body.node = bodies[index].node;
  }
}

/** A model in standard operators, as `takeApart` makes it; changes its proto. */
export function takenApart({ proto }: OnnxModel): OnnxModel {
  const added = new Set<NodeProto>();
  takeApart(proto, { added });
  return new OnnxModel(proto, added);
}

/** Graphs that see each other's names. Returns the nodes of each that give what nothing gave before. */
function replaceIn(
  graphs: readonly GraphProto[],
  parts: PartsByOperator,
  prefix: string,
  opset: number,
): ReadonlyMap<GraphProto, readonly NodeProto[]> {
  const values = knownValues(graphs);
  const nodeNames = new FreeNames();
  for (const { node } of graphs) for (const { name } of node) nodeNames.take(name);
  const added = new Map<GraphProto, NodeProto[]>();
  for (const [index, graph] of graphs.entries()) {
    const made: NodeProto[] = [];
    let count = 0;
    graph.node = graph.node.flatMap((node) => {
      const own = partsOf(node, parts, values, opset, `${prefix}${index}_${count++}_`);
      if (own === null) return [node];
      const stem = node.name.length > MAX_GLUED ? '' : node.name || node.output[0];
      for (const part of own) {
        part.name = nodeNames.take(`${stem}/${part.opType}`) ?? nodeNames.number(`${stem}/${part.opType}#`);
        if (!part.output.some((name) => node.output.includes(name))) made.push(part);
      }
      return own;
    });
    added.set(graph, made);
  }
  return added;
}

/** What a node is put together of; null where it is no such node. */
function partsOf(
  node: NodeProto,
  all: PartsByOperator,
  values: KnownValues,
  opset: number,
  prefix: string,
): NodeProto[] | null {
  const parts = all.get(qualifiedOp(node));
  if (parts === undefined || node.attribute.some(({ refAttrName }) => refAttrName !== '')) return null;
  const graph = create(GraphProtoSchema);
  const builder = new GraphBuilder(graph, prefix, opset, 'nodes');
  const outputs = parts(new FusedNode(node, values, opset, builder));
  if (outputs === null) return null;
  const names = new Map(outputs.flatMap((made, index) => (made ? [[made, node.output[index]]] : [])));
  const rename = (name: string) => names.get(name) ?? name;
  for (const part of graph.node) {
    part.input = part.input.map(rename);
    part.output = part.output.map(rename);
  }
  return graph.node;
}
