import { readFile } from 'node:fs/promises';
import { clone, fromBinary } from '@bufbuild/protobuf';
import { bytesSource } from '../../src/formats/byte-source.ts';
import { type ModelProto, ModelProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import type { ShapeTrace } from '../../src/graph/observed-values.ts';
import { readOnnxInventory, readOnnxModel } from '../../src/graph/onnx-inventory.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import { traceShapes } from '../../src/runtime/shape-trace.ts';
import { analyseGraph, type GraphAnalysis } from '../../src/structure/analysis.ts';
import { prepareGraph } from '../../src/structure/structured-model.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';

/** A small model wholly in memory, prepared as the service prepares it, and what two runs say of it. */
export interface TracedModel {
  /** Never changed. */
  readonly proto: ModelProto;
  readonly trace: ShapeTrace;
}

/** A model's structures, for what they are worth to be seen in it. What is made of it changes its proto: take a fresh one each time. */
export interface AnalysedModel extends TracedModel {
  readonly analysis: GraphAnalysis;
}

/** Reads a model of one file. */
export async function traceBytes(bytes: Uint8Array): Promise<TracedModel> {
  const { proto, skeleton, files } = await prepareBytes(bytes);
  return { proto, trace: await traceShapes(skeleton, files, RUNTIME, new AbortController().signal) };
}

/** A model of one file with and without its numbers, prepared as the service prepares it. */
export async function prepareBytes(bytes: Uint8Array) {
  const files = new Map([['model.onnx', bytesSource(bytes)]]);
  const inventory = await readOnnxInventory(files);
  const skeleton = await readOnnxModel(files);
  prepareGraph(skeleton, inventory);
  const proto = fromBinary(ModelProtoSchema, bytes);
  prepareGraph(new OnnxModel(proto), inventory);
  return { proto, skeleton: new OnnxModel(skeleton.proto), files };
}

/** The same roots every time. */
export function analyseTraced({ proto: untouched, trace }: TracedModel): AnalysedModel {
  const proto = clone(ModelProtoSchema, untouched);
  return { proto, trace, analysis: analyseGraph(new OnnxModel(proto), trace) };
}

/** Reads a model of one file. */
export async function analyseFile(path: string): Promise<AnalysedModel> {
  return analyseTraced(await traceBytes(new Uint8Array(await readFile(path))));
}
