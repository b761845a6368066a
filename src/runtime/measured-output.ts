import { basename } from 'node:path';
import { EmpError } from '../core/errors.ts';
import { openFileSource } from '../formats/file-source.ts';
import type { OnnxNode, OnnxValue } from '../formats/onnx/graph.ts';
import { readOnnxModel } from '../formats/onnx/model.ts';
import type { ModelValue } from './session.ts';

/** Operators that change neither the numbers nor their order. */
const TRANSPARENT_OPS = new Set(['Identity', 'Cast', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze']);
const FLOAT_OUTPUTS: readonly string[] = ['float16', 'float32', 'float64'];

/** The output on which models are compared. */
export interface MeasuredOutput {
  readonly name: string;
  /** The model ends in Softmax: the numbers are probabilities, no logits. */
  readonly probabilities: boolean;
}

/**
 * The output named `logits` where that is a float tensor, else the first float output; from the graph, whether Softmax made it.
 * @param path of the `.onnx` file, of which the graph alone is read
 * @throws EmpError unsupported_model where no output is a float tensor
 */
export async function findMeasuredOutput(
  outputs: readonly ModelValue[],
  path: string,
): Promise<MeasuredOutput> {
  const name = chooseOutput(outputs);
  await using source = await openFileSource(path);
  const { graph } = await readOnnxModel(new Map([[basename(path), source]]));
  return { name, probabilities: finalNode(graph.resolve(name))?.op === 'Softmax' };
}

/** The name of the output on which models are compared. Throws `unsupported_model` where no output is a float tensor. */
export function chooseOutput(outputs: readonly Pick<ModelValue, 'name' | 'dtype'>[]): string {
  const floats = outputs.filter(({ dtype }) => FLOAT_OUTPUTS.includes(dtype));
  const found = floats.find(({ name }) => name === 'logits') ?? floats[0];
  if (found !== undefined) return found.name;
  const given = outputs.map(({ name, dtype }) => `'${name}' is ${dtype}`).join(', ');
  throw new EmpError(
    'unsupported_model',
    `models are compared by an output of ${FLOAT_OUTPUTS.join(', ')}, and this one has none: ${given}`,
  );
}

/** The standard operator that made an output's numbers: those that leave them as they are do not count. */
export function finalNode(output: OnnxValue): OnnxNode | null {
  let value: OnnxValue | null = output;
  while (value?.producer?.domain === '' && TRANSPARENT_OPS.has(value.producer.op)) {
    value = value.producer.inputs[0] ?? null;
  }
  return value?.producer?.domain === '' ? value.producer : null;
}

/** How an output's numbers and the labels go together: `[samples, positions, classes]` and `[samples, positions]`. */
export interface LabelLayout {
  readonly positions: number;
  readonly classes: number;
  readonly isSequence: boolean;
}

/**
 * @param shape of the output of `count` samples: `[count, classes]`, or `[count, positions, classes]` of a sequence
 * @param labels shape of all labels: `[n]` or `[n, 1]`, or `[n, positions]`
 * @throws EmpError samples_mismatch for any other
 */
export function parseLabelLayout(
  name: string,
  shape: readonly number[],
  count: number,
  labels: readonly number[],
): LabelLayout {
  const classes = shape[shape.length - 1];
  const isSequence = shape.length === 3 && labels.length === 2 && shape[1] === labels[1];
  const isSingle = shape.length === 2 && (labels.length === 1 || (labels.length === 2 && labels[1] === 1));
  if (shape[0] === count && classes > 0) {
    if (isSequence) return { positions: shape[1], classes, isSequence };
    if (isSingle) return { positions: 1, classes, isSequence };
  }
  throw new EmpError(
    'samples_mismatch',
    `output '${name}' of ${count} samples has shape [${shape}] and the labels are [${labels}]: expected [n, classes] with labels [n], or [n, positions, classes] with labels [n, positions]`,
  );
}
