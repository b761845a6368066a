import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FLOAT_DTYPES, type FloatDtype } from '../../src/core/dtype.ts';
import { EmpError } from '../../src/core/errors.ts';
import { readScoreArrays } from '../../src/formats/score-file.ts';
import {
  decode,
  encode,
  readTensors,
  type SmallTensor,
  unpack,
  writeSmallModel,
} from '../models/small-safetensors.ts';
import { empCount, naiveKeep, naiveRows } from './oracle.ts';
import { pruneFiles, sha256Of } from './prune-files.ts';

/** Gaussian values with many repeated ones, so that thresholds fall on ties. */
function randomValues(n: number, seed: number): number[] {
  let state = seed >>> 0 || 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 1) / 2 ** 32;
  };
  return Array.from({ length: n }, () => {
    const gaussian = Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next());
    return next() < 0.3 ? Math.round(gaussian * 4) / 4 : gaussian;
  });
}

function linear(name: string, out: number, into: number, dtype: FloatDtype, seed: number): SmallTensor {
  return { name: `${name}.weight`, dtype, shape: [out, into], values: randomValues(out * into, seed) };
}

/** The values a file of that dtype really holds. */
function stored({ values, dtype }: SmallTensor): number[] {
  return decode(encode(values, dtype), dtype);
}

function expectedKeep(tensors: readonly SmallTensor[], scope: string, beta: number): Map<string, boolean[]> {
  const count = empCount(beta);
  if (scope === 'global') {
    const all = naiveKeep(tensors.flatMap(stored), count);
    let offset = 0;
    return new Map(
      tensors.map(({ name, values }) => {
        offset += values.length;
        return [name, all.slice(offset - values.length, offset)];
      }),
    );
  }
  return new Map(
    tensors.map((tensor) => {
      const values = stored(tensor);
      if (scope === 'layer') return [tensor.name, naiveKeep(values, count)];
      const [units, inner] = tensor.shape;
      const keep: boolean[] = [];
      for (const row of naiveRows({ outer: 1, reduced: 1, units, inner })) {
        const rowKeep = naiveKeep(
          row.map((i) => values[i]),
          count,
        );
        row.forEach((flat, i) => {
          keep[flat] = rowKeep[i];
        });
      }
      return [tensor.name, keep];
    }),
  );
}

describe('prune agrees with the definition', () => {
  for (const scope of ['global', 'layer', 'row']) {
    test(`scope ${scope}, all dtypes mixed, ties included`, async () => {
      const dtype = fc.constantFrom(...FLOAT_DTYPES);
      const size = fc.integer({ min: 1, max: 90 });
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(size, size, dtype, fc.integer()), { minLength: 1, maxLength: 4 }),
          fc.constantFrom(0.3, 1, 2),
          async (shapes, beta) => {
            const tensors = shapes.map(([out, into, type, seed], i) =>
              linear(`layers.${i}`, out, into, type, seed),
            );
            await using model = await writeSmallModel(tensors);
            await using pruned = await pruneFiles(model.path, { scope, beta });
            const masks = await readTensors(join(pruned.directory, 'masks.safetensors'));
            const weights = await readTensors(join(pruned.directory, 'model.safetensors'));
            for (const tensor of tensors) {
              const keep = expectedKeep(tensors, scope, beta).get(tensor.name) ?? [];
              const n = tensor.values.length;
              assert.deepEqual(unpack(masks.get(tensor.name) ?? new Uint8Array(), n), keep);
              const values = stored(tensor).map((value, i) => (keep[i] ? value : 0));
              assert.deepEqual(decode(weights.get(tensor.name) ?? new Uint8Array(), tensor.dtype), values);
              const report = pruned.report.tensors.find(({ name }) => name === tensor.name);
              assert.equal(report?.n_keep, keep.filter(Boolean).length);
            }
          },
        ),
        { numRuns: 25 },
      );
    });
  }
});

describe('the same job gives the same bytes', () => {
  const tensors = [
    linear('a', 300, 410, 'bfloat16', 1),
    linear('b', 512, 2100, 'bfloat16', 2),
    { ...linear('c', 40, 33, 'bfloat16', 3), name: 'c.bias' },
  ];
  for (const scope of ['global', 'layer', 'row']) {
    test(`scope ${scope}: for 1, 2 and 3 threads and any chunk size`, async () => {
      await using model = await writeSmallModel(tensors);
      const hashes = new Set<string>();
      for (const [threads, chunkElements] of [
        [1, 2 ** 18],
        [2, 2 ** 18],
        [3, 4096],
        [2, 3 * 4096],
      ]) {
        await using pruned = await pruneFiles(model.path, { scope }, { threads, chunkElements });
        hashes.add(JSON.stringify(pruned.artifacts));
      }
      assert.equal(hashes.size, 1, [...hashes].join('\n'));
    });
  }
});

describe('recipe', () => {
  const tensors = [linear('wide', 100, 60, 'float32', 4), linear('narrow', 20, 30, 'float32', 5)];
  const scaled = [tensors[0], { ...tensors[1], values: tensors[1].values.map((value) => value * 0.001) }];

  test('min_density keeps the highest scores of a layer that the global threshold would empty', async () => {
    await using model = await writeSmallModel(scaled);
    await using plain = await pruneFiles(model.path, {});
    const narrow = (pruned: typeof plain) =>
      pruned.report.tensors.find(({ name }) => name === 'narrow.weight');
    assert.equal(narrow(plain)?.n_keep, 0);
    await using raised = await pruneFiles(model.path, { min_density: 0.25 });
    assert.equal(narrow(raised)?.n_keep, 150);
    const masks = await readTensors(join(raised.directory, 'masks.safetensors'));
    const keep = naiveKeep(stored(scaled[1]), () => 150);
    assert.deepEqual(unpack(masks.get('narrow.weight') ?? new Uint8Array(), 600), keep);
    assert.ok(raised.report.verdict.warnings.some(({ code }) => code === 'min_density_applied'));
    assert.equal(raised.report.tensors[0].n_keep, plain.report.tensors[0].n_keep);
  });

  test('budget fixes the sparsity of every group', async () => {
    await using model = await writeSmallModel(tensors);
    for (const scope of ['global', 'layer']) {
      await using pruned = await pruneFiles(model.path, { scope, budget: { sparsity: 0.5 } });
      assert.equal(pruned.report.total.n_keep, 3300);
    }
    await using rows = await pruneFiles(model.path, { scope: 'row', budget: { sparsity: 0.9 } });
    assert.equal(rows.report.total.n_keep, 100 * 6 + 20 * 3);
  });

  test('dry_run writes masks and a report, and no model', async () => {
    await using model = await writeSmallModel(tensors);
    await using wet = await pruneFiles(model.path, {});
    await using dry = await pruneFiles(model.path, { dry_run: true });
    assert.deepEqual(
      dry.artifacts.map(({ name }) => name),
      ['masks.safetensors', 'report.json', 'report.html', 'report.md'],
    );
    assert.deepEqual(dry.report.tensors, wet.report.tensors);
    assert.equal(dry.report.sizes.pruned_bytes, null);
  });

  test('include and exclude choose tensors, and a glob that matches nothing is refused', async () => {
    await using model = await writeSmallModel(tensors);
    await using pruned = await pruneFiles(model.path, { exclude: ['wide.*'] });
    assert.deepEqual(
      pruned.report.tensors.map(({ name }) => name),
      ['narrow.weight'],
    );
    await assert.rejects(pruneFiles(model.path, { include: ['*.wieght'] }), (error) => {
      assert.ok(error instanceof EmpError);
      assert.equal(error.code, 'invalid_request');
      assert.equal(error.findings[0].path, '/recipe/include/0');
      return true;
    });
    await assert.rejects(pruneFiles(model.path, { exclude: ['**'] }), { code: 'no_prunable_tensors' });
  });

  test('criterion scores takes the uploaded arrays, signs and all, whatever their dtype', async () => {
    await using model = await writeSmallModel(tensors);
    const scores = tensors.map((tensor, i) => ({
      ...tensor,
      dtype: 'float64' as const,
      values: randomValues(tensor.values.length, 77 + i),
    }));
    await using file = await writeSmallModel(scores);
    const arrays = await readScoreArrays({ format: 'safetensors', path: file.path });
    await using pruned = await pruneFiles(
      model.path,
      { criterion: 'scores', scope: 'layer' },
      { scores: arrays },
    );
    const masks = await readTensors(join(pruned.directory, 'masks.safetensors'));
    const weights = await readTensors(join(pruned.directory, 'model.safetensors'));
    scores.forEach(({ name, values }, i) => {
      const keep = naiveKeep(values, empCount(1));
      assert.deepEqual(unpack(masks.get(name) ?? new Uint8Array(), values.length), keep);
      const kept = stored(tensors[i]).map((value, j) => (keep[j] ? value : 0));
      assert.deepEqual(decode(weights.get(name) ?? new Uint8Array(), 'float32'), kept);
    });
    await assert.rejects(
      pruneFiles(model.path, { criterion: 'scores' }, { scores: arrays.slice(1) }),
      /no array named wide.weight/,
    );
    const transposed = arrays.map((array) => ({ ...array, shape: [...array.shape].reverse() }));
    await assert.rejects(
      pruneFiles(model.path, { criterion: 'scores' }, { scores: transposed }),
      /have shape \[60,100\]/,
    );
  });
});

describe('edge cases', () => {
  test('dropped weights become +0 and every other byte stays, negative zeros and biases included', async () => {
    const weight = { ...linear('a', 10, 10, 'float32', 9) };
    const values = weight.values.map((value, i) => (i % 7 === 0 ? -0 : value));
    const bias: SmallTensor = { name: 'a.bias', dtype: 'float32', shape: [4], values: [-0, 1, -2, 0] };
    await using model = await writeSmallModel([{ ...weight, values }, bias]);
    await using pruned = await pruneFiles(model.path, {});
    const before = await readTensors(model.path);
    const after = await readTensors(join(pruned.directory, 'model.safetensors'));
    assert.deepEqual(after.get('a.bias'), before.get('a.bias'));
    const keep = naiveKeep(stored({ ...weight, values }), empCount(1));
    const words = (bytes?: Uint8Array) =>
      Array.from(new Uint32Array(bytes?.slice().buffer ?? new ArrayBuffer()));
    const expected = words(before.get('a.weight')).map((word, i) => (keep[i] ? word : 0));
    assert.deepEqual(words(after.get('a.weight')), expected);
  });

  test('a tensor of zeros, and a row of zeros, have no N_eff and are left as they are', async () => {
    const dead = { ...linear('dead', 8, 8, 'float32', 1), values: Array<number>(64).fill(0) };
    const rowDead = linear('row', 4, 50, 'float32', 6);
    const values = rowDead.values.map((value, i) => (i < 50 ? 0 : value));
    await using model = await writeSmallModel([dead, { ...rowDead, values }]);
    await using layer = await pruneFiles(model.path, { scope: 'layer' });
    assert.equal(layer.report.tensors[0].n_keep, 64);
    assert.equal(layer.report.tensors[0].n_eff, null);
    assert.ok(layer.report.verdict.warnings.some(({ code }) => code === 'all_zero_tensor'));
    await using row = await pruneFiles(model.path, { scope: 'row', include: ['row.weight'] });
    const masks = await readTensors(join(row.directory, 'masks.safetensors'));
    assert.deepEqual(unpack(masks.get('row.weight') ?? new Uint8Array(), 50), Array(50).fill(true));
    assert.ok(
      row.report.verdict.warnings.some(
        ({ code, text }) => code === 'all_zero_rows' && text.includes('a row of zero scores'),
      ),
    );
  });

  test('a NaN weight is refused by tensor and index', async () => {
    const values = randomValues(64, 3).map((value, i) => (i === 41 ? Number.NaN : value));
    await using model = await writeSmallModel([
      linear('a', 4, 4, 'float32', 1),
      { ...linear('b', 8, 8, 'float16', 1), values },
    ]);
    for (const scope of ['global', 'layer', 'row']) {
      await assert.rejects(pruneFiles(model.path, { scope }), {
        code: 'non_finite_score',
        message:
          'a score of b.weight is NaN or infinite, at flat index 41: mend the weight, or what it is scored by, or leave the tensor out with exclude',
      });
    }
  });

  test('an aborted job stops within a second and rejects with the reason', async () => {
    await using model = await writeSmallModel([linear('a', 2000, 1500, 'float32', 1)]);
    const controller = new AbortController();
    const reason = new Error('enough');
    const started = pruneFiles(
      model.path,
      {},
      {
        signal: controller.signal,
        onProgress: (percent) => percent > 0 && controller.abort(reason),
      },
    );
    await assert.rejects(started, reason);
  });

  test('the same job writes the same report in every form', async () => {
    await using model = await writeSmallModel([linear('a', 30, 30, 'float32', 1)]);
    await using first = await pruneFiles(model.path, {});
    await using second = await pruneFiles(model.path, {}, { threads: 2 });
    for (const name of ['report.json', 'report.html', 'report.md'])
      assert.equal(
        await sha256Of(join(second.directory, name)),
        await sha256Of(join(first.directory, name)),
        name,
      );
  });

  test('the report names its artifacts by their hashes', async () => {
    await using model = await writeSmallModel([linear('a', 30, 30, 'float32', 1)]);
    await using pruned = await pruneFiles(model.path, {});
    for (const { name, sha256, size_bytes } of pruned.artifacts) {
      assert.equal(await sha256Of(join(pruned.directory, name)), sha256);
      assert.equal((await readFile(join(pruned.directory, name))).byteLength, size_bytes);
    }
    assert.deepEqual(
      pruned.report.artifacts,
      // The report cannot name itself.
      pruned.artifacts.slice(0, -3).map(({ name, sha256 }) => ({ name, sha256 })),
    );
  });
});
