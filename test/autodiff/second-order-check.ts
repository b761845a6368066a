import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clone } from '@bufbuild/protobuf';
import type { Tensor } from 'onnxruntime-node';
import type { GradientRules } from '../../src/autodiff/derivative.ts';
import { RULES } from '../../src/autodiff/rules/registry.ts';
import { differentiate } from '../../src/autodiff/sweep.ts';
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  TensorProto_DataType,
} from '../../src/formats/onnx/onnx-schema.ts';
import { GraphBuilder } from '../../src/graph/graph-builder.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import type { ValueFacts } from '../../src/graph/value-facts.ts';
import { value } from '../models/build-model.ts';
import {
  buildGradients,
  expectedOf,
  inputName,
  namedFeeds,
  type Point,
  type RuleCase,
  STEP,
  seedName,
  TOLERANCE,
  titleOf,
  variablesOf,
} from './rule-check.ts';
import { createRandom, declareOutputs, float32, openModel, sizeOf } from './run-model.ts';

type NamedTensors = Readonly<Record<string, Tensor>>;

/** Registers a test of the second derivatives of each case: its rules' operators must have rules themselves. */
export function describeSecondOrder(name: string, cases: readonly RuleCase[]): void {
  describe(name, () => {
    for (const at of cases) {
      test(`${titleOf(at)}: the gradients' gradients equal differences of the gradients`, async () => {
        const error = await checkSecondOrder(RULES, at);
        assert.ok(error < TOLERANCE, `relative error ${error.toExponential(1)}`);
      });
    }
  });
}

/**
 * Differentiates the gradients of a case once more, by the variables and by the seeds: with `F(x, seed) = sum(seed * output)`, its gradient g by x and a random direction v,
 * the gradients of `<g, v>` are the changes along v of g, since the Hessian is symmetric, and of the outputs. Both are held against central differences.
 * @returns the length of the error relative to that of the difference, the larger of the two
 */
export async function checkSecondOrder(rules: GradientRules, at: RuleCase): Promise<number> {
  const expected = await expectedOf(at);
  const slots = [...variablesOf(at).keys()];
  await using second = await differentiateTwice(rules, at, expected);
  const { changing, products, direction } = second;
  const run = (distance: number): Promise<NamedTensors> => {
    const moved = [...expected.feeds].map(([slot, start]): [number, Tensor] => {
      const step = direction.get(slot)?.data as Float32Array;
      const numbers = (start.data as Float32Array).map((number, index) => number + distance * step[index]);
      return [slot, float32(numbers, start.dims)];
    });
    return second.run(new Map(moved));
  };
  const [here, plus, minus] = [await run(0), await run(STEP), await run(-STEP)];
  const errorOf = (from: number, to: number) => {
    let [error, length] = [0, 0];
    for (let place = from; place < to; place++) {
      const [name, product] = [changing[place], products[place]];
      const count = Math.max(...[name, product].map((one) => (one === null ? 0 : here[one].data.length)));
      for (let index = 0; index < count; index++) {
        const change = (numberAt(plus, name, index) - numberAt(minus, name, index)) / (2 * STEP);
        error += (change - numberAt(here, product, index)) ** 2;
        length += change ** 2;
      }
    }
    return Math.sqrt(error) / (Math.sqrt(length) || 1);
  };
  return Math.max(errorOf(0, slots.length), errorOf(slots.length, changing.length));
}

/**
 * What the second sweep says at given numbers, for points where a difference says nothing.
 * @param numbers of each variable, in order
 * @returns the changes along a random direction of the gradients, by variable, and of the outputs
 */
export async function secondOrderAt(
  rules: GradientRules,
  at: RuleCase,
  numbers: readonly (readonly number[])[],
): Promise<number[][]> {
  const slots = [...variablesOf(at)];
  const feeds = new Map(
    slots.map(([slot, { shape }], index) => [slot, float32(Float32Array.from(numbers[index]), shape)]),
  );
  await using second = await differentiateTwice(rules, at, { ...(await expectedOf(at)), feeds });
  const results = await second.run(feeds);
  return second.products.map((product) =>
    product === null ? [] : [...(results[product].data as Float32Array)],
  );
}

/** A model of both sweeps. */
interface SecondOrder extends AsyncDisposable {
  /** The gradients by variable, then the outputs. */
  readonly changing: readonly (string | null)[];
  /** How they change along `direction`, as the second sweep has it. */
  readonly products: readonly (string | null)[];
  readonly direction: ReadonlyMap<number, Tensor>;
  run(feeds: ReadonlyMap<number, Tensor>): Promise<NamedTensors>;
}

async function differentiateTwice(rules: GradientRules, at: RuleCase, point: Point): Promise<SecondOrder> {
  const slots = [...variablesOf(at).keys()];
  const { model, gradients, outputs } = buildGradients(rules, at, 'static', point, slots);
  const seeds = Object.fromEntries([...point.seeds].map(([output, seed]) => [seedName(output), seed]));
  const direction = drawDirection(at);
  const facts = await probeFacts(model, { ...namedFeeds(point.feeds), ...seeds });
  const targets = [...slots.map(inputName), ...Object.keys(seeds)];
  const products = appendSecondSweep(rules, at, model, gradients, facts, targets);
  const changing = [...slots.map((slot) => gradients.get(slot) ?? null), ...outputs];
  declareOutputs(model, new Set([...changing, ...products].filter((name) => name !== null)));
  const session = await openModel(model);
  return {
    changing,
    products,
    direction,
    run: (feeds) => session.run({ ...namedFeeds(feeds), ...seeds, ...namedDirection(direction) }),
    [Symbol.asyncDispose]: () => session.release(),
  };
}

/** Appends the gradients of `sum <gradient, direction>` by `targets`, in order. */
function appendSecondSweep(
  rules: GradientRules,
  at: RuleCase,
  model: ModelProto,
  gradients: ReadonlyMap<number, string | null>,
  facts: ValueFacts,
  targets: readonly string[],
): (string | null)[] {
  const graph = model.graph as GraphProto;
  const builder = new GraphBuilder(graph, 'second_', at.opset ?? 16);
  const view = new OnnxModel(model).graph;
  const seeds = new Map<string, string>();
  for (const [slot, { shape }] of variablesOf(at)) {
    graph.input.push(value(directionName(slot), shape));
    const gradient = gradients.get(slot);
    if (!gradient) continue;
    const other = seeds.get(gradient);
    const direction = directionName(slot);
    seeds.set(gradient, other === undefined ? direction : builder.op('Add', [other, direction]));
  }
  const found = differentiate(view, builder, facts, seeds, targets, rules);
  if ('blocking' in found) {
    throw new Error(found.blocking.map(({ operator, reason }) => `${operator} ${reason}`).join('; '));
  }
  return targets.map((name) => found.gradients.get(name) ?? null);
}

/** Shapes of all values of a model, found by running it, and the numbers of its constants. */
async function probeFacts(model: ModelProto, feeds: NamedTensors): Promise<ValueFacts> {
  const probe = clone(ModelProtoSchema, model);
  const graph = probe.graph as GraphProto;
  const values = new OnnxModel(model).graph.nodes.flatMap(({ outputs }) =>
    outputs.filter((output) => output !== null),
  );
  const builder = new GraphBuilder(graph, 'probe_', 16);
  const probes = values.map(({ name }) => [name, builder.op('Shape', [name])]);
  const shapes = new Map<string, readonly number[]>();
  const constants = new Map<string, readonly number[]>();
  for (const { name, dims, dataType, rawData } of graph.initializer) {
    shapes.set(name, dims.map(Number));
    const { buffer } = new Uint8Array(rawData);
    if (dataType === TensorProto_DataType.FLOAT) constants.set(name, [...new Float32Array(buffer)]);
    if (dataType === TensorProto_DataType.INT64)
      constants.set(name, Array.from(new BigInt64Array(buffer), Number));
  }
  for (const [name, { dims }] of Object.entries(feeds)) shapes.set(name, dims);
  declareOutputs(
    probe,
    probes.map(([, shape]) => shape),
    TensorProto_DataType.INT64,
  );
  const session = await openModel(probe);
  try {
    const results = await session.run(feeds);
    for (const [name, shape] of probes) {
      shapes.set(name, Array.from(results[shape].data as BigInt64Array, Number));
    }
  } finally {
    await session.release();
  }
  return {
    shapeOf: (name) => shapes.get(name) ?? null,
    constantOf: (name) => constants.get(name) ?? null,
  };
}

/** By slot, in the variables' shapes. */
function drawDirection(at: RuleCase): Map<number, Tensor> {
  const random = createRandom(9);
  return new Map(
    [...variablesOf(at)].map(([slot, { shape }]) => {
      const numbers = Float32Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1);
      return [slot, float32(numbers, shape)];
    }),
  );
}

function namedDirection(direction: ReadonlyMap<number, Tensor>): NamedTensors {
  return Object.fromEntries([...direction].map(([slot, tensor]) => [directionName(slot), tensor]));
}

function directionName(slot: number): string {
  return `direction${slot}`;
}

/** 0 where a value does not exist. */
function numberAt(results: NamedTensors, name: string | null, index: number): number {
  return name === null ? 0 : Number(results[name].data[index]);
}
