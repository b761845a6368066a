import type { OnnxGraph, OnnxNode, OnnxValue } from './onnx-model.ts';
import { valuesRead } from './reads.ts';
import { RANDOM } from './weights/constants.ts';

/** Standard operators that make sizes of the numbers that they read, by the first input of which they may. */
const SIZING_SINCE: ReadonlyMap<string, number> = new Map([
  ...entries(0, ['Range', 'ConstantOfShape', 'NonZero', 'Unique', 'NonMaxSuppression']),
  ...entries(0, ['BlackmanWindow', 'HammingWindow', 'HannWindow', 'MelWeightMatrix']),
  ...entries(0, ['ImageDecoder', 'StringNormalizer', 'StringSplit']),
  ...entries(1, ['Reshape', 'Expand', 'Tile', 'Pad', 'Slice', 'Split', 'Squeeze', 'Unsqueeze']),
  ...entries(1, ['Resize', 'Upsample', 'TopK', 'OneHot', 'Compress', 'CenterCropPad', 'AffineGrid']),
  ...entries(1, ['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceProd', 'ReduceSumSquare']),
  ...entries(1, ['ReduceL1', 'ReduceL2', 'ReduceLogSum', 'ReduceLogSumExp', 'DFT', 'STFT', 'Col2Im']),
  ...entries(1, ['SequenceAt', 'SequenceErase', 'SplitToSequence']),
  ...entries(2, ['SequenceInsert', 'MaxUnpool']),
]);

/** Standard operators that give what has the sizes of their first input, whatever those of the others. */
const SIZED_BY_FIRST: ReadonlySet<string> = new Set(['Scatter', 'ScatterElements', 'ScatterND']);

function entries(input: number, operators: readonly string[]): [string, number][] {
  return operators.map((operator) => [operator, input]);
}

/**
 * The names of the values whose sizes may depend on what is in a sample. Running a model on one sample tells nothing of them, and running it on some tells nothing
 * of the rest, while a gradient that counts on the wrong size is silently wrong. So the graph decides, and rather names too many than too few.
 */
export function sizedByContent(graph: OnnxGraph): ReadonlySet<string> {
  return namesOf(find(graph, graph.inputs).sized);
}

/**
 * The names of the values whose numbers or sizes may depend on what is in a sample, on chance, or on numbers of the values named in `unknown`.
 * @param known names of inputs that samples have no part in
 */
export function madeOfContent(
  graph: OnnxGraph,
  unknown: readonly string[],
  known: ReadonlySet<string> = new Set(),
): ReadonlySet<string> {
  const values = unknown.map((name) => graph.resolve(name));
  const inputs = graph.inputs.filter(({ name }) => !known.has(name));
  return namesOf(find(graph, [...inputs, ...values]).content);
}

function find(graph: OnnxGraph, sources: readonly OnnxValue[]): Found {
  const found: Found = { content: new Set(sources), sized: new Set() };
  follow(graph, found);
  return found;
}

function namesOf(values: ReadonlySet<OnnxValue>): ReadonlySet<string> {
  return new Set([...values].map(({ name }) => name));
}

interface Found {
  /** Values whose numbers depend on what is in a sample, or on how many there are if that depends on it, or on chance. */
  readonly content: Set<OnnxValue>;
  readonly sized: Set<OnnxValue>;
}

function follow(graph: OnnxGraph, found: Found): void {
  for (const node of graph.nodes) {
    if (node.is('If')) for (const branch of node.subgraphs) follow(branch.graph, found);
    const operands = operandsOf(node);
    const isByFirst = node.domain === '' && SIZED_BY_FIRST.has(node.op);
    const isSized =
      (isByFirst ? operands.slice(0, 1) : operands).some((value) => found.sized.has(value)) ||
      sizingOperandsOf(node, operands).some((value) => found.content.has(value));
    const readsContent =
      RANDOM.has(node.op) ||
      (!(node.is('Shape') || node.is('Size')) && operands.some((value) => found.content.has(value)));
    for (const output of node.outputs) {
      if (output === null) continue;
      if (isSized) found.sized.add(output);
      if (isSized || readsContent) found.content.add(output);
    }
  }
}

/** What the outputs are made of: of an If the condition and what the branches give, else all that is read. */
function operandsOf(node: OnnxNode): OnnxValue[] {
  if (!node.is('If')) return valuesRead(node);
  const given = [...node.inputs, ...node.subgraphs.flatMap(({ graph }) => graph.outputs)];
  return given.filter((value) => value !== null);
}

/** Those whose numbers may decide on the outputs' sizes: all, of loops and of operators that are not known. */
function sizingOperandsOf(node: OnnxNode, operands: readonly OnnxValue[]): readonly OnnxValue[] {
  if (node.is('If')) return node.inputs.filter((value) => value !== null);
  if (node.domain !== '' || node.subgraphs.length > 0) return operands;
  return node.inputs.slice(SIZING_SINCE.get(node.op) ?? node.inputs.length).filter((value) => value !== null);
}
