import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { accumulateGradients } from '../../src/autodiff/gradients.ts';
import { sizedByContent } from '../../src/graph/content-sizes.ts';
import { OnnxModel } from '../../src/graph/onnx-model.ts';
import { floats, type GraphParts, graph, integers, model, node, tensor } from '../models/build-model.ts';
import { gradientContext, meanOf, rmsOf } from '../models/perceptron.ts';
import { smallModel } from '../models/small-model.ts';

/** Samples `[STEPS, WIDTH]` whose largest number says how many of their steps count. */
const [N_SAMPLES, STEPS, WIDTH, CLASSES] = [12, 5, 2, 3];

/** The first sample counts one step, so that what is said of it is that it needs no sum. */
const stepsOf = (sample: number) => 1 + (sample % STEPS);

const x = Float32Array.from({ length: N_SAMPLES * STEPS * WIDTH }, (_, i) => Math.sin(i));
for (let sample = 0; sample < N_SAMPLES; sample++) x[sample * STEPS * WIDTH] = stepsOf(sample) + 0.25;
const w = Float32Array.from({ length: WIDTH * CLASSES }, (_, i) => Math.cos(i));
const gain = Float32Array.of(0.5, -1, 2);
const labels = BigInt64Array.from({ length: N_SAMPLES }, (_, sample) => BigInt(sample % CLASSES));

/** The logits are the mean, over the first `floor(max x)` steps, of `x w gain`. */
const trimmed = smallModel({
  nodes: [
    node('ReduceMax', ['x'], ['largest'], { keepdims: 0 }),
    node('Cast', ['largest'], ['steps'], { to: 7 }),
    node('Reshape', ['steps', 'one'], ['end']),
    node('MatMul', ['x', 'w'], ['products']),
    node('Slice', ['products', 'zero', 'end', 'one'], ['counted']),
    node('Mul', ['counted', 'gain'], ['scaled']),
    node('ReduceMean', ['scaled'], ['logits'], { axes: [1], keepdims: 0 }),
  ],
  initializers: [
    tensor('w', [WIDTH, CLASSES], w),
    tensor('gain', [1, CLASSES], gain),
    integers('zero', [0]),
    integers('one', [1]),
  ],
  outputs: ['logits'],
  xShape: [N_SAMPLES, STEPS, WIDTH],
  x,
});

/** Of one sample's cross-entropy, where `steps` of it count. */
function gradientsOf(sample: number, steps: number) {
  const means = Array.from({ length: WIDTH }, (_, i) => {
    let sum = 0;
    for (let step = 0; step < steps; step++) sum += x[(sample * STEPS + step) * WIDTH + i];
    return sum / steps;
  });
  const products = Array.from({ length: CLASSES }, (_, c) =>
    means.reduce((sum, mean, i) => sum + mean * w[i * CLASSES + c], 0),
  );
  const exponentials = products.map((product, c) => Math.exp(product * gain[c]));
  const total = exponentials.reduce((sum, value) => sum + value, 0);
  const toLogits = exponentials.map((value, c) => value / total - Number(labels[sample] === BigInt(c)));
  return {
    w: Float64Array.from(
      w,
      (_, at) => means[Math.floor(at / CLASSES)] * (toLogits[at % CLASSES] * gain[at % CLASSES]),
    ),
    gain: Float64Array.from(gain, (_, c) => toLogits[c] * products[c]),
  };
}

async function collect(t: TestContext, statistic: 'mean' | 'rms') {
  const context = await gradientContext(
    t,
    trimmed,
    { shape: [N_SAMPLES, STEPS, WIDTH], data: x },
    { shape: [N_SAMPLES], data: labels },
  );
  const found = new Map<string, Float64Array>();
  for await (const { weight, values } of accumulateGradients(['w', 'gain'], statistic, context)) {
    found.set(weight, values);
  }
  return found;
}

function assertClose(found: Float64Array | undefined, expected: Float64Array): void {
  for (const [i, value] of expected.entries()) {
    assert.ok(Math.abs((found?.[i] ?? Number.NaN) - value) < 1e-5, `${i}: ${found}, not ${expected}`);
  }
}

describe('gradients through sizes that depend on what is in a sample', () => {
  for (const [statistic, combine] of [
    ['rms', rmsOf],
    ['mean', meanOf],
  ] as const) {
    test(`${statistic}`, async (t) => {
      const found = await collect(t, statistic);
      // All samples of a batch have the steps of the one that has most.
      const steps = (sample: number) => (statistic === 'rms' ? stepsOf(sample) : STEPS);
      const expected = Array.from({ length: N_SAMPLES }, (_, sample) => gradientsOf(sample, steps(sample)));
      assertClose(found.get('w'), combine(expected.map(({ w }) => w)));
      assertClose(found.get('gain'), combine(expected.map(({ gain }) => gain)));
    });
  }
});

describe('values whose sizes may depend on what is in a sample', () => {
  const find = (parts: GraphParts) => [
    ...sizedByContent(new OnnxModel(model({ inputs: ['x'], ...parts })).graph),
  ];

  test('are those after sizes made of numbers, not those after sizes made of sizes', () => {
    const nodes = [
      node('Shape', ['x'], ['shape']),
      node('ReduceMax', ['shape'], ['most'], { keepdims: 0 }),
      node('Range', ['zero', 'most', 'one'], ['places']),
      node('Gather', ['x', 'places'], ['picked']),
      node('Reshape', ['picked', 'shape'], ['reshaped']),
      node('Cast', ['x'], ['integers'], { to: 7 }),
      node('Gather', ['table', 'integers'], ['embedded']),
      node('TopK', ['embedded', 'one'], ['values', 'indices']),
      node('NonZero', ['x'], ['found']),
      node('Transpose', ['found'], ['turned']),
      node('Shape', ['turned'], ['counts']),
      node('Expand', ['table', 'counts'], ['expanded']),
      node('Reshape', ['x', 'integers'], ['by_content']),
      node('Slice', ['table', 'zero', 'integers'], ['sliced']),
    ];
    const outputs = ['expanded'];
    const initializers = [floats('table', [4]), integers('zero', [0], []), integers('one', [1], [])];
    const expected = ['found', 'turned', 'counts', 'expanded', 'by_content', 'sliced'];
    assert.deepEqual(find({ nodes, outputs, initializers }), expected);
  });

  test('are not what has the sizes of another value that they are written into', () => {
    const nodes = [
      node('NonZero', ['x'], ['found']),
      node('Transpose', ['found'], ['places']),
      node('GatherND', ['x', 'places'], ['numbers']),
      node('ScatterND', ['x', 'places', 'numbers'], ['written']),
      node('ScatterElements', ['written', 'found', 'numbers'], ['again']),
      node('ScatterND', ['numbers', 'places', 'x'], ['sized']),
    ];
    const expected = ['found', 'places', 'numbers', 'sized'];
    assert.deepEqual(find({ nodes, outputs: ['again', 'sized'] }), expected);
  });

  test('are all that come of loops and unknown operators, unless these read no numbers', () => {
    const body = graph({
      nodes: [node('Identity', ['x'], ['inner'])],
      inputs: ['n', 'on'],
      outputs: ['on', 'inner'],
    });
    const blind = graph({
      nodes: [node('Identity', ['shape'], ['i'])],
      inputs: ['m', 'go'],
      outputs: ['go', 'i'],
    });
    const nodes = [
      node('Shape', ['x'], ['shape']),
      node('Loop', ['shape', ''], ['looped'], { body }),
      node('Loop', ['shape', ''], ['sizes'], { body: blind }),
      node('Fancy', ['x'], ['a'], {}, 'com.example'),
      node('Fancy', ['shape'], ['b'], {}, 'com.example'),
    ];
    assert.deepEqual(find({ nodes, outputs: ['a'] }), ['looped', 'a']);
  });

  test('are of a branch those of its graphs, and all where numbers choose it', () => {
    const branches = (from: string, name: string) => {
      const one = (suffix: string) =>
        graph({ nodes: [node('Identity', [from], [`${name}_${suffix}`])], outputs: [`${name}_${suffix}`] });
      return { then_branch: one('then'), else_branch: one('else') };
    };
    const nodes = [
      node('Shape', ['x'], ['shape']),
      node('Cast', ['shape'], ['by_size'], { to: 9 }),
      node('Cast', ['x'], ['by_content'], { to: 9 }),
      node('NonZero', ['x'], ['found']),
      node('If', ['by_size'], ['same'], branches('x', 'a')),
      node('If', ['by_content'], ['chosen'], branches('x', 'b')),
      node('If', ['by_size'], ['sized'], branches('found', 'c')),
    ];
    assert.deepEqual(find({ nodes, outputs: ['same'] }), ['found', 'chosen', 'c_then', 'c_else', 'sized']);
  });
});
