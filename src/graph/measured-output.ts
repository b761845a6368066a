import { clone } from '@bufbuild/protobuf';
import { EmpError } from '../core/errors.ts';
import { ModelProtoSchema } from '../formats/onnx/onnx-schema.ts';
import { modelOutputs } from './interface.ts';
import { chooseLoss, type Labels } from './label-layout.ts';
import { OnnxModel, type OnnxNode, type OnnxValue } from './onnx-model.ts';
import { Origins } from './origins.ts';
import { inlineFunctions } from './passes/inline-functions.ts';

/** Operators that change neither the numbers nor their order. */
const TRANSPARENT_OPS = new Set(['Identity', 'Cast', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze']);
const FLOAT_OUTPUTS: readonly string[] = ['float16', 'float32', 'float64'];
/** What a decoder is given back at its next step, by the names that exporters use. */
const CACHE_NAME = /(^|[^a-z])(present|past|cache)/i;

/**
 * The name of the output on which models are compared: `logits` where that is a float tensor, else the first float output.
 * @throws EmpError unsupported_model where no output is a float tensor
 */
export function chooseOutput(outputs: readonly { readonly name: string; readonly dtype: string }[]): string {
  const floats = outputs.filter(({ dtype }) => FLOAT_OUTPUTS.includes(dtype));
  const found = floats.find(({ name }) => name === 'logits') ?? floats[0];
  if (found !== undefined) return found.name;
  const given = outputs.map(({ name, dtype }) => `'${name}' is ${dtype}`).join(', ');
  throw new EmpError(
    'unsupported_model',
    `models are compared by an output of ${FLOAT_OUTPUTS.join(', ')}, and this one has none: ${given}`,
  );
}

/**
 * The names of all outputs on which models can be compared without labels: that of `chooseOutput` first, then the other float outputs but caches, of which the
 * others are made.
 * @throws EmpError as `chooseOutput`
 */
export function comparableOutputs(...given: Parameters<typeof chooseOutput>): string[] {
  const chosen = chooseOutput(...given);
  const others = given[0].filter(
    ({ name, dtype }) => name !== chosen && FLOAT_OUTPUTS.includes(dtype) && !CACHE_NAME.test(name),
  );
  return [chosen, ...others.map(({ name }) => name)];
}

/** The standard operator that made an output's numbers: those that leave them as they are do not count. */
export function finalNode(output: OnnxValue): OnnxNode | null {
  const isTransparent = ({ domain, op }: OnnxNode) => domain === '' && TRANSPARENT_OPS.has(op);
  const value = new Origins(isTransparent).of(output);
  return value?.producer?.domain === '' ? value.producer : null;
}

/**
 * `finalNode` of an output by name, in the model's own functions too. Its inputs are values of the main graph, unless they are computed in a function.
 * @throws EmpError unsupported_model for functions without end
 */
export function findFinalNode(model: OnnxModel, output: string): OnnxNode | null {
  return finalNode(withoutFunctions(model).graph.resolve(output));
}

/**
 * The model with its own functions inlined; itself where it has none.
 * @throws EmpError unsupported_model for functions without end
 */
export function withoutFunctions(model: OnnxModel): OnnxModel {
  if (model.functions.length === 0) return model;
  const proto = clone(ModelProtoSchema, model.proto);
  inlineFunctions(proto);
  return new OnnxModel(proto);
}

/**
 * Whether the model's declarations leave squared errors as the only loss that labels can go with.
 * @throws EmpError as `chooseOutput` and `findFinalNode`
 */
export function declaresSquaredErrors(model: OnnxModel, labels: Labels): boolean {
  const outputs = modelOutputs(model);
  if (outputs.some(({ dtype }) => dtype === null)) return false;
  const name = chooseOutput(outputs.map((output) => ({ name: output.name, dtype: output.dtype ?? 'other' })));
  const dims = outputs.find((output) => output.name === name)?.dims ?? null;
  if (dims === null) return false;
  const shape = dims.map((size) => (typeof size === 'number' ? size : null));
  try {
    const output = { name, shape, finalOp: findFinalNode(model, name)?.op ?? null };
    return chooseLoss(output, labels) === 'mean_squared_error';
  } catch (error) {
    // Exporters declare sizes that are not so: onnxruntime goes by what a run gives.
    if (error instanceof EmpError && error.code === 'samples_mismatch') return false;
    throw error;
  }
}
