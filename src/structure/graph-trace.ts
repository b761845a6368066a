import { isWeightDtype } from '../core/dtype.ts';
import { EmpError } from '../core/errors.ts';
import { elementCount, type ModelFiles } from '../formats/model.ts';
import type { TensorProto } from '../formats/onnx/onnx-schema.ts';
import { dtypeOf, parseShape } from '../formats/onnx/tensor-data.ts';
import type { ObservedTrace, ShapeTrace } from '../graph/observed-values.ts';
import { isFunction, type OnnxGraph, type OnnxModel } from '../graph/onnx-model.ts';
import { standaloneBranch } from '../graph/passes/standalone-branch.ts';
import { innerGraphs, storedTensors } from '../graph/proto-walk.ts';
import type { RuntimeSettings } from '../runtime/session.ts';
import { traceShapes } from '../runtime/shape-trace.ts';

/** What two runs say of a graph, and of the graphs inside it. */
export interface GraphTrace {
  readonly shapes: ShapeTrace;
  /** Of the graphs inside its nodes, in their order; null for one that is not looked into. */
  readonly inner: readonly (GraphTrace | null)[];
}

/** What the branches of a model are run with. */
interface TraceContext {
  readonly files: ModelFiles;
  readonly runtime: RuntimeSettings;
  readonly signal: AbortSignal;
}

/**
 * Runs a model twice, and so every branch of an If that stores something: a run of the model takes one branch of two, and says nothing of what is inside.
 * @throws EmpError what `traceShapes` throws for the model itself
 */
export async function traceGraph(model: OnnxModel, context: TraceContext): Promise<GraphTrace> {
  const { files, runtime, signal } = context;
  const shapes = await traceShapes(model, files, runtime, signal);
  return { shapes, inner: await traceInner(model, shapes, context) };
}

async function traceInner(
  model: OnnxModel,
  outer: ObservedTrace,
  context: TraceContext,
): Promise<(GraphTrace | null)[]> {
  const traces: (GraphTrace | null)[] = [];
  for (const node of model.graph.nodes) {
    for (const { graph } of node.subgraphs) {
      const isTraced = node.is('If') && holdsWeights(graph);
      traces.push(isTraced ? await traceBranch(model, graph, outer, context) : null);
    }
  }
  return traces;
}

async function traceBranch(
  model: OnnxModel,
  branch: OnnxGraph,
  outer: ObservedTrace,
  context: TraceContext,
): Promise<GraphTrace | null> {
  const { files, runtime, signal } = context;
  const standalone = standaloneBranch(model, branch, outer);
  if (standalone === null) return null;
  try {
    const shapes = await traceShapes(standalone.model, files, runtime, signal, standalone.seen);
    return { shapes, inner: await traceInner(standalone.model, shapes, context) };
  } catch (error) {
    const cannotRun = ['unsupported_model', 'model_run_failed', 'limit_exceeded'];
    if (error instanceof EmpError && cannotRun.includes(error.code)) return null;
    throw error;
  }
}

/** Whether there is anything inside that could shrink. */
function holdsWeights({ proto }: OnnxGraph): boolean {
  if (isFunction(proto)) return false;
  return [proto, ...innerGraphs(proto.node)].some((graph) => storedTensors(graph).some(canShrink));
}

function canShrink(tensor: TensorProto): boolean {
  return isWeightDtype(dtypeOf(tensor)) && elementCount(parseShape(tensor.dims, tensor.name)) > 1;
}
