import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { accumulateGradients } from '../../src/autodiff/gradients.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import { modelInputs, readStoredGraph } from '../../src/graph/interface.ts';
import { checkSamples } from '../../src/runtime/check-samples.ts';
import { Evaluator } from '../../src/runtime/evaluation.ts';
import { openSession } from '../../src/runtime/session.ts';
import { criterionContext, RUNTIME, scoresOf } from '../criteria/run-criterion.ts';
import { integers, node, tensor } from '../models/build-model.ts';
import { assertScores, gaussians, products, reduceFeatures } from '../models/small-model.ts';
import {
  bytesOf,
  decoderModel,
  type FedModel,
  feedsOf,
  ids,
  lengthsModel,
  mergingModel,
  normals,
  oneAtATimeModel,
  rateModel,
  sliceOf,
  stateModel,
  store,
  timeMajorModel,
  unbatchedModel,
} from './fed-models.ts';

const state = stateModel();
const { state: states, ...withoutState } = state.given;
const oneState = { state: sliceOf(states, 1, 2) };
const rate = rateModel();
const { sr, ...withoutRate } = rate.given;
const { lengths: _, ...withoutLengths } = lengthsModel().given;
const decoder = decoderModel(['batch', 'seq', 'past', 'total']);

const MODELS: Record<string, FedModel> = {
  'a state with the batch on axis 1': state,
  'the same under a name of no meaning': stateModel({
    inputs: [
      ['x', ['s7', 5, 10]],
      ['state', [2, 's7', 16]],
    ],
  }),
  'the same without names': stateModel({
    inputs: [
      ['x', ['', 5, 10]],
      ['state', [2, '', 16]],
    ],
  }),
  'a batch fixed to 1': stateModel({}, 1),
  'a batch fixed to 3': stateModel({}, 3),
  'a state that is given once': stateModel({ given: { ...withoutState, ...oneState }, shared: ['state'] }),
  'a state among the constants': stateModel({ given: withoutState, constants: oneState, shared: ['state'] }),
  'a state of one sample, whatever the batch': stateModel({
    inputs: [
      ['x', ['batch', 5, 10]],
      ['state', [2, 1, 16]],
    ],
    given: { ...withoutState, ...oneState },
    axes: { state: null },
    shared: ['state'],
  }),
  'states of one sample at a time, whatever the batch': stateModel({
    inputs: [
      ['x', ['batch', 5, 10]],
      ['state', [2, 1, 16]],
    ],
  }),
  'a rate that is one number': rate,
  'a rate among the constants': rateModel({ given: withoutRate, constants: { sr } }),
  'a rate for each sample': rateModel({
    given: {
      ...withoutRate,
      sr: { shape: [6], numbers: BigInt64Array.of(8000n, 16000n, 8000n, 4000n, 16000n, 8000n) },
    },
    shared: [],
  }),
  'a length for each sample': lengthsModel(),
  'one length for all': lengthsModel({
    given: withoutLengths,
    constants: { lengths: { shape: [], numbers: BigInt64Array.of(3n) } },
    shared: ['lengths'],
  }),
  'steps before samples': timeMajorModel(),
  'steps before samples, beside a state': timeMajorModel({
    inputs: [
      ['x', ['s0', 's1', 8]],
      ['h', [1, 's1', 12]],
    ],
    given: { ...timeMajorModel().given, h: normals([1, 6, 12], 3) },
    nodes: timeMajorModel().nodes.map((each) =>
      each.opType === 'Relu' ? { ...each, opType: 'Add', input: ['a', 'h'] } : each,
    ),
    axes: { x: 1, h: 1 },
  }),
  'labels by sample, of an output that has steps before samples': timeMajorModel({
    labels: ids([6, 3], 4),
    labelAxis: 0,
  }),
  'one sample at a time, whatever the axes say': oneAtATimeModel(),
  'one sample at a time, for more would be taken for one that is longer': mergingModel(),
  'no axis for samples': unbatchedModel(),
  'a decoder with a cache': decoder,
  'a decoder with positions that all samples share': decoderModel(['batch', 'seq', 'past', 'total'], {
    inputs: decoder.inputs.map((input): FedModel['inputs'][number] =>
      input[0] === 'position_ids' ? ['position_ids', ['seq'], 'INT64'] : input,
    ),
    given: { ...decoder.given, position_ids: { shape: [3], numbers: BigInt64Array.of(4n, 5n, 6n) } },
    axes: { position_ids: null },
    shared: ['position_ids'],
  }),
};

/** Each sample by itself: what it gives, as float64. */
async function runEach(fed: FedModel, bytes: Uint8Array, names: readonly string[]) {
  await using session = await openSession(bytes, RUNTIME);
  const results: Map<string, { shape: readonly number[]; numbers: Float64Array }>[] = [];
  for (let sample = 0; sample < fed.nSamples; sample++) {
    const given = feedsOf(fed, sample);
    // A batch of several that is fixed holds the sample as often.
    const feeds = new Map(
      session.inputs.map(({ name }) => {
        const feed = given.get(name);
        if (!feed) throw new TypeError(`nothing for ${name}`);
        return [name, feed] as const;
      }),
    );
    const found = await session.run(feeds, names);
    results.push(
      new Map(
        [...found].map(([name, { shape, data }]) => [
          name,
          { shape, numbers: Float64Array.from(data as Float32Array) },
        ]),
      ),
    );
  }
  return results;
}

/** The mean cross-entropy of each label against its row of `y`. */
async function lossOf(fed: FedModel, bytes: Uint8Array): Promise<number> {
  const outputs = await runEach(fed, bytes, ['y']);
  const losses = outputs.flatMap((output, sample) => {
    const { numbers, shape } = output.get('y')!;
    const classes = shape.at(-1)!;
    const labels = [...sliceOf(fed.labels, fed.labelAxis ?? 0, sample).numbers].map(Number);
    assert.equal(numbers.length, labels.length * classes);
    return labels.map((label, row) => {
      const logits = [...numbers.subarray(row * classes, (row + 1) * classes)];
      const most = Math.max(...logits);
      return most + Math.log(logits.reduce((sum, z) => sum + Math.exp(z - most), 0)) - logits[label];
    });
  });
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

async function contextOf(t: TestContext, fed: FedModel) {
  const { directory, model, given } = await store(t, fed);
  const samples = checkSamples(given, modelInputs(await readStoredGraph(model)), 'calibration');
  return criterionContext(model, directory, samples);
}

/** A model that takes what one sample is, beside one whose batch is fixed to several. */
function alone(fed: FedModel): FedModel {
  const inputs = fed.inputs.map(([name, dims, dtype]): FedModel['inputs'][number] => {
    const axis = fed.axes?.[name] === undefined ? 0 : fed.axes[name];
    const isFixed = axis !== null && Number(dims[axis]) > 1;
    return [name, isFixed ? dims.with(axis, 1) : dims, dtype];
  });
  return {
    ...fed,
    inputs,
    outputs: fed.outputs.map(([name, dims, dtype]) => [name, dims.map((_, i) => `${name}${i}`), dtype]),
  };
}

describe('samples are taken as one by one', () => {
  for (const [name, fed] of Object.entries(MODELS)) {
    const single = alone(fed);
    test(`wanda, of ${name}`, async (t) => {
      const context = await contextOf(t, fed);
      assert.equal(context.calibration?.nSamples, fed.nSamples);
      const names = Object.keys(fed.weights);
      const scores = await scoresOf('wanda', context, names);
      const values = await runEach(
        single,
        bytesOf(
          single,
          Object.values(fed.weights).filter((value) => !fed.inputs.some(([input]) => input === value)),
        ),
        [
          ...new Set(
            Object.values(fed.weights).filter((value) => !fed.inputs.some(([input]) => input === value)),
          ),
        ],
      );
      for (const [weight, value] of Object.entries(fed.weights)) {
        const stored = fed.initializers.find((each) => each.name === weight)!;
        const [rows, columns] = stored.dims.map(Number);
        const w = new Float32Array(stored.rawData.buffer.slice(stored.rawData.byteOffset));
        const squares = Array<number>(rows).fill(0);
        for (const [sample, of] of values.entries()) {
          const feed = feedsOf(fed, sample).get(value);
          const x = of.get(value) ?? {
            numbers: Float64Array.from(feed!.data as Float32Array),
            shape: feed!.shape,
          };
          const { sums } = reduceFeatures(x.numbers, [x.numbers.length / rows, rows], 1, (v) => v * v);
          for (const [i, sum] of sums.entries()) squares[i] += sum;
        }
        const norms = squares.map(Math.sqrt);
        assertScores(
          scores.get(weight),
          products(w, norms, (i) => Math.floor(i / columns)),
          1e-5,
        );
      }
    });

    test(`the loss, and without labels the drift, of ${name}`, async (t) => {
      const { calibration, ...context } = await contextOf(t, fed);
      const samples = calibration as SampleSet;
      await using evaluator = await Evaluator.open({ ...context, samples });
      assert.equal(evaluator.nSamples, fed.nSamples);
      assert.ok(Math.abs(evaluator.dense.loss! - (await lossOf(single, bytesOf(single)))) < 1e-5);
      const { loss, accuracy } = await evaluator.measure(context.model);
      assert.deepEqual([loss, accuracy], [evaluator.dense.loss, evaluator.dense.accuracy]);
      await using unlabelled = await Evaluator.open({ ...context, samples: { ...samples, labels: null } });
      assert.equal((await unlabelled.measure(context.model)).relative_l2, 0);
      assert.ok((await unlabelled.latency(context.model)).dense_ms > 0);
    });

    test(`gradients, of ${name}`, async (t) => {
      const { calibration, ...context } = await contextOf(t, fed);
      const samples = calibration as SampleSet & { labels: NonNullable<SampleSet['labels']> };
      const names = Object.keys(fed.weights);
      for await (const { weight, values } of accumulateGradients(names, 'mean', { ...context, samples })) {
        const largest = values.reduce(
          (best, value, i) => (Math.abs(value) > Math.abs(values[best]) ? i : best),
          0,
        );
        for (const at of [largest, 0]) {
          const step = 2 ** -9;
          const losses = await Promise.all(
            [step, -step].map((by) => lossOf(single, bytesOf(moved(single, weight, at, by)))),
          );
          const slope = (losses[0] - losses[1]) / (2 * step);
          assert.ok(
            Math.abs(values[at] - slope) < 2e-3 * Math.abs(values[largest]) + 1e-5,
            `${weight} ${at}: ${values[at]}, not ${slope}`,
          );
        }
      }
    });
  }
});

/** A model one of whose weights is another. */
function moved(fed: FedModel, weight: string, at: number, by: number): FedModel {
  const initializers = fed.initializers.map((each) => {
    if (each.name !== weight) return each;
    const numbers = new Float32Array(each.rawData.slice().buffer);
    numbers[at] += by;
    return { ...each, rawData: new Uint8Array(numbers.buffer) };
  });
  return { ...fed, initializers };
}

describe('what does not depend on the samples', () => {
  /** Rows of a table, one for every step. */
  const COUNTED = [
    node('Shape', ['x'], ['shape']),
    node('Gather', ['shape', 'i1'], ['steps']),
    node('Range', ['i0', 'steps', 'i1'], ['range']),
    node('Gather', ['table', 'range'], ['places']),
  ];

  /** `x + places w1` into `w2`: the same for every sample, given or computed. */
  const parts = (places: FedModel['inputs']): FedModel => ({
    inputs: [['x', ['batch', 5, 8]], ...places],
    outputs: [['y', ['batch', 4]]],
    nodes: [
      ...(places.length > 0 ? [] : COUNTED),
      node('MatMul', ['places', 'w1'], ['p']),
      node('Add', ['x', 'p'], ['a']),
      node('Tanh', ['a'], ['r']),
      node('ReduceMean', ['r'], ['m'], { axes: [1], keepdims: 0 }),
      node('MatMul', ['m', 'w2'], ['y']),
    ],
    initializers: [
      tensor('w1', [6, 8], gaussians(48, 1)),
      tensor('w2', [8, 4], gaussians(32, 2)),
      ...(places.length > 0
        ? []
        : [tensor('table', [5, 6], gaussians(30, 3)), ...[0, 1].map((i) => integers(`i${i}`, [i], []))]),
    ],
    given: { x: normals([6, 5, 8], 4), ...(places.length > 0 ? { places: normals([5, 6], 3) } : {}) },
    shared: ['places'],
    labels: ids([6], 4),
    nSamples: 6,
    weights: { w1: 'places', w2: 'm' },
  });

  for (const [where, places] of [
    ['computed', []],
    ['given', [['places', [5, 6]]]],
  ] as [string, FedModel['inputs']][]) {
    test(`counts once for each of them, ${where}`, async (t) => {
      const scores = await scoresOf('wanda', await contextOf(t, parts(places)), ['w1']);
      const w = gaussians(48, 1);
      const { sums } = reduceFeatures(gaussians(30, 3), [5, 6], 1, (x) => 6 * x * x);
      assertScores(
        scores.get('w1'),
        products(w, sums.map(Math.sqrt), (i) => Math.floor(i / 8)),
      );
    });
  }
});
