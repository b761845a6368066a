import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { chooseRows } from '../../src/repair/choose-rows.ts';
import { inverseDiagonal } from '../../src/repair/inverse-diagonal.ts';
import { RowSolver } from '../../src/repair/row-solver.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';
import { assertNear } from '../models/model-pair.ts';
import { gaussians } from '../models/small-model.ts';
import { chooseRow } from './normal-equations.ts';

const signal = new AbortController().signal;

/** Groups of rows, what comes in now and came in before, and how many weights each row is to keep. */
interface Problem {
  readonly pruned: number[][][];
  readonly dense: number[][][];
  /** By group and row. */
  readonly weights: number[][][];
  readonly counts: number[][];
}

describe('chooseRows', () => {
  let solver: RowSolver;
  before(async () => {
    solver = await RowSolver.open(RUNTIME);
  });
  after(() => solver[Symbol.asyncDispose]());

  async function choose({ pruned, dense, weights, counts }: Problem) {
    const [groups, rows, features] = [weights.length, weights[0].length, weights[0][0].length];
    const product = (x: number[][], values: (row: number[], at: number) => number) =>
      Array.from({ length: features }, (_, i) =>
        x.reduce((sum, row, at) => sum + row[i] * values(row, at), 0),
      );
    const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i], 0);
    const gram = pruned.flatMap((x) => product(x, () => 1).flatMap((_, j) => product(x, (row) => row[j])));
    const damping = pruned.map((x) => (0.01 * x.reduce((sum, row) => sum + dot(row, row), 0)) / features);
    const system = {
      ...{ groups, rows, features, places: 1, gram: Float64Array.from(gram) },
      sums: new Float64Array(groups * features),
      offsets: new Float64Array(groups * rows),
      products: Float64Array.from(
        weights.flatMap((own, group) =>
          own.flatMap((row) => product(pruned[group], (_, at) => dot(dense[group][at], row))),
        ),
      ),
      start: Float64Array.from(weights.flat(2)),
      damping: Float64Array.from(damping),
    };
    const inverse = new Float64Array(groups * features);
    for (const [group, value] of damping.entries()) {
      const own = system.gram.subarray(group * features ** 2, (group + 1) * features ** 2);
      if (value > 0) inverse.set(await inverseDiagonal(own, features, value, signal), group * features);
    }
    const scored = counts.flatMap((own) =>
      own.flatMap((count) => Array.from({ length: features }, (_, i) => Number(i >= features - count))),
    );
    const found = await chooseRows(system, Uint8Array.from(scored), inverse, solver);
    const cut = (all: Float64Array | Uint8Array) =>
      Array.from({ length: groups * rows }, (_, row) => [
        ...all.subarray(row * features, (row + 1) * features),
      ]);
    const kept = cut(found.kept).map((row) => [...row.keys()].filter((i) => row[i] === 1));
    return { rows: cut(found.rows), kept };
  }

  test('keeps and fits what the pseudo-code does, by elimination', async () => {
    const problem = fc
      .record({
        seed: fc.nat(1e6),
        groups: fc.integer({ min: 1, max: 2 }),
        rows: fc.integer({ min: 1, max: 4 }),
        features: fc.integer({ min: 1, max: 12 }),
        samples: fc.integer({ min: 4, max: 40 }),
        zeroEvery: fc.integer({ min: 2, max: 9 }),
      })
      .map(({ seed, groups, rows, features, samples, zeroEvery }): Problem => {
        const numbers = gaussians(groups * (2 * samples + rows) * features + groups * rows, seed);
        let used = 0;
        const next = () => numbers[used++];
        const matrix = (height: number) =>
          Array.from({ length: height }, () => Array.from({ length: features }, next));
        const byGroup = <T>(make: () => T) => Array.from({ length: groups }, make);
        const pruned = byGroup(() => matrix(samples));
        const change = byGroup(() => matrix(samples));
        return {
          pruned,
          dense: pruned.map((x, group) =>
            x.map((row, at) => row.map((value, i) => value + 0.3 * change[group][at][i])),
          ),
          weights: byGroup(() =>
            matrix(rows).map((row, at) =>
              row.map((value, i) => ((at + i) % zeroEvery === zeroEvery - 1 ? 0 : value)),
            ),
          ),
          counts: byGroup(() =>
            Array.from({ length: rows }, () => Math.floor(Math.abs(next()) * 1e4) % (features + 1)),
          ),
        };
      });
    await fc.assert(
      fc.asyncProperty(problem, async ({ pruned, dense, weights, counts }) => {
        const found = await choose({ pruned, dense, weights, counts });
        for (const [row, expected] of weights
          .flatMap((own, group) =>
            own.map((weights, row) =>
              chooseRow({ dense: dense[group], pruned: pruned[group], weights }, counts[group][row]),
            ),
          )
          .entries()) {
          assert.deepEqual(found.kept[row], expected.kept);
          assert.equal(found.kept[row].length, counts.flat()[row]);
          assertNear(found.rows[row], expected.row, 1e-4);
        }
        for (const [row, weights_] of weights.flat().entries())
          for (const [i, value] of weights_.entries())
            if (value === 0 || !found.kept[row].includes(i)) assert.ok(Object.is(found.rows[row][i], 0));
      }),
      { seed: 7, numRuns: 60 },
    );
  });

  test('keeps of equal weights those that come first', async () => {
    const x = Array.from({ length: 6 }, (_, i) => Array.from({ length: 6 }, (_, j) => (i === j ? 2 : 0)));
    const found = await choose({
      pruned: [x],
      dense: [x],
      weights: [
        [
          [1, -1, 1, 1, -1, 1],
          [1, 2, 1, 2, 1, 1],
        ],
      ],
      counts: [[3, 4]],
    });
    assert.deepEqual(found.kept, [
      [0, 1, 2],
      [0, 1, 2, 3],
    ]);
    assert.deepEqual(found.rows[1].map(Math.fround), [1, 2, 1, 2, 0, 0]);
  });

  test('leaves to its scores what no sample reaches, beside a group that one does', async () => {
    const [some, none] = [4, 0].map((scale) =>
      [0, 1, 2].map((i) => [0, 1, 2].map((j) => (i === j ? scale : 0))),
    );
    const found = await choose({
      pruned: [none, some],
      dense: [none, some],
      weights: [[[3, 2, 1]], [[3, 2, 1]]],
      counts: [[2], [2]],
    });
    assert.deepEqual(found.kept, [
      [1, 2],
      [0, 1],
    ]);
    assert.deepEqual(found.rows[0], [0, 2, 1]);
  });
});
