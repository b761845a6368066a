import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { TensorProto_DataType } from '../../src/formats/onnx/onnx-schema.ts';
import { readStoredGraph } from '../../src/graph/interface.ts';
import { StagedRun } from '../../src/runtime/staged-run.ts';
import { integers, node, tensor } from '../models/build-model.ts';
import { assertNear, modelPair } from '../models/model-pair.ts';
import { gaussians, multiply, type SmallModel } from '../models/small-model.ts';

const [N, WIDTH, UNITS] = [7, 3, 200];
const x = gaussians(N * WIDTH, 1);
const [w, small, large] = [WIDTH ** 2, WIDTH, WIDTH * UNITS].map((size, i) => gaussians(size, 2 + i));
/** `a = x w`, `b = relu(a)`, `c = b large`, `d = b small`; `e` and `f` are `a` and `b` again, out of a sequence. */
const model: SmallModel = {
  xShape: [N, WIDTH],
  x,
  nodes: [
    node('MatMul', ['x', 'w'], ['a']),
    node('Relu', ['a'], ['b']),
    node('MatMul', ['b', 'large'], ['c']),
    node('MatMul', ['b', 'small'], ['d']),
    node('SequenceConstruct', ['a', 'b'], ['both']),
    node('SequenceAt', ['both', 'first'], ['e']),
    node('SequenceAt', ['both', 'second'], ['f']),
  ],
  initializers: [
    tensor('w', [WIDTH, WIDTH], w),
    tensor('large', [WIDTH, UNITS], large),
    tensor('small', [WIDTH, 1], small),
    integers('first', [0], []),
    integers('second', [1], []),
  ],
  outputs: ['c', 'd', 'e', 'f'],
};

const doubled = (numbers: Float32Array) => Float32Array.from(numbers, (value) => 2 * value);
const relu = (numbers: ArrayLike<number>) => Float32Array.from(numbers, (value) => Math.max(0, value));

/** Goes through the stages, and doubles the tensors `changed` after the first. Returns what each gives of its values, all samples together. */
async function run(
  t: TestContext,
  stages: readonly string[][],
  { maxKeptBytes, changed = [] }: { maxKeptBytes?: number; changed?: readonly ('w' | 'small' | 'large')[] },
) {
  const pair = await modelPair(t, model, {});
  const read = { ...pair.pruned, model: await readStoredGraph(pair.pruned) };
  const limit = maxKeptBytes === undefined ? {} : { maxKeptBytes };
  const staged = new StagedRun(read, stages, { ...pair, batchSize: 3, ...limit });
  const given = new Map<string, number[]>(stages.flat().map((name) => [name, []]));
  for (const names of stages) {
    const append = (builder: { output(name: string, type: number): string }) =>
      names.map((name) => builder.output(name, TensorProto_DataType.FLOAT));
    for await (const { results } of staged.next(append, () => new Map()))
      for (const name of names) given.get(name)?.push(...Array.from(results.get(name)?.data ?? [], Number));
    if (names !== stages[0]) continue;
    for (const name of changed)
      await pair.edits.write(
        name,
        (await pair.edits.read(name)).map((value) => 2 * value),
      );
  }
  return { given, passes: pair.passes.count };
}

describe('StagedRun', () => {
  const a = multiply(x, w, [N, WIDTH, WIDTH]);

  test('goes on from what it has kept, with the tensors as they are by then', async (t) => {
    const { given, passes } = await run(t, [['b'], ['c', 'd']], { changed: ['w', 'small', 'large'] });
    assertNear(given.get('b') ?? [], relu(a), 1e-6);
    assertNear(given.get('c') ?? [], multiply(relu(a), doubled(large), [N, WIDTH, UNITS]), 1e-6);
    assertNear(given.get('d') ?? [], multiply(relu(a), doubled(small), [N, WIDTH, 1]), 1e-6);
    assert.ok(Math.abs(passes - 1) < 1e-9, `${passes} passes`);
  });

  test('begins again where that would take too much memory', async (t) => {
    const stages = [['b'], ['c'], ['d']];
    const { given } = await run(t, stages, { changed: ['w'], maxKeptBytes: 4 * N * WIDTH - 1 });
    const again = relu(doubled(Float32Array.from(a)));
    assertNear(given.get('c') ?? [], multiply(again, large, [N, WIDTH, UNITS]), 1e-6);
    assertNear(given.get('d') ?? [], multiply(again, small, [N, WIDTH, 1]), 1e-6);
  });

  test('begins again where what is left is no tensor', async (t) => {
    const { given } = await run(t, [['f'], ['e']], { changed: ['w'] });
    assertNear(given.get('f') ?? [], relu(a), 1e-6);
    assertNear(given.get('e') ?? [], doubled(Float32Array.from(a)), 1e-6);
  });
});
