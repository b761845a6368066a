import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { sharedSupport } from '../../src/repair/direct-solver.ts';
import { RowSolver } from '../../src/repair/row-solver.ts';
import type { RowSystem } from '../../src/repair/row-system.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';
import { gaussians } from '../models/small-model.ts';
import { rowsOf } from './matrices.ts';
import { solveRow } from './normal-equations.ts';

const SAMPLES = 40;
const GROUPS = 2;

/** Groups of rows, with what comes into the pruned and the dense layers, and what solves them. */
function problem({ rows, features, zeroAt }: Sizes) {
  const matrix = (height: number, seed: number) => rowsOf(gaussians(height * features, seed), features);
  const groups = Array.from({ length: GROUPS }, (_, group) => {
    const pruned = matrix(SAMPLES, 3 * group + 1);
    const change = matrix(SAMPLES, 3 * group + 2);
    const weights = matrix(rows, 3 * group + 3);
    const start = weights.map((row, at) => row.map((value, i) => (zeroAt(at, i, group) ? 0 : value)));
    const dense = pruned.map((row, at) => row.map((value, i) => value + 0.3 * change[at][i]));
    return { pruned, dense, weights, start };
  });
  const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const sumOf = (count: number, term: (at: number) => number) =>
    Array.from({ length: count }, (_, at) => term(at)).reduce((sum, value) => sum + value, 0);
  const all = [...Array(features).keys()];
  const gram = groups.flatMap(({ pruned }) =>
    all.flatMap((i) => all.map((j) => sumOf(SAMPLES, (at) => pruned[at][i] * pruned[at][j]))),
  );
  const products = groups.flatMap(({ pruned, dense, weights }) =>
    weights.flatMap((row) => all.map((i) => sumOf(SAMPLES, (at) => dot(dense[at], row) * pruned[at][i]))),
  );
  const damping = groups.map(({ pruned }) => (0.01 * pruned.reduce((s, x) => s + dot(x, x), 0)) / features);
  const system: RowSystem = {
    ...{ groups: GROUPS, rows, features, places: 1 },
    gram: Float64Array.from(gram),
    products: Float64Array.from(products),
    damping: Float64Array.from(damping),
    start: Float64Array.from(groups.flatMap(({ start }) => start.flat())),
    sums: new Float64Array(GROUPS * features),
    offsets: new Float64Array(GROUPS * rows),
  };
  const expected = groups.flatMap(({ pruned, dense, weights, start }) =>
    weights.flatMap((row, at) => solveRow({ pruned, dense, weights: row, start: start[at] })),
  );
  return { system, expected };
}

interface Sizes {
  readonly rows: number;
  readonly features: number;
  readonly zeroAt: (row: number, feature: number, group: number) => boolean;
}

function assertSolves(found: Float64Array, expected: readonly number[], tolerance: number): void {
  for (const [i, value] of found.entries())
    assert.ok(Math.abs(value - expected[i]) < tolerance, `${i}: ${value}, not ${expected[i]}`);
}

describe('RowSolver', () => {
  let solver: RowSolver;
  before(async () => {
    solver = await RowSolver.open(RUNTIME);
  });
  after(() => solver[Symbol.asyncDispose]());

  test('solves rows that share their zeros as elimination does', async () => {
    for (const zeroAt of [() => false, (_: number, i: number, group: number) => i % 5 === 2 * group]) {
      const { system, expected } = problem({ rows: 3, features: 12, zeroAt });
      assert.ok(sharedSupport(system));
      assertSolves(await solver.solve(system), expected, 1e-10);
    }
  });

  test('solves the same equations with other zeros, and other right sides, anew', async () => {
    const { system } = problem({ rows: 3, features: 12, zeroAt: () => false });
    await solver.solve(system);
    const zeroAt = (_: number, i: number) => i % 4 === 1;
    const other = problem({ rows: 3, features: 12, zeroAt });
    assertSolves(await solver.solve({ ...other.system, gram: system.gram }), other.expected, 1e-10);
    const doubled = system.products.map((value) => 2 * value);
    const start = system.start.map((value) => 2 * value);
    const once = await solver.solve(system);
    assertSolves(
      await solver.solve({ ...system, products: doubled, start }),
      [...once].map((value) => 2 * value),
      1e-10,
    );
  });

  test('iterates where rows have zeros of their own, or are few for their features', async () => {
    const own = { rows: 4, features: 12, zeroAt: (row: number, i: number) => (row + i) % 3 === 0 };
    const few = { rows: 1, features: 33, zeroAt: () => false };
    for (const sizes of [own, few]) {
      const { system, expected } = problem(sizes);
      assert.equal(sharedSupport(system), null);
      assertSolves(await solver.solve(system), expected, 1e-4);
    }
  });

  test('leaves a group that no sample reaches, beside one that some do', async () => {
    const { system, expected } = problem({ rows: 3, features: 8, zeroAt: () => false });
    const [half, square] = [3 * 8, 8 * 8];
    const reached = {
      ...system,
      gram: system.gram.map((value, i) => (i < square ? 0 : value)),
      products: system.products.map((value, i) => (i < half ? 0 : value)),
      damping: Float64Array.of(0, system.damping[1]),
    };
    const found = await solver.solve(reached);
    assert.deepEqual(found.subarray(0, half), system.start.subarray(0, half));
    assertSolves(found.subarray(half), expected.slice(half), 1e-10);
  });

  test('gives rows back bit by bit where nothing but rounding is left of their equations', async () => {
    const { system } = problem({ rows: 3, features: 8, zeroAt: () => false });
    const products = system.products.slice();
    for (let at = 0; at < products.length; at++) {
      const [row, i] = [Math.floor(at / 8), at % 8];
      const group = Math.floor(row / 3);
      products[at] = 0;
      for (let j = 0; j < 8; j++)
        products[at] += system.start[row * 8 + j] * system.gram[(group * 8 + j) * 8 + i];
    }
    const rounded = Float64Array.from(products, Math.fround);
    assert.deepEqual(await solver.solve({ ...system, products: rounded }), system.start);
    rounded[0] *= 1.01;
    assert.notDeepEqual(await solver.solve({ ...system, products: rounded }), system.start);
  });
});
