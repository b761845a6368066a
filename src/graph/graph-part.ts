import { clone, create } from '@bufbuild/protobuf';
import { GraphProtoSchema, type ModelProto, ModelProtoSchema } from '../formats/onnx/onnx-schema.ts';
import { dataTypeOf } from '../formats/onnx/tensor-data.ts';
import { declareTensor } from './messages.ts';
import type { OnnxModel, OnnxNode, OnnxValue } from './onnx-model.ts';
import { mainGraph } from './proto-walk.ts';
import { ownValuesRead } from './reads.ts';

/** The nodes that compute `values` from those that `isGiven`, all of one graph. */
export function nodesBehind(
  values: Iterable<OnnxValue>,
  isGiven: (value: OnnxValue) => boolean,
): Set<OnnxNode> {
  const found = new Set<OnnxNode>();
  const reach = (value: OnnxValue) => {
    if (value.producer !== null && !isGiven(value)) found.add(value.producer);
  };
  for (const value of values) reach(value);
  for (const node of found) for (const value of ownValuesRead(node)) reach(value);
  return found;
}

/**
 * Nodes of a model's main graph as a model of its own, without outputs, which shares no message with it.
 * @param wanted values that are known in it, whether its nodes read them or not
 * @param given dtypes of the values that are fed to it, by name, besides the graph's own inputs
 */
export function partOf(
  { proto, graph }: OnnxModel,
  nodes: ReadonlySet<OnnxNode>,
  wanted: Iterable<OnnxValue>,
  given: ReadonlyMap<string, string>,
): ModelProto {
  const whole = mainGraph(proto);
  const read = [...nodes].flatMap(ownValuesRead);
  const names = new Set([...wanted, ...read].map(({ name }) => name));
  const fed = [...given].filter(([name]) => names.has(name));
  const part = create(GraphProtoSchema, {
    name: whole.name,
    node: graph.nodes.filter((node) => nodes.has(node)).map((node) => node.proto),
    initializer: whole.initializer.filter(({ name }) => names.has(name)),
    sparseInitializer: whole.sparseInitializer.filter(({ values }) => names.has(values?.name ?? '')),
    input: [
      ...whole.input.filter(({ name }) => names.has(name)),
      ...fed.map(([name, dtype]) => declareTensor(name, dataTypeOf(dtype) ?? 0)),
    ],
  });
  const { irVersion, opsetImport, functions } = proto;
  return clone(
    ModelProtoSchema,
    create(ModelProtoSchema, { irVersion, opsetImport, functions, graph: part }),
  );
}
