import { clone, create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { RandomWords } from '../../src/core/random-words.ts';
import {
  AttributeProto_AttributeType,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  TensorProto_DataType,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import { madeOfContent } from '../../src/graph/content-sizes.ts';
import { modelInputs } from '../../src/graph/interface.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import { type Feeds, openSession, UNOPTIMIZED } from '../../src/runtime/session.ts';
import type { GraphAnalysis } from '../../src/structure/analysis.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';
import { analyseTraced, type TracedModel, traceBytes } from './analysed-model.ts';
import { difference, pickAlong } from './compare-values.ts';
import { isGone, maskedModel } from './masked-model.ts';
import { createFeeds } from './model-feeds.ts';
import { prunedModel } from './pruned-model.ts';

/** Of the largest number of an output. */
const TOLERANCE = 1e-5;
const SHARE = 0.3;
const DRAWS = 3;
const SINGLES = 3;
const SINK = 'sink_of_';
/** Before it a Cast names its type in text. */
const MIN_CAST_OPSET = 6;

/** A graph whose outputs may shrink, since further nodes read them. */
export interface OpenGraph extends TracedModel {
  /** Values that are compared. */
  readonly outputs: readonly string[];
  /** At the sizes of each of the two traced runs. */
  readonly feeds: readonly [Feeds, Feeds];
}

/** What an analysis says of all roots. */
export interface Found {
  /** How many roots could be removed. */
  readonly removable: number;
  /** What is said of the others. */
  readonly frozen: readonly string[];
}

export interface Verdict extends Found {
  /** How many sets of roots were removed. */
  readonly removals: number;
  /** What was wrong with the last of them; null where nothing was. */
  readonly failure: string | null;
}

/**
 * Lets the outputs of a model shrink: each is summed up by further nodes, which are taken away again before anything is compared.
 * @throws EmpError what tracing throws, for models that do not run
 */
export async function openGraph(model: ModelProto): Promise<OpenGraph> {
  const proto = clone(ModelProtoSchema, model);
  const { graph } = proto;
  if (!graph) throw new TypeError('no graph');
  const summed = graph.output.filter((output) => isNumeric(output, opsetOf(proto)));
  graph.node.push(...summed.flatMap(sinkNodes));
  graph.output = graph.output.map((output) =>
    summed.includes(output) ? declare(SINK + output.name) : output,
  );
  const traced = await traceBytes(toBinary(ModelProtoSchema, proto));
  const inputs = modelInputs(new OnnxModel(traced.proto));
  const feeds = ([0, 1] as const).map((run) =>
    createFeeds(inputs, (name) => traced.trace.shapesOf(name)?.[run] ?? []),
  );
  return { ...traced, outputs: summed.map(({ name }) => name), feeds: [feeds[0], feeds[1]] };
}

function opsetOf({ opsetImport }: ModelProto): number {
  return Number(opsetImport.find(({ domain }) => domain === '')?.version);
}

function elementTypeOf({ type }: ValueInfoProto): number | null {
  if (type?.value.case === undefined) return TensorProto_DataType.FLOAT;
  return type.value.case === 'tensorType' ? type.value.value.elemType : null;
}

/** Numbers of weights are not looked at, however few there are. */
export function forgetNumbers(open: OpenGraph): OpenGraph {
  const { graph } = new OnnxModel(open.proto);
  const numbers = graph.initializers.filter(
    ({ name }) => !/int(32|64)|bool/.test(open.trace.dtypeOf(name) ?? ''),
  );
  const content = madeOfContent(
    graph,
    numbers.map(({ name }) => name),
  );
  const integersOf = (name: string) => (content.has(name) ? null : open.trace.integersOf(name));
  return { ...open, trace: { ...open.trace, integersOf } };
}

/** Whether it can be summed up, if need be after a cast. */
function isNumeric(output: ValueInfoProto, opset: number): boolean {
  const type = elementTypeOf(output);
  if (type === TensorProto_DataType.FLOAT) return true;
  return type !== null && type !== TensorProto_DataType.STRING && opset >= MIN_CAST_OPSET;
}

function sinkNodes(output: ValueInfoProto): NodeProto[] {
  const { name } = output;
  const integer = (attribute: string, i: bigint) => ({
    name: attribute,
    type: AttributeProto_AttributeType.INT,
    i,
  });
  const isFloat = elementTypeOf(output) === TensorProto_DataType.FLOAT;
  const number = isFloat ? name : `${SINK}${name}_number`;
  const to = [integer('to', BigInt(TensorProto_DataType.FLOAT))];
  const keepdims = [integer('keepdims', 0n)];
  return [
    ...(isFloat
      ? []
      : [create(NodeProtoSchema, { opType: 'Cast', input: [name], output: [number], attribute: to })]),
    create(NodeProtoSchema, {
      opType: 'ReduceSum',
      input: [number],
      output: [SINK + name],
      attribute: keepdims,
    }),
  ];
}

/**
 * Removes random roots, and each of a few alone: every output must equal that of the dense graph, 0 where something removed is summed over, without the
 * positions that go with them.
 */
export async function checkRemoval(open: OpenGraph): Promise<Verdict> {
  const { analysis } = analyseTraced(open);
  const { removable, frozen } = sortRoots(analysis);
  let removals = 0;
  let failure: string | null = null;
  for (const removed of drawRemovals(removable)) {
    if (emptiesAxis(analysis, removed)) continue;
    removals++;
    failure = await compare(open, removed).catch((error: Error) => error.message);
    if (failure !== null) break;
  }
  return { removals, failure, removable: removable.length, frozen };
}

/** What `checkRemoval` finds before it removes anything: nothing is run. */
export function findRoots(open: OpenGraph): Found {
  const { removable, frozen } = sortRoots(analyseTraced(open).analysis);
  return { removable: removable.length, frozen };
}

function sortRoots(analysis: GraphAnalysis): { removable: number[]; frozen: string[] } {
  const roots = rootsOf(analysis);
  const obstacles = roots.map((root) => analysis.lanes.obstacleOf(root)?.reason ?? null);
  const frozen = new Set(obstacles.filter((reason) => reason !== null));
  return { removable: roots.filter((_, i) => obstacles[i] === null), frozen: [...frozen].sort() };
}

function rootsOf({ lanes, stored, axesOf }: GraphAnalysis): number[] {
  const roots = new Set<number>();
  for (const name of stored.keys()) {
    for (const axis of axesOf(name)) {
      for (const position of axis?.[0].keys() ?? [])
        for (const root of lanes.rootsAt(axis, position)) roots.add(root);
    }
  }
  return [...roots];
}

function* drawRemovals(roots: readonly number[]): Generator<ReadonlySet<number>> {
  const random = new RandomWords(roots.length);
  for (let draw = 0; draw < DRAWS; draw++) {
    const drawn = roots.filter(() => random.nextShare() <= SHARE);
    if (drawn.length > 0) yield new Set(drawn);
  }
  const step = Math.max(1, Math.floor(roots.length / SINGLES));
  for (let single = 0; single < roots.length; single += step) yield new Set([roots[single]]);
}

function emptiesAxis(analysis: GraphAnalysis, removed: ReadonlySet<number>): boolean {
  const { nodes } = analysis.model.graph;
  const values = nodes.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]);
  const axes = new Set(values.flatMap((value) => (value ? [...analysis.axesOf(value.name)] : [])));
  return [...axes].some(
    (axis) =>
      axis !== null &&
      Array.from(axis[0].keys()).every((position) => isGone(analysis, removed, axis, position)),
  );
}

/** Null where all is well. */
async function compare(open: OpenGraph, removed: ReadonlySet<number>): Promise<string | null> {
  const [pruned, masked] = [analyseTraced(open), analyseTraced(open)];
  const { analysis } = masked;
  const contractions = analysis.contractions.filter(({ node }) => !node.proto.output[0].startsWith(SINK));
  await using prunedSession = await openOutputs(await prunedModel(pruned, removed), open.outputs);
  await using maskedSession = await openOutputs(
    maskedModel({ ...masked, analysis: { ...analysis, contractions } }, removed),
    open.outputs,
  );
  for (const [run, feeds] of open.feeds.entries()) {
    if (run > 0 && feeds.size === 0) break;
    const [found, dense] = [
      await prunedSession.run(feeds, open.outputs),
      await maskedSession.run(feeds, open.outputs),
    ];
    for (const name of open.outputs) {
      const [left, whole] = [found.get(name), dense.get(name)];
      if (!left || !whole) return `${name} is missing`;
      const kept = analysis.axesOf(name).map((axis, i) => {
        const positions = Array.from(Array(whole.shape[i]).keys());
        const stays = (position: number) => !isGone(analysis, removed, axis, position);
        const isWhole = axis === null || Array.from(axis[0].keys()).every(stays);
        if (!isWhole && axis[0].length !== positions.length)
          throw new TypeError(`${name} shrinks along an open axis`);
        return isWhole ? positions : positions.filter(stays);
      });
      const message = difference(left, pickAlong(whole, kept), TOLERANCE);
      if (message !== null) return `${name}: ${message}`;
    }
  }
  return null;
}

/** With the values that are compared for its outputs. */
async function openOutputs(bytes: Uint8Array, outputs: readonly string[]) {
  const proto = fromBinary(ModelProtoSchema, bytes);
  if (proto.graph) proto.graph.output = outputs.map(declare);
  return await openSession(toBinary(ModelProtoSchema, proto), RUNTIME, UNOPTIMIZED);
}

function declare(name: string): ValueInfoProto {
  return create(ValueInfoProtoSchema, { name });
}
