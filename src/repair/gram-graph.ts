import { elementCount } from '../formats/model.ts';
import { TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import type { GraphBuilder } from '../graph/graph-builder.ts';
import type { LayerInput } from './fittable-layers.ts';

/** The inputs of one layer in both models, in as many places as share its weight. */
export interface GramRequest {
  /** For errors. */
  readonly weight: string;
  readonly groups: number;
  readonly dense: GramSide;
  readonly pruned: GramSide;
}

interface GramSide {
  /** Of one group. */
  readonly features: number;
  readonly inputs: readonly LayerInput[];
}

/** A sum that goes into the graph and comes out with one batch more, as float64. */
interface Accumulator {
  readonly input: string;
  readonly output: string;
  readonly shape: readonly number[];
}

/** The nodes of one request in the pruned model's graph. */
export interface GramGraph {
  readonly request: GramRequest;
  /** Graph inputs that take the dense model's activations, by the value of the dense model. */
  readonly activations: ReadonlyMap<string, string>;
  /** `Xp' Xp` and `Xp' Xd`, X the layer's inputs: `[groups, pruned features, ...]`. */
  readonly gram: Accumulator;
  readonly cross: Accumulator;
  /** `Xp' 1` of each place: `[groups, places, pruned features]`. */
  readonly sums: Accumulator;
  /** Graph output, one number: finite if all sums are. */
  readonly check: string;
}

const { DOUBLE, FLOAT } = TensorProto_DataType;

/** Makes inputs of a layer outputs of the dense model, as float32. Returns the outputs by the value. */
export function appendActivations(
  appendix: GraphBuilder,
  requests: readonly GramRequest[],
): Map<string, string> {
  const values = new Set(requests.flatMap(({ dense }) => dense.inputs.map(({ value }) => value)));
  return new Map(
    [...values].map((value): [string, string] => {
      const output = appendix.op('Cast', [value], { to: FLOAT });
      return [value, appendix.output(output, FLOAT)];
    }),
  );
}

/** Adds to the pruned model what adds up the products of a layer's inputs. */
export function appendGrams(appendix: GraphBuilder, request: GramRequest): GramGraph {
  const { groups, dense, pruned } = request;
  const activations = new Map<string, string>();
  const terms = pruned.inputs.map((input, place) => {
    const denseInput = dense.inputs[place];
    const fed = activations.get(denseInput.value) ?? appendix.input('dense', FLOAT);
    activations.set(denseInput.value, fed);
    const own = appendix.op('Cast', [input.value], { to: FLOAT });
    const rows = appendRows(appendix, own, input, groups, pruned.features);
    const columns = appendix.op('Transpose', [rows], { perm: [0, 2, 1] });
    const denseRows = appendRows(appendix, fed, denseInput, groups, dense.features);
    return {
      gram: appendix.op('MatMul', [columns, rows]),
      cross: appendix.op('MatMul', [columns, denseRows]),
      sums: appendix.reduce('ReduceSum', rows, [1], true),
    };
  });
  const accumulate = (sum: string, parts: readonly string[], shape: readonly number[]): Accumulator => {
    const input = appendix.input(sum, DOUBLE);
    const total = appendix.op('Sum', [input, ...parts]);
    return { input, output: appendix.output(total, DOUBLE), shape };
  };
  const partsOf = (sum: 'gram' | 'cross' | 'sums') => terms.map((term) => term[sum]);
  const gram = accumulate('gram', partsOf('gram'), [groups, pruned.features, pruned.features]);
  const cross = accumulate('cross', partsOf('cross'), [groups, pruned.features, dense.features]);
  const places = appendix.op('Concat', partsOf('sums'), { axis: 1 });
  const sums = accumulate('sums', [places], [groups, terms.length, pruned.features]);
  const totals = [gram, cross].map(({ output }) => appendix.reduce('ReduceSum', output, [0, 1, 2], false));
  const check = appendix.output(appendix.op('Sum', totals), DOUBLE);
  return { request, activations, gram, cross, sums, check };
}

/** The float64 value `[groups, positions, features]` that a layer's matrix multiplies, of its input `value`. */
function appendRows(
  appendix: GraphBuilder,
  value: string,
  input: LayerInput,
  groups: number,
  features: number,
): string {
  const reshape = (name: string, shape: readonly number[]) =>
    appendix.op('Reshape', [name, appendix.integers(shape)]);
  const arrange = () => {
    if (input.how === 'patches') {
      const { channels, kernel, attributes } = input;
      const shape = [channels * elementCount(kernel), 1, ...kernel];
      const selector = appendix.floats(oneOfEach(channels, elementCount(kernel)), shape);
      const patches = appendix.op('Conv', [value, selector], { group: channels }, attributes);
      return appendix.op('Transpose', [reshape(patches, [0, groups, features, -1])], {
        perm: [1, 0, 3, 2],
      });
    }
    if (input.trailing === 0) return value;
    // The rank is not known: reversed, the features are axis 1 whatever comes before them.
    const reversed = reshape(appendix.op('Transpose', [value]), [0, features, -1]);
    return appendix.op('Transpose', [reversed], { perm: [0, 2, 1] });
  };
  return appendix.op('Cast', [reshape(arrange(), [groups, -1, features])], { to: DOUBLE });
}

/** Filters `[channels * positions, 1, positions]` that each take the number at one position of one channel. */
function oneOfEach(channels: number, positions: number): Float32Array<ArrayBuffer> {
  const filters = new Float32Array(channels * positions ** 2);
  for (let filter = 0; filter < channels * positions; filter++) {
    filters[filter * positions + (filter % positions)] = 1;
  }
  return filters;
}
