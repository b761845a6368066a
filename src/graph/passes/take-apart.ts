import { create } from '@bufbuild/protobuf';
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  type NodeProto,
  type ValueInfoProto,
} from '../../formats/onnx/onnx-schema.ts';
import { FreeNames, MAX_GLUED } from '../free-names.ts';
import { FUSED_PARTS, FusedNode, type KnownValues } from '../fused-parts.ts';
import { GraphBuilder } from '../graph-builder.ts';
import { declareTensor } from '../messages.ts';
import { OnnxModel } from '../onnx-model.ts';
import { standardOpset } from '../opset.ts';
import { allGraphs, freePrefix, innerGraphs, isStandard, mainGraph, storedTensors } from '../proto-walk.ts';

const MICROSOFT = 'com.microsoft';
/** Operators that give their first input on in its shape. */
const SHAPE_KEEPING = new Set(['Identity', 'Cast', 'DequantizeLinear', 'QuantizeLinear']);
const PRODUCTS = new Set(['MatMul', 'FusedMatMul', 'TransposeMatMul']);

/**
 * Replaces the operators that onnxruntime's optimizer puts together by what they are put together of: Conv, Gemm, MatMul, Add, activation functions, normalizations. Requires nothing. Ensures that
 * a value has the name that it had, and that no such operator of `FUSED_PARTS` is left but in uses that are not covered.
 * @param context.added the nodes of the main graph whose outputs it did not have before
 */
export function takeApart(model: ModelProto, { added }: { readonly added: Set<NodeProto> }): void {
  if (model.functions.some(({ domain }) => domain === MICROSOFT)) return; // what these mean the model says itself
  const graphs = allGraphs(model);
  const bodies = model.functions.map((body) =>
    create(GraphProtoSchema, { node: body.node, input: body.input.map((name) => declareTensor(name, 0)) }),
  );
  if (![...graphs, ...bodies.flatMap((body) => [body, ...innerGraphs(body.node)])].some(hasFused)) return;
  const opset = standardOpset(model);
  const replaced = replaceIn(graphs, freePrefix(mainGraph(model), 'part_'), opset);
  for (const node of replaced.get(mainGraph(model)) ?? []) added.add(node);
  for (const [index, body] of model.functions.entries()) {
    const inner = [bodies[index], ...innerGraphs(body.node)];
    replaceIn(inner, freePrefix(bodies[index], 'part_'), standardOpset(body));
    body.node = bodies[index].node;
  }
}

/** A model in standard operators, as `takeApart` makes it; changes its proto. */
export function takenApart({ proto }: OnnxModel): OnnxModel {
  const added = new Set<NodeProto>();
  takeApart(proto, { added });
  return new OnnxModel(proto, added);
}

function hasFused({ node }: GraphProto): boolean {
  return node.some(({ domain, opType }) => domain === MICROSOFT && FUSED_PARTS.has(opType));
}

/** Graphs that see each other's names. Returns the nodes of each that give what nothing gave before. */
function replaceIn(
  graphs: readonly GraphProto[],
  prefix: string,
  opset: number,
): ReadonlyMap<GraphProto, readonly NodeProto[]> {
  const values = knownValues(graphs);
  const nodeNames = new FreeNames();
  for (const { node } of graphs) for (const { name } of node) nodeNames.take(name);
  const added = new Map<GraphProto, NodeProto[]>();
  for (const [index, graph] of graphs.entries()) {
    if (!hasFused(graph)) continue;
    const made: NodeProto[] = [];
    let parts = 0;
    graph.node = graph.node.flatMap((node) => {
      const own = partsOf(node, values, opset, `${prefix}${index}_${parts++}_`);
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
function partsOf(node: NodeProto, values: KnownValues, opset: number, prefix: string): NodeProto[] | null {
  const parts = node.domain === MICROSOFT ? FUSED_PARTS.get(node.opType) : undefined;
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

function knownValues(graphs: readonly GraphProto[]): KnownValues {
  const declared = new Map<string, { readonly type: number; readonly rank: number | null }>();
  const stored = new Set<string>();
  const makers = new Map<string, NodeProto>();
  const readers = new Map<string, number>();
  for (const graph of graphs) {
    for (const info of [...graph.input, ...graph.output, ...graph.valueInfo]) {
      const type = typeOf(info);
      if (type !== null) declared.set(info.name, type);
    }
    for (const node of graph.node) {
      for (const name of node.output) makers.set(name, node);
      for (const name of node.input) readers.set(name, (readers.get(name) ?? 0) + 1);
    }
    for (const { name } of graph.output) readers.set(name, (readers.get(name) ?? 0) + 1);
    const names = new Map(
      graph.node
        .filter(({ opType }) => opType === 'Constant')
        .map((node) => [node.attribute[0]?.t, node.output[0]]),
    );
    for (const tensor of storedTensors(graph)) {
      const name = names.get(tensor) ?? tensor.name;
      stored.add(name);
      declared.set(name, { type: tensor.dataType, rank: tensor.dims.length });
    }
  }
  const sourceOf = (name: string) => {
    const maker = makers.get(name);
    return maker && isStandard(maker) && SHAPE_KEEPING.has(maker.opType) ? maker.input[0] : undefined;
  };
  return {
    typeOf: (name) => declared.get(name)?.type ?? null,
    isStored: (name) => stored.has(name),
    isLoneProduct: (name) => PRODUCTS.has(makers.get(name)?.opType ?? '') && readers.get(name) === 1,
    rankOf(name) {
      const seen = new Set<string>();
      for (let at: string | undefined = name; at !== undefined && !seen.has(at); at = sourceOf(at)) {
        const rank = declared.get(at)?.rank ?? null;
        if (rank !== null) return rank;
        seen.add(at);
      }
      return null;
    },
  };
}

/** Null where it is not said. */
function typeOf({ type }: ValueInfoProto): { type: number; rank: number | null } | null {
  if (type?.value.case !== 'tensorType' || type.value.value.elemType === 0) return null;
  const { elemType, shape } = type.value.value;
  return { type: elemType, rank: shape?.dim.length ?? null };
}
