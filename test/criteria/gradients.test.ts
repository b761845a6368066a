import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { describe, type TestContext, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import type { CriterionContext } from '../../src/criteria/context.ts';
import { score as taylor } from '../../src/criteria/weights/taylor.ts';
import { TensorProto_DataType, TensorProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import { node, tensor } from '../models/build-model.ts';
import {
  CLASSES,
  HIDDEN,
  INPUTS,
  meanOf,
  perceptron,
  perceptronContext,
  perceptronGradients,
  rmsOf,
  w1,
  w2,
} from '../models/perceptron.ts';
import { assertScores, type SmallModel } from '../models/small-model.ts';
import { criterionContext, scoresOf } from './run-criterion.ts';

const oracle = perceptronGradients();

async function contextOf(t: TestContext, change: Partial<SmallModel> = {}): Promise<CriterionContext> {
  const { model, scratchDirectory, samples } = await perceptronContext(t, change);
  return criterionContext(model, scratchDirectory, samples);
}

/** `|w|` times each, or only each. */
const times = (w: ArrayLike<number>, gradient: Float64Array) =>
  Array.from(gradient, (value, i) => Math.abs(w[i] * value));

describe('criteria by gradient', () => {
  const formulas = {
    taylor: [times(w1, meanOf(oracle.w1)), times(w2, meanOf(oracle.w2))],
    saliency: [[...meanOf(oracle.w1).map(Math.abs)], [...meanOf(oracle.w2).map(Math.abs)]],
    taylor_rms: [times(w1, rmsOf(oracle.w1)), times(w2, rmsOf(oracle.w2))],
    saliency_rms: [[...rmsOf(oracle.w1)], [...rmsOf(oracle.w2)]],
  };
  for (const criterion of ['taylor', 'saliency', 'taylor_rms', 'saliency_rms'] as const) {
    test(`${criterion} is its formula`, async (t) => {
      const context = await contextOf(t);
      const scores = await scoresOf(criterion, context, ['w1', 'w2']);
      assertScores(scores.get('w1'), formulas[criterion][0], 1e-4);
      assertScores(scores.get('w2'), formulas[criterion][1], 1e-4);
      assert.deepEqual((await readdir(context.scratchDirectory)).sort(), ['scores-0', 'scores-1']);
    });
  }

  test('scores are float32, but float64 of float64 weights, and of half weights as exact', async (t) => {
    const wide = create(TensorProtoSchema, {
      name: 'w1',
      dims: [BigInt(INPUTS), BigInt(HIDDEN)],
      dataType: TensorProto_DataType.DOUBLE,
      rawData: new Uint8Array(Float64Array.from(w1).buffer),
    });
    const context = await contextOf(t, {
      nodes: [
        node('Cast', ['w1'], ['narrow'], { to: 1 }),
        ...perceptron.nodes.with(0, node('MatMul', ['x', 'narrow'], ['h'])),
      ],
      initializers: [wide, ...perceptron.initializers!.slice(1)],
    });
    const tensors = context.model.inventory.tensors.filter(({ name }) => ['w1', 'w2'].includes(name));
    const ranges = await taylor(tensors, context);
    assert.deepEqual(
      ranges.map(({ dtype, n }) => [dtype, n]),
      [
        ['float64', INPUTS * HIDDEN],
        ['float32', HIDDEN * CLASSES],
      ],
    );
    const scores = await scoresOf('taylor', context, ['w1', 'w2']);
    assertScores(scores.get('w1'), formulas.taylor[0], 1e-4);
  });

  test('gradients as small as 1e-30 are told apart', async (t) => {
    const tiny = 1e-30;
    const context = await contextOf(t, {
      nodes: [
        ...perceptron.nodes.slice(0, -1),
        node('Mul', ['v', 'tiny'], ['faint']),
        node('MatMul', ['r', 'faint'], ['shift']),
        node('MatMul', ['r', 'matrix'], ['plain']),
        node('Add', ['plain', 'shift'], ['logits']),
      ],
      initializers: [
        ...perceptron.initializers!,
        tensor('v', [HIDDEN, CLASSES], new Float32Array(HIDDEN * CLASSES).fill(1)),
        tensor('tiny', [], Float32Array.of(tiny)),
      ],
    });
    const scores = await scoresOf('saliency', context, ['v', 'w2']);
    // The logits depend on v as they do on w2 transposed, but for the factors 1e-30 and 2.
    const expected = Array.from({ length: HIDDEN * CLASSES }, (_, at) => {
      const [h, c] = [Math.floor(at / CLASSES), at % CLASSES];
      return (Math.abs(meanOf(oracle.w2)[c * HIDDEN + h]) / 2) * Math.fround(tiny);
    });
    assertScores(scores.get('v'), expected, 1e-4);
  });
});
