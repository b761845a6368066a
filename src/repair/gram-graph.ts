import { elementCount } from '../formats/model.ts';
import type { GraphAppendix } from '../formats/onnx/append.ts';
import { TensorProto_DataType } from '../formats/onnx/onnx-schema.ts';
import type { LayerInput } from './fittable-layers.ts';

/** The inputs of one layer in both models, in as many places as share its weight. */
export interface GramRequest {
  /** For errors. */
  readonly weight: string;
  readonly groups: number;
  readonly dense: LayerSide;
  readonly pruned: LayerSide;
}

interface LayerSide {
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
  /** `Xp' Xp`, `Xp' Xd` and `Xp' 1`, X the layer's inputs: `[groups, pruned features, ...]`. */
  readonly gram: Accumulator;
  readonly cross: Accumulator;
  readonly sums: Accumulator;
  /** Graph output, one number: finite if all sums are. */
  readonly check: string;
}

const { DOUBLE, FLOAT } = TensorProto_DataType;

/** Makes inputs of a layer outputs of the dense model, as float32. Returns the outputs by the value. */
export function appendActivations(
  appendix: GraphAppendix,
  requests: readonly GramRequest[],
): Map<string, string> {
  const values = new Set(requests.flatMap(({ dense }) => dense.inputs.map(({ value }) => value)));
  return new Map(
    [...values].map((value): [string, string] => {
      const output = appendix.node('Cast', [value], { to: FLOAT });
      appendix.output(output, FLOAT, null);
      return [value, output];
    }),
  );
}

/** Adds to the pruned model what adds up the products of a layer's inputs. */
export function appendGrams(appendix: GraphAppendix, request: GramRequest): GramGraph {
  const { groups, dense, pruned } = request;
  const activations = new Map<string, string>();
  const terms = pruned.inputs.map((input, place) => {
    const denseInput = dense.inputs[place];
    const fed = activations.get(denseInput.value) ?? appendix.input(FLOAT);
    activations.set(denseInput.value, fed);
    const own = appendix.node('Cast', [input.value], { to: FLOAT });
    const rows = appendRows(appendix, own, input, groups, pruned.features);
    const columns = appendix.node('Transpose', [rows], { perm: [0, 2, 1] });
    const denseRows = appendRows(appendix, fed, denseInput, groups, dense.features);
    return {
      gram: appendix.node('MatMul', [columns, rows]),
      cross: appendix.node('MatMul', [columns, denseRows]),
      sums: appendix.reduce('ReduceSum', rows, [1]),
    };
  });
  const accumulate = (sum: 'gram' | 'cross' | 'sums', shape: readonly number[]): Accumulator => {
    const input = appendix.input(DOUBLE);
    const output = appendix.node('Sum', [input, ...terms.map((term) => term[sum])]);
    appendix.output(output, DOUBLE, null);
    return { input, output, shape };
  };
  const gram = accumulate('gram', [groups, pruned.features, pruned.features]);
  const cross = accumulate('cross', [groups, pruned.features, dense.features]);
  const sums = accumulate('sums', [groups, pruned.features]);
  const totals = [gram, cross].map(({ output }) => appendix.reduce('ReduceSum', output, [0, 1, 2]));
  const check = appendix.node('Sum', totals);
  appendix.output(check, DOUBLE, null);
  return { request, activations, gram, cross, sums, check };
}

/** The float64 value `[groups, positions, features]` that a layer's matrix multiplies, of its input `value`. */
function appendRows(
  appendix: GraphAppendix,
  value: string,
  input: LayerInput,
  groups: number,
  features: number,
): string {
  const reshape = (name: string, shape: readonly number[]) =>
    appendix.node('Reshape', [name, appendix.integers(shape)]);
  const arrange = () => {
    if (input.how === 'patches') {
      const { channels, kernel, attributes } = input;
      const shape = [channels * elementCount(kernel), 1, ...kernel];
      const selector = appendix.floats(oneOfEach(channels, elementCount(kernel)), shape);
      const patches = appendix.node('Conv', [value, selector], { group: channels }, attributes);
      return appendix.node('Transpose', [reshape(patches, [0, groups, features, -1])], {
        perm: [1, 0, 3, 2],
      });
    }
    if (input.trailing === 0) return value;
    // The rank is not known: reversed, the features are axis 1 whatever comes before them.
    const reversed = reshape(appendix.node('Transpose', [value]), [0, features, -1]);
    return appendix.node('Transpose', [reversed], { perm: [0, 2, 1] });
  };
  return appendix.node('Cast', [reshape(arrange(), [groups, -1, features])], { to: DOUBLE });
}

/** Filters `[channels * positions, 1, positions]` that each take the number at one position of one channel. */
function oneOfEach(channels: number, positions: number): Float32Array<ArrayBuffer> {
  const filters = new Float32Array(channels * positions ** 2);
  for (let filter = 0; filter < channels * positions; filter++) {
    filters[filter * positions + (filter % positions)] = 1;
  }
  return filters;
}
