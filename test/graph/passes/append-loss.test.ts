import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import type { Fetched } from '../../../src/formats/numbers.ts';
import { toFloat64 } from '../../../src/formats/numbers.ts';
import {
  ModelProtoSchema,
  type NodeProto,
  ValueInfoProtoSchema,
} from '../../../src/formats/onnx/onnx-schema.ts';
import { GraphBuilder } from '../../../src/graph/graph-builder.ts';
import { readStoredModel } from '../../../src/graph/inventory.ts';
import { OnnxModel } from '../../../src/graph/onnx-model.ts';
import { appendLoss, type LossHead } from '../../../src/graph/passes/append-loss.ts';
import type { Size, ValueFacts } from '../../../src/graph/value-facts.ts';
import { readBatches } from '../../../src/runtime/batches.ts';
import { Evaluator } from '../../../src/runtime/evaluation.ts';
import { float32, prepareStored, runModel } from '../../autodiff/prepared.ts';
import { RUNTIME, testFolder } from '../../criteria/run-criterion.ts';
import { elements, node } from '../../models/build-model.ts';
import { gaussians, smallModel } from '../../models/small-model.ts';
import { fixtureSamples } from '../../runtime/samples.ts';
import { sharedFixtures } from '../../shared.ts';

function factsOf(shapes: Record<string, readonly Size[]>): ValueFacts {
  return { shapeOf: (name) => shapes[name] ?? null, constantOf: () => null };
}

interface Case {
  readonly name: string;
  /** From `x` to `y`. */
  readonly nodes: NodeProto[];
  readonly xShape: number[];
  readonly kind: LossHead['kind'];
  readonly labels: { readonly dtype: string; readonly shape: number[]; readonly numbers: number[] };
  /** In float64, of the numbers that the last Softmax or Sigmoid reads: the sum, and how many count. */
  readonly reference: (z: Float64Array, labels: readonly number[]) => { loss: number; count: number };
}

/** Of rows of `classes` numbers. */
function referenceCrossEntropy(classes: number) {
  return (z: Float64Array, labels: readonly number[]) => {
    let loss = 0;
    for (const [row, label] of labels.entries()) {
      const numbers = z.subarray(row * classes, (row + 1) * classes);
      if (label !== -100) loss += Math.log(numbers.reduce((sum, v) => sum + Math.exp(v), 0)) - numbers[label];
    }
    return { loss, count: labels.filter((label) => label !== -100).length };
  };
}

function referenceBinary(z: Float64Array, labels: readonly number[]) {
  let loss = 0;
  for (const [i, t] of labels.entries()) {
    const p = 1 / (1 + Math.exp(-z[i]));
    if (t !== -100) loss -= t * Math.log(p) + (1 - t) * Math.log(1 - p);
  }
  return { loss, count: labels.filter((t) => t !== -100).length };
}

const referenceSquares = (y: Float64Array, labels: readonly number[]) => ({
  loss: y.reduce((sum, value, i) => sum + (value - labels[i]) ** 2, 0),
  count: y.length,
});

const identity = () => [node('Identity', ['x'], ['y'])];
const CASES: readonly Case[] = [
  {
    name: 'class ids of logits [n, c]',
    nodes: identity(),
    xShape: [4, 3],
    kind: 'cross_entropy',
    labels: { dtype: 'int64', shape: [4], numbers: [0, 2, 1, 2] },
    reference: referenceCrossEntropy(3),
  },
  {
    name: 'class ids [n, 1] kept as floats, some ignored',
    nodes: identity(),
    xShape: [4, 3],
    kind: 'cross_entropy',
    labels: { dtype: 'float32', shape: [4, 1], numbers: [-100, 2, 1, -100] },
    reference: referenceCrossEntropy(3),
  },
  {
    name: 'sequences [n, t, c], some positions ignored',
    nodes: identity(),
    xShape: [2, 3, 4],
    kind: 'cross_entropy',
    labels: { dtype: 'int64', shape: [2, 3], numbers: [3, -100, 0, 1, 2, -100] },
    reference: referenceCrossEntropy(4),
  },
  {
    name: 'nothing that counts',
    nodes: identity(),
    xShape: [2, 3],
    kind: 'cross_entropy',
    labels: { dtype: 'int64', shape: [2], numbers: [-100, -100] },
    reference: referenceCrossEntropy(3),
  },
  {
    name: 'a model that ends in Softmax, and then some that changes no number',
    nodes: [
      node('Softmax', ['x'], ['p'], { axis: 2 }),
      node('Cast', ['p'], ['q'], { to: 1 }),
      node('Identity', ['q'], ['y']),
    ],
    xShape: [2, 3, 4],
    kind: 'cross_entropy',
    labels: { dtype: 'int64', shape: [2, 3], numbers: [3, 1, 0, -100, 2, 2] },
    reference: referenceCrossEntropy(4),
  },
  {
    name: 'a Softmax flattened, as older opsets had it',
    nodes: [
      node('Flatten', ['x'], ['flat'], { axis: 2 }),
      node('Softmax', ['flat'], ['p'], { axis: -1 }),
      node('Shape', ['x'], ['shape']),
      node('Reshape', ['p', 'shape'], ['y']),
    ],
    xShape: [2, 3, 4],
    kind: 'cross_entropy',
    labels: { dtype: 'int64', shape: [2, 3], numbers: [3, 1, 0, -100, 2, 2] },
    reference: referenceCrossEntropy(4),
  },
  {
    name: 'binary labels of a model that ends in Sigmoid',
    nodes: [node('Sigmoid', ['x'], ['y'])],
    xShape: [3, 2],
    kind: 'binary_cross_entropy',
    labels: { dtype: 'int64', shape: [3, 2], numbers: [0, 1, -100, 1, 0, 0] },
    reference: referenceBinary,
  },
  {
    name: 'soft binary labels, one a sample',
    nodes: [node('Sigmoid', ['x'], ['y'])],
    xShape: [3, 1],
    kind: 'binary_cross_entropy',
    labels: { dtype: 'float64', shape: [3], numbers: [0.25, 1, 0] },
    reference: referenceBinary,
  },
  {
    name: 'floats of the output',
    nodes: identity(),
    xShape: [3, 2, 2],
    kind: 'mean_squared_error',
    labels: {
      dtype: 'float32',
      shape: [3, 2, 2],
      numbers: [1, -2, 3, 0.5, -100, 0, 1, 1, 2, 2, 3, 3],
    },
    reference: referenceSquares,
  },
  {
    name: 'one float a sample',
    nodes: identity(),
    xShape: [3, 1],
    kind: 'mean_squared_error',
    labels: { dtype: 'float32', shape: [3], numbers: [1, -2, 3] },
    reference: referenceSquares,
  },
];

/** The model with its loss, and the gradient of its input, which is what the loss is of. */
async function createLoss(t: TestContext, given: Omit<Case, 'reference' | 'name' | 'kind'>) {
  const { nodes, xShape, labels } = given;
  const proto = smallModel({ opset: 16, nodes, outputs: ['y'], xShape, x: new Float32Array() });
  const { graph } = new OnnxModel(proto);
  const builder = new GraphBuilder(proto.graph!, 'loss_', 16);
  const shape = ['varies' as const, ...xShape.slice(1)];
  const facts = factsOf({ x: shape, y: shape, flat: ['varies', xShape[xShape.length - 1]] });
  const head = appendLoss(graph, builder, facts, 'y', labels);
  for (const name of head.seeds.values()) {
    proto.graph!.output.push(create(ValueInfoProtoSchema, { name }));
  }
  const path = join(await testFolder(t), 'loss.onnx');
  await writeFile(path, toBinary(ModelProtoSchema, proto));
  const run = async (x: Float32Array, numbers: readonly number[]) => {
    const data =
      head.labelsDtype === 'int64' ? BigInt64Array.from(numbers, BigInt) : Float32Array.from(numbers);
    const n = x.length / elements(xShape.slice(1));
    const feed = { dtype: head.labelsDtype, shape: [n, ...labels.shape.slice(1)], data };
    const found = await runModel(
      path,
      new Map<string, Fetched>([
        ['x', float32([n, ...xShape.slice(1)], x)],
        [head.labelsInput, feed],
      ]),
    );
    const numbersOf = (name: string) => toFloat64(found.get(name)!.data);
    const [[value, seed]] = head.seeds;
    const sizes = value === 'flat' ? [-1, ...xShape.slice(-1)] : [-1, ...xShape.slice(1)];
    assert.deepEqual(found.get(seed)?.shape, [-x.length / elements(sizes), ...sizes.slice(1)]);
    assert.deepEqual([found.get(head.loss)?.shape, found.get(head.count)?.shape], [[], []]);
    return { loss: numbersOf(head.loss)[0], count: numbersOf(head.count)[0], seed: numbersOf(seed) };
  };
  return { head, run };
}

function assertNear(found: number, expected: number, scale = Math.abs(expected)): void {
  assert.ok(Math.abs(found - expected) <= 2e-6 * Math.max(scale, 1e-3), `${found}, not ${expected}`);
}

describe('losses, and their gradients against finite differences', () => {
  for (const { name, kind, reference, ...given } of CASES) {
    test(name, async (t) => {
      const x = gaussians(elements(given.xShape), 8);
      const { numbers } = given.labels;
      const { head, run } = await createLoss(t, given);
      assert.equal(head.kind, kind);
      const found = await run(x, numbers);
      const expected = reference(Float64Array.from(x), numbers);
      assertNear(found.loss, expected.loss);
      assert.equal(found.count, expected.count);
      for (const i of x.keys()) {
        const moved = (step: number) => {
          const z = Float64Array.from(x);
          z[i] += step;
          return reference(z, numbers).loss;
        };
        const slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assertNear(found.seed[i], slope, Math.max(1, Math.abs(slope)));
      }
      const half = numbers.length / given.labels.shape[0];
      const first = await run(x.slice(0, x.length / given.xShape[0]), numbers.slice(0, half));
      const rest = await run(x.slice(x.length / given.xShape[0]), numbers.slice(half));
      assertNear(first.loss + rest.loss, expected.loss);
      assert.equal(first.count + rest.count, expected.count);
    });
  }

  test('nothing overflows where Softmax and Sigmoid do', async (t) => {
    const softmax = await createLoss(t, {
      nodes: [node('Softmax', ['x'], ['y'])],
      xShape: [2, 2],
      labels: { dtype: 'int64', shape: [2], numbers: [] },
    });
    const classes = await softmax.run(Float32Array.of(1000, -1000, -1000, 1000), [1, 1]);
    assert.deepEqual([classes.loss, ...classes.seed], [2000, 1, -1, 0, 0]);
    const sigmoid = await createLoss(t, {
      nodes: [node('Sigmoid', ['x'], ['y'])],
      xShape: [2, 2],
      labels: { dtype: 'float32', shape: [2, 2], numbers: [] },
    });
    const binary = await sigmoid.run(Float32Array.of(1000, -1000, 1000, -1000), [0, 1, 1, 0]);
    assert.deepEqual([binary.loss, ...binary.seed], [2000, 1, -1, 0, 0]);
  });

  test('a position that does not count may be NaN', async (t) => {
    const { run } = await createLoss(t, {
      nodes: identity(),
      xShape: [2, 2],
      labels: { dtype: 'int64', shape: [2], numbers: [] },
    });
    const { loss, seed } = await run(Float32Array.of(Number.NaN, 1, 0, 0), [-100, 0]);
    assertNear(loss, Math.LN2);
    assert.deepEqual([...seed], [0, 0, -0.5, 0.5]);
  });
});

describe('losses that are refused', () => {
  const refused: [string, NodeProto[], readonly Size[], number[], string, string][] = [
    ['labels of another length', identity(), ['varies', 5, 3], [2, 4], 'samples_mismatch', '[?,5,3]'],
    ['labels without axes', identity(), ['varies'], [], 'samples_mismatch', 'expected floats [n]'],
    ['an open last axis', identity(), ['varies', 'varies'], [2], 'unsupported_model', 'no fixed size'],
    [
      'a Softmax over another axis',
      [node('Softmax', ['x'], ['y'], { axis: 1 })],
      ['varies', 5, 3],
      [2, 5],
      'unsupported_model',
      'Softmax over another axis',
    ],
  ];
  for (const [name, nodes, shape, labels, code, text] of refused) {
    test(name, () => {
      const proto = smallModel({ nodes, outputs: ['y'], xShape: [1], x: new Float32Array(1) });
      const { graph } = new OnnxModel(proto);
      const builder = new GraphBuilder(proto.graph!, 'loss_', 16);
      const facts = factsOf({ x: shape, y: shape });
      assert.throws(
        () => appendLoss(graph, builder, facts, 'y', { dtype: 'int64', shape: labels }),
        (error: Error & { code?: string }) => error.code === code && error.message.includes(text),
      );
    });
  }
});

describe('the loss of a prepared model is that of the evaluation', () => {
  for (const folder of ['fc2-mnist', 'fc5-fashion', 'cnn-fashion', 'kan-mnist', 'llama-tiny']) {
    const fixtures = sharedFixtures();
    test(folder, { skip: fixtures === null && 'shared/fixtures is absent: not run' }, async (t) => {
      const stored = join(fixtures ?? '', folder);
      const all = await fixtureSamples(folder, 'eval');
      const nSamples = folder === 'llama-tiny' ? 4 : 64;
      const labels = { ...all.labels!, shape: [nSamples, ...all.labels!.shape.slice(1)] };
      const samples = { ...all, nSamples, labels };
      const { signal } = new AbortController();
      await using evaluator = await Evaluator.open({
        model: await readStoredModel(stored, ['model.onnx']),
        samples,
        scratchDirectory: stored,
        runtime: RUNTIME,
        signal,
        onSamples: () => {},
      });

      const { proto, model, directory } = await prepareStored(t, stored, ['model.onnx']);
      const builder = new GraphBuilder(proto.graph!, 'loss_', 16);
      const shape = folder === 'llama-tiny' ? ['varies' as const, 128, 256] : ['varies' as const, 10];
      const head = appendLoss(model.graph, builder, factsOf({ logits: shape }), 'logits', labels);
      const path = join(directory, 'loss.onnx');
      await writeFile(path, toBinary(ModelProtoSchema, proto));
      let [loss, count] = [0, 0];
      for await (const batch of readBatches(samples, 16, signal)) {
        const ids = BigInt64Array.from(batch.labels!, BigInt);
        const feed = { dtype: 'int64', shape: [batch.count, ...labels.shape.slice(1)], data: ids };
        const found = await runModel(path, new Map([...batch.feeds, [head.labelsInput, feed]]));
        loss += Number(found.get(head.loss)?.data[0]);
        count += Number(found.get(head.count)?.data[0]);
      }
      assert.equal(count, evaluator.nPositions);
      assertNear(loss / count, evaluator.dense.loss!);
    });
  }
});
