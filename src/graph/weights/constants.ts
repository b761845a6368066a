import { isDeepStrictEqual } from 'node:util';
import type { SparseTensorProto, TensorProto } from '../../formats/onnx/onnx-schema.ts';
import { inlineIntegers, parseShape } from '../../formats/onnx/tensor-data.ts';
import type { OnnxGraph, OnnxNode, OnnxValue } from '../onnx-model.ts';
import { CalledNode, type Frame, type Step } from '../program.ts';
import { CONSTANT_RULES } from './constant-rules.ts';
import { type Constant, ConstantNode } from './constant-shapes.ts';

/** A tensor as the model file holds it. */
export type StoredTensor = TensorProto | SparseTensorProto;

/** Operators whose outputs differ from run to run, whatever their inputs. */
export const RANDOM: ReadonlySet<string> = new Set([
  'RandomNormal',
  'RandomUniform',
  'RandomNormalLike',
  'RandomUniformLike',
  'Bernoulli',
  'Multinomial',
  'Dropout',
]);

/** The shape of a stored tensor. `label` names one that has no name of its own in errors. */
export function shapeOfStored(stored: StoredTensor, label: string): number[] {
  return parseShape(stored.dims, label);
}

/** What does not depend on the model's inputs, initializers that an input may override included. */
export function findConstants(steps: readonly Step[]): ValueMap<Constant> {
  const constants = new ValueMap<Constant>();
  const hold = (frame: Frame, value: OnnxValue | null) => {
    const stored = value && storedTensor(frame, value);
    if (value && stored && !constants.get(frame, value)) {
      constants.set(frame, value, {
        shape: shapeOfStored(stored, value.name),
        integers: stored.$typeName === 'onnx.TensorProto' ? inlineIntegers(stored) : null,
      });
    }
  };
  for (const step of steps) {
    const { node, frame } = step;
    for (const input of node.inputs) hold(frame, input);
    if (step.kind !== 'node') {
      for (const { to, from, toFrame, fromFrame, scanAxis } of passages(step)) {
        hold(fromFrame, from);
        const constant = constants.get(fromFrame, from);
        if (constant === undefined) continue;
        const shape = scanAxis === null ? constant.shape : (constant.shape?.toSpliced(scanAxis, 1) ?? null);
        constants.set(toFrame, to, { shape, integers: scanAxis === null ? constant.integers : null });
      }
      continue;
    }
    for (const { graph } of node.subgraphs) for (const output of graph.outputs) hold(frame, output);
    const at = constantNode(node, frame, constants);
    for (const [output, value] of node.outputs.entries()) {
      hold(frame, value);
      const constant = value && outputConstant(node, frame, output, at, constants);
      if (constant && !constants.get(frame, value)) constants.set(frame, value, constant);
    }
  }
  return constants;
}

function outputConstant(
  node: OnnxNode,
  frame: Frame,
  output: number,
  at: ConstantNode | null,
  constants: ValueMap<Constant>,
): Constant | null {
  if (node.is('If') && node.subgraphs.length === 2) {
    const results = node.subgraphs.map(({ graph }) =>
      graph.outputs[output] ? constants.get(frame, graph.outputs[output]) : undefined,
    );
    const [result] = results;
    if (result === undefined || results.includes(undefined)) return null;
    const agree = results.every((other) => isDeepStrictEqual(other?.shape, result.shape));
    return { shape: agree ? result.shape : null, integers: null };
  }
  if (node.is('Constant')) {
    const called = new CalledNode(node, frame);
    const integers = called.integers('value_ints');
    if (integers !== null && integers.length > 0) return { shape: [integers.length], integers };
    const integer = called.attribute('value_int');
    return integer === undefined
      ? { shape: null, integers: null }
      : { shape: [], integers: [Number(integer.i)] };
  }
  if (at === null) return null;
  const keepsIntegers = node.op === 'Identity' || node.op === 'Cast';
  return {
    shape: ruleOf(node)?.shape(at, output) ?? null,
    integers: keepsIntegers ? (at.inputs[0]?.integers ?? null) : null,
  };
}

/** The node with its inputs, where they are all constants; else null. */
export function constantNode(
  node: OnnxNode,
  frame: Frame,
  constants: ValueMap<Constant>,
): ConstantNode | null {
  if (node.subgraphs.length > 0 || RANDOM.has(node.op)) return null;
  const inputs = node.inputs.map((value) => (value === null ? null : constants.get(frame, value)));
  if (inputs.includes(undefined) || inputs.every((input) => input === null)) return null;
  const outputs = node.outputs.map((value) => (value && constants.get(frame, value)) ?? null);
  const called = new CalledNode(node, frame);
  return new ConstantNode(
    called,
    inputs.map((input) => input ?? null),
    outputs,
  );
}

export function ruleOf(node: OnnxNode) {
  return node.domain === '' || node.domain === 'com.microsoft' ? CONSTANT_RULES.get(node.op) : undefined;
}

/** The initializer or the `Constant` node's tensor that a value is. */
export function storedTensor(frame: Frame, value: OnnxValue): StoredTensor | null {
  if (value.initializer !== null) return value.initializer;
  const node = value.producer;
  if (!node?.is('Constant')) return null;
  const at = new CalledNode(node, frame);
  return at.attribute('value')?.t ?? at.attribute('sparse_value')?.sparseTensor ?? null;
}

/** A value that goes into a body or comes out of it under another name. */
export interface Passage {
  readonly from: OnnxValue;
  readonly fromFrame: Frame;
  readonly to: OnnxValue;
  readonly toFrame: Frame;
  /** The axis along which a Scan takes it apart. */
  readonly scanAxis: number | null;
}

export function passages({ kind, node, frame, body, bodyFrame }: Step): Passage[] {
  if (body === null) return [];
  const found: Passage[] = [];
  const isCall = frame !== bodyFrame;
  if (kind === 'leave') {
    if (!isCall) return [];
    for (const [index, to] of node.outputs.entries()) {
      const from = body.outputs[index];
      if (from && to) found.push({ from, fromFrame: bodyFrame, to, toFrame: frame, scanAxis: null });
    }
    return found;
  }
  const called = new CalledNode(node, frame);
  const scanned = node.op === 'Scan' ? body.inputs.length - called.integer('num_scan_inputs', 0) : 0;
  if (node.op === 'Scan' && node.inputs.length !== body.inputs.length) return []; // opset 8 had another signature
  for (const [index, from] of node.inputs.entries()) {
    const to = body.inputs[index];
    if (!from || !to) continue;
    const isScanned = !isCall && node.op === 'Scan' && index >= scanned;
    if (!isCall && !isScanned && !isLoopInvariant(node, body, index)) continue;
    const scanAxis = isScanned ? (called.integers('scan_input_axes')?.[index - scanned] ?? 0) : null;
    if (scanAxis !== null && scanAxis < 0) continue;
    found.push({ from, fromFrame: frame, to, toFrame: bodyFrame, scanAxis });
  }
  return found;
}

/** Whether a body hands a loop's state on as it got it. */
function isLoopInvariant(node: OnnxNode, body: OnnxGraph, input: number): boolean {
  const output = body.outputs[node.op === 'Loop' ? input - 1 : input];
  const source = output?.producer?.op === 'Identity' ? output.producer.inputs[0] : output;
  const isState = node.op === 'Loop' ? input >= 2 : node.op === 'Scan';
  return isState && source !== undefined && source === body.inputs[input];
}

/** Something known of values, in every call of the function they stand in. */
export class ValueMap<T> {
  readonly #frames = new Map<Frame, Map<OnnxValue, T>>();

  get(frame: Frame, value: OnnxValue): T | undefined {
    return this.#frames.get(frame)?.get(value);
  }

  set(frame: Frame, value: OnnxValue, known: T): void {
    const values = this.#frames.get(frame) ?? new Map<OnnxValue, T>();
    this.#frames.set(frame, values.set(value, known));
  }

  *entries(): Generator<[Frame, OnnxValue, T]> {
    for (const [frame, values] of this.#frames) {
      for (const [value, known] of values) yield [frame, value, known];
    }
  }
}
