import { clip, MAX_TOLD_NAME } from '../../core/clip.ts';
import { EmpError } from '../../core/errors.ts';
import type { FunctionProto, GraphProto, ModelProto, NodeProto } from '../../formats/onnx/onnx-schema.ts';
import { isFunction } from '../onnx-model.ts';
import { mainGraph } from '../proto-walk.ts';

/** Nodes of a circle that are named in a text. */
const MAX_NAMED = 3;

/** Where a name is read first: by a node, or as an output where it is null. */
type Reads = ReadonlyMap<string, NodeProto | null>;

/**
 * Puts every node behind those whose outputs it reads, or a graph inside it reads, in all graphs and functions: ONNX asks for that order, and onnxruntime opens main graphs in
 * any. Requires nothing. Ensures that every value that is read is given exactly once in a graph that can be seen, and before it is read. A graph whose nodes stand so stays as it is;
 * in others what stands too late is brought forward to its first reader.
 * @throws EmpError malformed_onnx naming the values and nodes: where one value is given twice, by nothing, or by nodes that read each other's outputs in a circle
 */
export function sortNodes(model: ModelProto): void {
  for (const graph of [mainGraph(model), ...model.functions]) {
    for (const [name, reader] of sortGraph(graph)) {
      const what =
        reader === null ? `the output ${told(name)}` : `${told(name)}, which ${labelOf(reader)} reads`;
      throw malformed(
        name,
        `nothing gives ${what}${isFunction(graph) ? ` in function ${told(graph.name)}` : ''}`,
      );
    }
  }
}

/** Returns what is read of the graphs around. The reader of files bounds how deep graphs nest. */
function sortGraph(graph: GraphProto | FunctionProto): Reads {
  const givers = findGivers(graph);
  const reads = new Map<string, NodeProto | null>();
  const outer = (name: string, reader: NodeProto | null) => {
    if (name !== '' && !givers.has(name) && !reads.has(name)) reads.set(name, reader);
  };
  const needs = graph.node.map((node) => {
    const read = [...node.input];
    for (const { g, graphs } of node.attribute) {
      for (const inner of g === undefined ? graphs : [g, ...graphs]) {
        for (const [name, reader] of sortGraph(inner)) {
          read.push(name);
          outer(name, reader ?? node);
        }
      }
    }
    for (const name of node.input) outer(name, node);
    return read.flatMap((name) => givers.get(name) ?? []);
  });
  for (const output of graph.output) outer(nameOf(output), null);
  const isSorted = needs.every((needed, index) => needed.every((giver) => giver < index));
  if (!isSorted) graph.node = inOrder(graph.node, needs);
  return reads;
}

/** By the names of a graph's values the node that gives each, by its place; null for inputs and what is stored. */
function findGivers(graph: GraphProto | FunctionProto): Map<string, number | null> {
  const givers = new Map<string, number | null>();
  for (const input of graph.input) {
    const name = nameOf(input);
    if (givers.has(name)) throw malformed(name, `two inputs of one graph are named ${told(name)}`);
    givers.set(name, null);
  }
  if (!isFunction(graph)) {
    for (const { name } of graph.initializer) givers.set(name, null);
    for (const { values } of graph.sparseInitializer) givers.set(values?.name ?? '', null);
  }
  for (const [index, node] of graph.node.entries()) {
    for (const name of node.output) {
      if (name === '') continue;
      const other = givers.get(name);
      if (other !== undefined) {
        const first = other === null ? 'an input or stored' : `given by ${labelOf(graph.node[other])}`;
        throw malformed(name, `${told(name)} is given by ${labelOf(node)}, and is ${first} too`);
      }
      givers.set(name, index);
    }
  }
  return givers;
}

/** Each node once those are placed that it needs. A way of its own in place of recursion: graphs are as deep as their files are long. */
function inOrder(nodes: readonly NodeProto[], needs: readonly (readonly number[])[]): NodeProto[] {
  const sorted: NodeProto[] = [];
  const state = new Uint8Array(nodes.length);
  const looked = new Uint32Array(nodes.length);
  const [NEW, OPEN, PLACED] = [0, 1, 2];
  for (const first of nodes.keys()) {
    if (state[first] !== NEW) continue;
    const way = [first];
    for (let at = way.at(-1); at !== undefined; at = way.at(-1)) {
      state[at] = OPEN;
      const next = needs[at][looked[at]++];
      if (next === undefined) {
        state[at] = PLACED;
        sorted.push(nodes[at]);
        way.pop();
      } else if (state[next] === OPEN) {
        throw circle(way.slice(way.indexOf(next)).map((index) => nodes[index]));
      } else if (state[next] === NEW) {
        way.push(next);
      }
    }
  }
  return sorted;
}

function circle(nodes: readonly NodeProto[]): EmpError {
  const labels = nodes.slice(0, MAX_NAMED).map(labelOf);
  const more = nodes.length > MAX_NAMED ? ` and ${nodes.length - MAX_NAMED} more` : '';
  const text = `${labels.join(', ')}${more} ${nodes.length > 1 ? 'read each other' : 'reads itself'} in a circle`;
  return malformed(nodes[0].name || nodes[0].output[0], text);
}

function malformed(name: string, message: string): EmpError {
  return new EmpError('malformed_onnx', `the file is not a valid ONNX model: ${message}`, [
    { path: name, message },
  ]);
}

function nameOf(value: string | { readonly name: string }): string {
  return typeof value === 'string' ? value : value.name;
}

function labelOf({ name, output, opType }: NodeProto): string {
  return `node ${clip(name || (output.find((each) => each !== '') ?? ''), MAX_TOLD_NAME)} (${clip(opType, MAX_TOLD_NAME)})`;
}

function told(name: string): string {
  return JSON.stringify(clip(name, MAX_TOLD_NAME));
}
