import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PreparedModel, prepareModel, writePrepared } from '../../src/autodiff/prepare.ts';
import { type ProbedValues, probeValues } from '../../src/autodiff/probe.ts';
import { isFloatDtype } from '../../src/core/dtype.ts';
import { elementCount } from '../../src/formats/model.ts';
import type { Fetched } from '../../src/formats/numbers.ts';
import { mainPath, type StoredModel } from '../../src/formats/stored-model.ts';
import { modelInputs } from '../../src/graph/interface.ts';
import { finalNode } from '../../src/graph/measured-output.ts';
import { type Feeds, openSession, UNOPTIMIZED } from '../../src/runtime/session.ts';
import { findWorstError, WeightFunction, type WorstError } from './finite-differences.ts';
import { createFloat64Model, staysFloat32 } from './float64-model.ts';
import { createFeeds } from './model-inputs.ts';
import { RandomNumbers } from './random-numbers.ts';
import { computeGradients, type Gradients } from './weight-gradients.ts';

export const RUNTIME = { providers: ['cpu'], threads: 2 } as const;
/** Of the float64 form's outputs from the model's, relative to the largest: a wrong form is off by far more, rounding by far less. */
const FORM_TOLERANCE = 1e-3;

export interface CheckedModel {
  readonly nodes: number;
  readonly weights: number;
  readonly worst: WorstError;
}

/**
 * Differentiates a random linear function of a model's float outputs with respect to all float tensors but sizes, and compares with central differences. Of outputs
 * of Sigmoid and Softmax what these read is taken, as by the losses: saturated, they would leave nothing to compare.
 * @throws EmpError what the product refuses the model with
 */
export async function checkModel(model: StoredModel): Promise<CheckedModel> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-gradients-'));
  try {
    const random = new RandomNumbers();
    const prepared = await prepareModel({
      model,
      directory,
      signal: new AbortController().signal,
    });
    const feeds = await createFeeds(mainPath(model), modelInputs(prepared.model), random);
    const facts = await probeValues(prepared, prepared.proto, feeds, RUNTIME);
    const exact = await probeValues(prepared, prepared.proto, feeds.slice(0, 1), RUNTIME);
    const factors = drawFactors(measuredValues(prepared, facts), exact, random);
    const floats = model.inventory.tensors.filter(({ dtype }) => isFloatDtype(dtype)).map(({ name }) => name);
    const names = floats.filter((name) => !isSize(prepared, name));
    const gradients = await computeGradients(prepared, facts, names, factors, feeds[0], RUNTIME);
    const worst = await compare(prepared, exact, gradients, factors, feeds[0], random);
    const nodes = prepared.model.graph.nodes.length;
    return { nodes, weights: names.length, worst };
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function compare(
  prepared: PreparedModel,
  facts: ProbedValues,
  { weights, values }: Gradients,
  factors: ReadonlyMap<string, Fetched>,
  feeds: Feeds,
  random: RandomNumbers,
): Promise<WorstError> {
  const inputs = new Set(weights.map(({ value }) => value));
  const proto = createFloat64Model(prepared, facts, inputs, [...factors.keys()]);
  const path = await writePrepared(prepared, proto, 'float64');
  await using session = await openSession(path, RUNTIME, UNOPTIMIZED); // fusions make operators that onnxruntime has in float32 alone
  const scalar = new WeightFunction(session, factors, weights, feeds);
  for (const [name, { data }] of await scalar.values())
    refuseOtherValues(name, data, values.get(name)?.data ?? []);
  return await findWorstError(scalar, weights, random);
}

function isSize({ model, weights }: PreparedModel, weight: string): boolean {
  const uses = model.graph.find(weights.get(weight) ?? '')?.uses ?? [];
  return uses.some(({ node, input }) => staysFloat32(node.op, input));
}

function measuredValues({ model }: PreparedModel, facts: ProbedValues): string[] {
  const outputs = model.graph.outputs.filter(({ name }) => facts.dtypeOf(name) === 'float32');
  const names = outputs.map((output) => {
    const final = finalNode(output);
    const isSquashed = final?.op === 'Sigmoid' || final?.op === 'Softmax';
    return (isSquashed ? final.inputs[0]?.name : undefined) ?? output.name;
  });
  return [...new Set(names)];
}

function drawFactors(
  names: readonly string[],
  facts: ProbedValues,
  random: RandomNumbers,
): Map<string, Fetched> {
  return new Map(
    names.map((name) => {
      const shape = (facts.shapeOf(name) ?? []).map(Number);
      return [name, { dtype: 'float32', shape, data: random.signed(elementCount(shape)) }];
    }),
  );
}

function refuseOtherValues(
  name: string,
  found: ArrayLike<number | bigint>,
  expected: ArrayLike<number | bigint>,
): void {
  let [largest, difference] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(Number(expected[i])));
    difference = Math.max(difference, Math.abs(Number(found[i]) - Number(expected[i])));
  }
  if (!(difference <= FORM_TOLERANCE * largest))
    throw new Error(`${name} differs by ${difference} of ${largest} in float64`);
}
