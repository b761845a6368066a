import { clone, toBinary } from '@bufbuild/protobuf';
import { type ModelProto, ModelProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import type { ShapeTrace } from '../../src/graph/observed-values.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import { analyseGraphs, rootsWithin } from '../../src/structure/analysed-graphs.ts';
import { type GraphTrace, traceGraph } from '../../src/structure/graph-trace.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';
import { type AnalysedModel, prepareBytes } from './analysed-model.ts';
import { maskedModel, zeroedModel } from './masked-model.ts';

/** A small model wholly in memory, prepared as the service prepares it, and what two runs say of all its graphs. */
export interface TracedGraphs {
  /** Never changed. */
  readonly proto: ModelProto;
  readonly trace: GraphTrace;
}

/** Reads a model of one file. */
export async function traceWhole(bytes: Uint8Array): Promise<TracedGraphs> {
  const { proto, skeleton, files } = await prepareBytes(bytes);
  const { signal } = new AbortController();
  return { proto, trace: await traceGraph(skeleton, { files, runtime: RUNTIME, signal }) };
}

/** `maskedModel` in all graphs. */
export function maskedWhole(traced: TracedGraphs, removed: ReadonlySet<number>): Uint8Array {
  return changeAll(traced, removed, (graph, own, index) => maskedModel(graph, own, `mask${index}`));
}

/** `zeroedModel` in all graphs. */
export function zeroedWhole(traced: TracedGraphs, removed: ReadonlySet<number>): Uint8Array {
  return changeAll(traced, removed, zeroedModel);
}

function changeAll(
  { proto: untouched, trace }: TracedGraphs,
  removed: ReadonlySet<number>,
  change: (graph: AnalysedModel, removed: ReadonlySet<number>, index: number) => unknown,
): Uint8Array {
  const proto = clone(ModelProtoSchema, untouched);
  proto.irVersion = 8n; // older ones have no initializers in branches, which masks are
  const traces = tracesOf(trace);
  for (const [index, graph] of analyseGraphs(new OnnxModel(proto), trace).graphs.entries()) {
    const { analysis } = graph;
    const own = { proto: analysis.model.proto, trace: traces[index], analysis };
    change(own, rootsWithin(graph, removed), index);
  }
  return toBinary(ModelProtoSchema, proto);
}

/** In the order in which the graphs are analysed. */
function tracesOf({ shapes, inner }: GraphTrace): ShapeTrace[] {
  return [shapes, ...inner.flatMap((trace) => (trace ? tracesOf(trace) : []))];
}
