import { nameStoredTensors } from './onnx-inventory.ts';
import type { OnnxModel, OnnxNode, OnnxValue } from './onnx-model.ts';
import { Origins } from './origins.ts';
import { Frame } from './program.ts';
import { type StoredTensor, storedTensor } from './weights/constants.ts';

/** Operators that give their input's numbers on, some of them in another order or format. */
const PASSING = new Set([
  'Identity',
  'Cast',
  'CastLike',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
]);
const MAIN = new Frame(null);

/** The tensors that a model stores, as values of its main graph. */
export class StoredValues {
  readonly #origins = new Origins((node) => node.is('Identity'));
  readonly #rearranged = new Origins((node) => node.domain === '' && PASSING.has(node.op));
  readonly #names: ReadonlyMap<StoredTensor, string>;
  readonly #values: ReadonlyMap<string, OnnxValue>;

  constructor(model: OnnxModel) {
    const { graph } = model;
    this.#names = nameStoredTensors(model);
    const constants = graph.nodes.filter(({ op }) => op === 'Constant').flatMap(({ outputs }) => outputs);
    const named = [...graph.initializers, ...constants].flatMap((value): [string, OnnxValue][] => {
      const name = value && this.#nameOf(value);
      return value && name ? [[name, value]] : [];
    });
    this.#values = new Map(named);
  }

  /** The tensor that a value is, passed on by Identity at most; null for what is not stored so. Names are those of the model's inventory. */
  tensorOf(value: OnnxValue | null | undefined): string | null {
    const found = value && this.#origins.of(value);
    return found ? this.#nameOf(found) : null;
  }

  /** The tensor whose numbers a value has, in the form it is stored in or rearranged; null where they are others. */
  rearrangedTensorOf(value: OnnxValue | null): string | null {
    const found = value && this.#rearranged.of(value);
    return found ? this.#nameOf(found) : null;
  }

  /** The first node, of those that read a tensor in the form it is stored in or rearranged, where they do so in an input for which `expected` does not hold; null for none. */
  otherReader(name: string, expected: (node: OnnxNode, input: number) => boolean): OnnxNode | null {
    const value = this.#values.get(name);
    return value === undefined ? null : otherReader(value, expected);
  }

  #nameOf(value: OnnxValue): string | null {
    const stored = storedTensor(MAIN, value);
    return (stored && this.#names.get(stored)) ?? null;
  }
}

function otherReader(
  value: OnnxValue,
  expected: (node: OnnxNode, input: number) => boolean,
): OnnxNode | null {
  const seen = new Set([value]);
  const open = [{ value, use: 0 }];
  for (let at = open.at(-1); at !== undefined; at = open.at(-1)) {
    const use = at.value.uses[at.use++];
    if (use === undefined) {
      open.pop();
      continue;
    }
    const { node, input } = use;
    if (expected(node, input)) continue;
    const isPassed = node.domain === '' && PASSING.has(node.op) && input === 0;
    if (!isPassed || node.graph !== value.graph) return node;
    for (const output of node.outputs.toReversed()) {
      if (!output || seen.has(output)) continue;
      seen.add(output);
      open.push({ value: output, use: 0 });
    }
  }
  return null;
}
