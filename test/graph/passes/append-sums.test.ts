import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GraphBuilder } from '../../../src/graph/graph-builder.ts';
import { appendSums, type Reduction } from '../../../src/graph/passes/append-sums.ts';
import { model, node } from '../../models/build-model.ts';
import { fed, nodesOf, outputsOf } from './pass-check.ts';

const SHAPE = [2, 3, 4];
const [, x] = fed('x', SHAPE);
const build = () =>
  model({
    nodes: [node('Identity', ['x'], ['y'])],
    inputs: [['x', SHAPE]],
    outputs: [['y', SHAPE]],
  });

const OF: Record<Reduction, (value: number) => number> = {
  sum: (value) => value,
  sum_of_squares: (value) => value ** 2,
  sum_of_magnitudes: Math.abs,
};

describe('appendSums', () => {
  for (const reduction of Object.keys(OF) as Reduction[]) {
    for (const trailing of [0, 1, null]) {
      test(`appends ${reduction} over features with ${trailing ?? 'any number of'} axes behind`, async () => {
        const proto = build();
        const axis = trailing === 0 ? 2 : 1;
        const builder = new GraphBuilder(proto.graph!, 'sum_', 17);
        const { sums, size } = appendSums(builder, { value: 'y', size: SHAPE[axis], trailing }, reduction);
        const results = await outputsOf(proto, ['x', x]);
        const expected = Array<number>(SHAPE[axis]).fill(0);
        for (const [i, value] of Array.from(x.data, Number).entries()) {
          expected[axis === 2 ? i % 4 : Math.floor(i / 4) % 3] += OF[reduction](value);
        }
        assert.deepEqual(results.get(sums)?.dtype, 'float64');
        for (const [i, value] of [...(results.get(sums)?.data ?? [])].entries())
          assert.ok(Math.abs(Number(value) - expected[i]) < 1e-12);
        assert.deepEqual([...(results.get(size)?.data ?? [])], [24n]);
        assert.equal(nodesOf(proto)[0], nodesOf(build())[0]);
      });
    }
  }
});
