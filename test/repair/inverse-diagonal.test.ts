import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inverseDiagonal } from '../../src/repair/inverse-diagonal.ts';
import { gaussians } from '../models/small-model.ts';
import { eliminate } from './normal-equations.ts';

const signal = new AbortController().signal;

test('inverseDiagonal: what elimination says, for any number of rows and for equations that damping alone can solve', async () => {
  for (let n = 1; n <= 14; n++) {
    for (const samples of [3, 40]) {
      const x = gaussians(samples * n, n);
      const gram = Float64Array.from({ length: n * n }, (_, at) => {
        let sum = 0;
        for (let row = 0; row < samples; row++)
          sum += x[row * n + Math.floor(at / n)] * x[row * n + (at % n)];
        return sum;
      });
      const before = gram.slice();
      const found = await inverseDiagonal(gram, n, 0.3, signal);
      assert.deepEqual(gram, before);
      assert.equal(found.length, n);
      for (const [i, value] of found.entries()) {
        const rows = Array.from({ length: n }, (_, j) => [
          ...gram.subarray(j * n, (j + 1) * n).map((entry, k) => entry + (j === k ? 0.3 : 0)),
          Number(i === j),
        ]);
        const expected = eliminate(rows)[i];
        assert.ok(Math.abs(value / expected - 1) < 1e-9, `${n} rows, ${i}: ${value}, not ${expected}`);
      }
    }
  }
});

test('inverseDiagonal lets itself be interrupted', async () => {
  const n = 600;
  const matrix = new Float64Array(n * n);
  const controller = new AbortController();
  const reason = new Error('enough');
  const running = inverseDiagonal(matrix, n, 1, controller.signal);
  setImmediate(() => controller.abort(reason));
  await assert.rejects(running, reason);
});
