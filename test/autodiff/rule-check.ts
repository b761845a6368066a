import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { GradientRule, GradientRules } from '../../src/autodiff/derivative.ts';
import { differentiate } from '../../src/autodiff/sweep.ts';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import { GraphBuilder } from '../../src/graph/graph-builder.ts';
import type { AttributeValue } from '../../src/graph/messages.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import type { Size, ValueFacts } from '../../src/graph/value-facts.ts';
import { value } from '../models/build-model.ts';
import { createRandom, declareOutputs, dot, float32, openModel, sizeOf } from './run-model.ts';

/** Largest error of a directional derivative, relative to the root mean square of those along the same input. */
export const TOLERANCE = 1e-3;
/** Half the distance of the two points of a difference: float32 rounding and the third derivative then both cost about 1e-5. */
export const STEP = 2 ** -8;
/** How far a number stays from the points where its function has a kink. */
const CLEARANCE = 0.03;
const DIRECTIONS = 4;

/** What a rule is told of shapes: all numbers; the batch axis only as 'varies'; ranks only. */
export type ShapeMode = 'static' | 'batch' | 'ranks';
const MODES: readonly ShapeMode[] = ['static', 'batch', 'ranks'];

/** A differentiable float32 input of a case. */
export interface Variable {
  readonly shape: readonly number[];
  /** Its numbers are spread evenly between these, in random order: no two numbers of a case's inputs with one range are equal. -1 and 1 where not given. */
  readonly from?: number;
  readonly to?: number;
  /** Kinks, from which numbers keep away. */
  readonly avoid?: readonly number[];
  /** Its shape is known in every mode, as a weight's is, and does not follow the batch. */
  readonly fixed?: boolean;
}

/** A constant input of a case, an initializer; `dims` make it a vector where not given. */
export type Constant = (
  | { readonly floats: readonly number[] }
  | { readonly integers: readonly number[] }
  | { readonly booleans: readonly boolean[] }
) & { readonly dims?: readonly number[] };

/** One use of an operator, whose gradients are held against finite differences. */
export interface RuleCase {
  readonly operator: string;
  /** What is special in it. */
  readonly name?: string;
  /** By slot; null is left out. */
  readonly inputs: readonly (Variable | Constant | null)[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  /** How many outputs the node has; 1 where not given. */
  readonly outputs?: number;
  /** Positions of the float32 outputs that the scalar depends on; all where not given. */
  readonly seeded?: readonly number[];
  /** 16 where not given. */
  readonly opset?: number;
  /** Modes that make no sense for the case, with the reason. */
  readonly skips?: Readonly<Partial<Record<ShapeMode, string>>>;
}

/**
 * Differentiates the scalar `sum(seed * output)` of a case with `rules` and holds the gradients, run by onnxruntime, against central differences of the operator.
 * @param slots the variables whose gradients are wanted; all where not given
 * @returns the largest relative error; infinite where a gradient has another shape than its input or is no number
 */
export async function checkRule(
  rules: GradientRules,
  at: RuleCase,
  mode: ShapeMode,
  slots: readonly number[] = [...variablesOf(at).keys()],
): Promise<number> {
  const expected = await expectedOf(at);
  const gradients = await gradientsOf(rules, at, mode, expected, slots);
  const wanted = expected.derivatives.filter(({ input }) => slots.includes(input));
  const errors = wanted.map(({ input, directions }) => {
    const gradient = gradients.get(input) ?? null;
    const rms = Math.sqrt(directions.reduce((sum, { change }) => sum + change ** 2, 0) / directions.length);
    const shape = variablesOf(at).get(input)?.shape ?? [];
    if (gradient !== null && gradient.dims.join() !== shape.join()) return Number.POSITIVE_INFINITY;
    return Math.max(
      ...directions.map(({ change, step }) => {
        const found = gradient === null ? 0 : dot(gradient.data as Float32Array, step);
        return Number.isFinite(found) ? Math.abs(found - change) / (rms || 1) : Number.POSITIVE_INFINITY;
      }),
    );
  });
  return Math.max(...errors);
}

/**
 * Registers the tests of a family of rules: each case in each mode; that each operator has a case; that each gradient is right when no other is wanted; and that the check catches, for each differentiable input of each
 * case, a gradient that is 5 % too large and one that is left out.
 */
export function describeRules(name: string, rules: GradientRules, cases: readonly RuleCase[]): void {
  describe(name, () => {
    let worst = 0;
    test('every rule has a case', () => {
      const tested = new Set(cases.map(({ operator }) => operator));
      assert.deepEqual(
        [...rules.keys()].filter((operator) => !tested.has(operator)),
        [],
      );
    });
    for (const at of cases) {
      for (const mode of MODES) {
        const skip = at.skips?.[mode] ?? false;
        test(`${titleOf(at)}, ${mode} shapes: equals finite differences`, { skip }, async () => {
          const error = await checkRule(rules, at, mode);
          worst = Math.max(worst, error);
          assert.ok(error < TOLERANCE, `relative error ${error.toExponential(1)}`);
        });
      }
    }
    test('a gradient wanted alone equals finite differences', async () => {
      for (const at of cases) {
        const slots = [...variablesOf(at).keys()];
        const mode = firstMode(at);
        if (mode === null || slots.length === 1) continue;
        for (const slot of slots) {
          const error = await checkRule(rules, at, mode, [slot]);
          assert.ok(error < TOLERANCE, `${titleOf(at)}, input ${slot}: error ${error.toExponential(1)}`);
        }
      }
    });
    test('a gradient 5 % too large, and one left out, are caught at every input of every case', async (t) => {
      t.diagnostic(`largest error of all cases and modes: ${worst.toExponential(1)}`);
      for (const at of cases) {
        const mode = firstMode(at);
        if (mode === null) continue;
        for (const input of variablesOf(at).keys()) {
          for (const [mutation, mutate] of MUTATIONS) {
            const error = await checkRule(mutated(rules, at.operator, input, mutate), at, mode);
            t.diagnostic(`${titleOf(at)}, input ${input} ${mutation}: error ${error.toExponential(1)}`);
            assert.ok(error > 10 * TOLERANCE, `${titleOf(at)}, input ${input} ${mutation}: passed`);
          }
        }
      }
    });
  });
}

/**
 * The gradients of the sum of a case's outputs at given numbers, for points where a difference says nothing.
 * @param numbers of each variable, in order
 */
export async function gradientsAt(
  rules: GradientRules,
  at: RuleCase,
  numbers: readonly (readonly number[])[],
): Promise<number[][]> {
  const slots = [...variablesOf(at)];
  const feeds = new Map(
    slots.map(([slot, { shape }], index) => [slot, float32(Float32Array.from(numbers[index]), shape)]),
  );
  const { shapes } = await expectedOf(at);
  const ones = [...shapes.values()].map((shape) => float32(new Float32Array(sizeOf(shape)).fill(1), shape));
  const point = { feeds, seeds: new Map(ones.entries()), shapes, largerShapes: null };
  const gradients = await gradientsOf(rules, at, 'static', point, [...feeds.keys()]);
  return [...gradients.values()].map((gradient) => [...((gradient?.data ?? []) as Float32Array)]);
}

function modesOf({ skips }: RuleCase): ShapeMode[] {
  return MODES.filter((mode) => skips?.[mode] === undefined);
}

function firstMode(at: RuleCase): ShapeMode | null {
  return modesOf(at)[0] ?? null;
}

type Mutation = (gradient: string, builder: GraphBuilder) => string | null;
const MUTATIONS: readonly [string, Mutation][] = [
  ['5 % too large', (gradient, builder) => builder.op('Mul', [gradient, builder.scalar(1.05)])],
  ['left out', () => null],
];

function mutated(rules: GradientRules, operator: string, input: number, mutate: Mutation): GradientRules {
  const rule: GradientRule = (at) => {
    const found = [...(rules.get(operator)?.(at) ?? [])];
    const gradient = found[input];
    if (gradient) found[input] = mutate(gradient, at.builder);
    return found;
  };
  return new Map([...rules, [operator, rule]]);
}

export function titleOf({ operator, name }: RuleCase): string {
  return name === undefined ? operator : `${operator} ${name}`;
}

function isVariable(input: Variable | Constant | null | undefined): input is Variable {
  return input !== null && input !== undefined && 'shape' in input;
}

/** By slot. */
export function variablesOf({ inputs }: RuleCase): Map<number, Variable> {
  return new Map([...inputs.entries()].filter((entry): entry is [number, Variable] => isVariable(entry[1])));
}

/** Where the gradients are computed. */
export interface Point {
  /** Numbers of the variables, by slot. */
  readonly feeds: ReadonlyMap<number, Tensor>;
  /** By output. */
  readonly seeds: ReadonlyMap<number, Tensor>;
  /** Shapes of the node's seeded outputs. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** The same for a larger batch, null where nothing follows the batch or the node cannot run with one. */
  readonly largerShapes: ReadonlyMap<string, readonly number[]> | null;
}

/** What the operator itself says. */
interface Expected extends Point {
  /** Per variable: steps away from its numbers, and how much the scalar changes. */
  readonly derivatives: readonly {
    readonly input: number;
    readonly directions: readonly { readonly step: Float64Array; readonly change: number }[];
  }[];
}

const expectations = new WeakMap<RuleCase, Promise<Expected>>();

export function expectedOf(at: RuleCase): Promise<Expected> {
  const known = expectations.get(at) ?? findExpected(at);
  expectations.set(at, known);
  return known;
}

async function findExpected(at: RuleCase): Promise<Expected> {
  const random = createRandom(7);
  const { model, outputs } = buildForward(at, 'ranks');
  declareOutputs(model, outputs);
  const session = await openModel(model);
  try {
    const shapes = new Map([...variablesOf(at)].map(([slot, { shape }]) => [slot, shape]));
    const feeds = drawFeeds(at, shapes, random);
    const results = await session.run(namedFeeds(feeds));
    const seededAt = at.seeded ?? [...Array(at.outputs ?? 1).keys()];
    const seeds = new Map(
      outputs.map((name, index) => {
        const { dims } = results[name];
        return [
          seededAt[index],
          float32(
            Float32Array.from({ length: sizeOf(dims) }, () => 2 * random() - 1),
            dims,
          ),
        ];
      }),
    );
    const scalar = async (slot: number, data: Float32Array) => {
      const moved = float32(data, feeds.get(slot)?.dims ?? []);
      const found = await session.run(namedFeeds(new Map([...feeds, [slot, moved]])));
      return outputs.reduce(
        (sum, name, index) =>
          sum + dot(found[name].data as Float32Array, seeds.get(seededAt[index])?.data as Float32Array),
        0,
      );
    };
    const derivatives = [];
    for (const [input, { data }] of feeds) {
      const directions = [];
      for (let count = 0; count < DIRECTIONS; count++) {
        const numbers = data as Float32Array;
        const offsets = numbers.map(() => (random() < 0.5 ? -1 : 1) * (0.5 + random() / 2) * STEP);
        const [plus, minus] = [1, -1].map((sign) =>
          numbers.map((number, index) => number + sign * offsets[index]),
        );
        const step = Float64Array.from(plus, (number, index) => number - minus[index]);
        directions.push({ step, change: (await scalar(input, plus)) - (await scalar(input, minus)) });
      }
      derivatives.push({ input, directions });
    }
    return {
      feeds,
      seeds,
      shapes: new Map(outputs.map((name) => [name, results[name].dims])),
      largerShapes: await largerBatch(at, session, outputs),
      derivatives,
    };
  } finally {
    await session.release();
  }
}

/** Shapes of the inputs of a case whose first axis is the batch: the variables of the largest rank but for the fixed ones. */
function batchShapes(at: RuleCase): Map<number, readonly number[]> {
  const variables = variablesOf(at);
  const rank = Math.max(...[...variables.values()].map(({ shape }) => shape.length));
  return new Map(
    [...variables].map(([slot, { shape, fixed }]) => {
      const follows = !fixed && shape.length === rank && shape[0] > 1;
      return [slot, follows ? [shape[0] + 1, ...shape.slice(1)] : shape];
    }),
  );
}

async function largerBatch(
  at: RuleCase,
  session: InferenceSession,
  outputs: readonly string[],
): Promise<Map<string, readonly number[]> | null> {
  if (at.skips?.batch !== undefined) return null;
  const shapes = batchShapes(at);
  const results = await session.run(namedFeeds(drawFeeds(at, shapes, createRandom(8))));
  const named = [...shapes].map(([slot, shape]): [string, readonly number[]] => [inputName(slot), shape]);
  return new Map([
    ...named,
    ...outputs.map((name): [string, readonly number[]] => [name, results[name].dims]),
  ]);
}

async function gradientsOf(
  rules: GradientRules,
  at: RuleCase,
  mode: ShapeMode,
  point: Point,
  slots: readonly number[],
): Promise<Map<number, Tensor | null>> {
  const { model, gradients } = buildGradients(rules, at, mode, point, slots);
  const wanted = [...gradients.values()].filter((name) => name !== null);
  if (wanted.length === 0) return new Map([...gradients.keys()].map((slot) => [slot, null]));
  declareOutputs(model, new Set(wanted));
  const session = await openModel(model);
  try {
    const seeds = [...point.seeds].map(([output, seed]) => [seedName(output), seed]);
    const results = await session.run({ ...namedFeeds(point.feeds), ...Object.fromEntries(seeds) });
    return new Map([...gradients].map(([slot, name]) => [slot, name === null ? null : results[name]]));
  } finally {
    await session.release();
  }
}

/** A model of the node and the gradients of its variables in `slots`, whose names come by slot; `outputs` are the seeded ones. */
export function buildGradients(
  rules: GradientRules,
  at: RuleCase,
  mode: ShapeMode,
  point: Point,
  slots: readonly number[],
) {
  const { model, graph, outputs } = buildForward(at, mode);
  for (const [output, { dims }] of point.seeds) {
    graph.input.push(
      value(seedName(output), mode === 'static' ? dims : dims.map((_, axis) => `s${output}_${axis}`)),
    );
  }
  const seeds = new Map(outputs.map((name, index) => [name, seedName([...point.seeds.keys()][index])]));
  const builder = new GraphBuilder(graph, 'gradient_', at.opset ?? 16);
  const facts = createFacts(at, mode, point);
  const view = new OnnxModel(model).graph;
  const found = differentiate(view, builder, facts, seeds, slots.map(inputName), rules);
  if ('blocking' in found) throw new Error(found.blocking.map(({ reason }) => reason).join('; '));
  const gradients = new Map(slots.map((slot) => [slot, found.gradients.get(inputName(slot)) ?? null]));
  return { model, graph, gradients, outputs };
}

function createFacts(at: RuleCase, mode: ShapeMode, point: Point): ValueFacts {
  const shapes = new Map<string, readonly Size[]>();
  const constants = new Map<string, readonly number[]>();
  const learn = (name: string, shape: readonly number[]) => {
    const larger = point.largerShapes?.get(name);
    if (mode === 'batch')
      shapes.set(
        name,
        shape.map((size, axis) => (size === larger?.[axis] ? size : 'varies')),
      );
    else shapes.set(name, mode === 'static' ? shape : shape.map(() => null));
  };
  for (const [slot, input] of at.inputs.entries()) {
    if (isVariable(input)) {
      if (input.fixed) shapes.set(inputName(slot), input.shape);
      else learn(inputName(slot), input.shape);
    } else if (input !== null) {
      const numbers = numbersOf(input);
      shapes.set(inputName(slot), input.dims ?? [numbers.length]);
      constants.set(inputName(slot), numbers);
    }
  }
  for (const [name, shape] of point.shapes) learn(name, shape);
  return {
    shapeOf: (name) => shapes.get(name) ?? null,
    constantOf: (name) => constants.get(name) ?? null,
  };
}

function buildForward(at: RuleCase, mode: ShapeMode) {
  const graph = create(GraphProtoSchema, { name: 'case' });
  const opsetImport = [create(OperatorSetIdProtoSchema, { version: BigInt(at.opset ?? 16) })];
  const model = create(ModelProtoSchema, { irVersion: 8n, opsetImport, graph });
  for (const [slot, input] of at.inputs.entries()) {
    if (isVariable(input)) {
      const isOpen = (axis: number) => !input.fixed && (mode === 'ranks' || (mode === 'batch' && axis === 0));
      const dims = input.shape.map((size, axis) => (isOpen(axis) ? `d${slot}_${axis}` : size));
      graph.input.push(value(inputName(slot), dims));
    } else if (input !== null) {
      graph.initializer.push(createInitializer(inputName(slot), input));
    }
  }
  const inputs = at.inputs.map((input, slot) => (input === null ? null : inputName(slot)));
  const builder = new GraphBuilder(graph, 'case_', at.opset ?? 16);
  const all = builder.nodes(at.operator, inputs, at.attributes ?? {}, at.outputs ?? 1);
  return { model, graph, outputs: (at.seeded ?? [...all.keys()]).map((index) => all[index]) };
}

function createInitializer(name: string, constant: Constant) {
  const numbers = numbersOf(constant);
  const dims = (constant.dims ?? [numbers.length]).map(BigInt);
  const initializer = (dataType: TensorProto_DataType, { buffer }: ArrayBufferView<ArrayBuffer>) =>
    create(TensorProtoSchema, { name, dims, dataType, rawData: new Uint8Array(buffer) });
  if ('floats' in constant) return initializer(TensorProto_DataType.FLOAT, Float32Array.from(numbers));
  if ('booleans' in constant) return initializer(TensorProto_DataType.BOOL, Uint8Array.from(numbers));
  return initializer(TensorProto_DataType.INT64, BigInt64Array.from(numbers.map(BigInt)));
}

function numbersOf(constant: Constant): number[] {
  if ('floats' in constant) return [...constant.floats];
  return 'integers' in constant ? [...constant.integers] : constant.booleans.map(Number);
}

/** Evenly spread numbers for the variables, in an order that mixes the inputs. */
function drawFeeds(
  at: RuleCase,
  shapes: ReadonlyMap<number, readonly number[]>,
  random: () => number,
): Map<number, Tensor> {
  const total = [...shapes.values()].reduce((sum, shape) => sum + sizeOf(shape), 0);
  const order = [...Array(total).keys()];
  for (let last = total - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other], order[last]];
  }
  return new Map(
    [...variablesOf(at)].map(([slot, variable]) => {
      const shape = shapes.get(slot) ?? variable.shape;
      const data = Float32Array.from({ length: sizeOf(shape) }, () => {
        const share = ((order.pop() ?? 0) + 0.4 + 0.2 * random()) / total;
        return placeNumber(variable, share);
      });
      return [slot, float32(data, shape)];
    }),
  );
}

/** The number at a share of the way through a variable's range, moved away from a kink nearby. */
function placeNumber({ from = -1, to = 1, avoid = [] }: Variable, share: number): number {
  const number = from + (to - from) * share;
  const kink = avoid.find((candidate) => Math.abs(number - candidate) < CLEARANCE);
  return kink === undefined ? number : kink + (number < kink ? -CLEARANCE : CLEARANCE);
}

export function namedFeeds(feeds: ReadonlyMap<number, Tensor>): Record<string, Tensor> {
  return Object.fromEntries([...feeds].map(([slot, tensor]) => [inputName(slot), tensor]));
}

export function inputName(slot: number): string {
  return `x${slot}`;
}

export function seedName(output: number): string {
  return `seed${output}`;
}
