import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { RandomWords } from '../../src/core/random-words.ts';
import type { ModelProto } from '../../src/formats/onnx/onnx-schema.ts';
import { decideStructures } from '../../src/pipeline/structures/decide.ts';
import type { Structures } from '../../src/structure/families.ts';
import { encode, integers, node } from '../models/build-model.ts';
import { build } from '../models/traced-model.ts';
import { pruneFiles } from '../pipeline/prune-files.ts';
import { random } from './cases/rule-case.ts';
import { type Choice, checkRemovalOf, structuresOf } from './removal-check.ts';

const TOLERANCE = 1e-5;
const DRAWS = 6;
const IMAGE: [string, (string | number)[]] = ['x', ['batch', 3, 8, 8]];
const POOL = { kernel_shape: [2, 2], strides: [2, 2] };
const conv = (from: string, to: string, weight: string) => node('Conv', [from, weight], [to]);
const pool = (from: string, to: string) => node('MaxPool', [from], [to], POOL);

const MODELS: Readonly<Record<string, ModelProto>> = {
  'parts of a Split': build({
    inputs: [IMAGE],
    nodes: [
      conv('x', 'h', 'w1'),
      node('Split', ['h', 'sizes'], ['a', 'b', 'c'], { axis: 1 }),
      pool('a', 'pa'),
      pool('b', 'pb'),
      pool('c', 'pc'),
      node('Concat', ['pa', 'pb', 'pc'], ['k'], { axis: 1 }),
      conv('k', 'y', 'w2'),
    ],
    initializers: [random('w1', [9, 3, 1, 1]), random('w2', [2, 9, 1, 1]), integers('sizes', [2, 3, 4])],
  }),
  'slices beside each other': build({
    inputs: [IMAGE],
    nodes: [
      conv('x', 'h', 'w1'),
      node('Slice', ['h', 'i0', 'i3', 'i1'], ['a']),
      node('Slice', ['h', 'i3', 'i8', 'i1'], ['b']),
      pool('a', 'pa'),
      pool('b', 'pb'),
      node('Concat', ['pa', 'pb'], ['k'], { axis: 1 }),
      conv('k', 'y', 'w2'),
    ],
    initializers: [
      ...[random('w1', [8, 3, 1, 1]), random('w2', [2, 8, 1, 1])],
      ...[0, 1, 3, 8].map((value) => integers(`i${value}`, [value])),
    ],
  }),
  'positions that a Gather picks': build({
    inputs: [IMAGE],
    nodes: [
      conv('x', 'h', 'w1'),
      node('Gather', ['h', 'some'], ['a'], { axis: 1 }),
      node('Gather', ['h', 'others'], ['b'], { axis: 1 }),
      pool('a', 'pa'),
      pool('b', 'pb'),
      node('Concat', ['pb', 'pa'], ['k'], { axis: 1 }),
      conv('k', 'y', 'w2'),
    ],
    initializers: [
      ...[random('w1', [6, 3, 1, 1]), random('w2', [2, 6, 1, 1])],
      ...[integers('some', [4, 1]), integers('others', [0, 2, 3, 5])],
    ],
  }),
  'a Reshape into a square, and back': build({
    inputs: [IMAGE],
    nodes: [
      conv('x', 'h', 'w1'),
      node('Reshape', ['h', 'square'], ['s']),
      node('Transpose', ['s'], ['t'], { perm: [0, 2, 1, 3, 4] }),
      node('Reshape', ['t', 'flat'], ['f']),
      pool('f', 'p'),
      conv('p', 'y', 'w2'),
    ],
    initializers: [
      ...[random('w1', [16, 3, 1, 1]), random('w2', [2, 16, 1, 1])],
      ...[integers('square', [0, 4, 4, 8, 8]), integers('flat', [0, 16, 8, 8])],
    ],
  }),
  'a square whose rows are split': build({
    inputs: [IMAGE],
    nodes: [
      conv('x', 'h', 'w1'),
      node('Reshape', ['h', 'square'], ['s']),
      node('Split', ['s'], ['a', 'b'], { axis: 1 }),
      node('Neg', ['b'], ['minus']),
      node('Reshape', ['a', 'flat'], ['fa']),
      node('Reshape', ['minus', 'flat'], ['fb']),
      pool('fa', 'pa'),
      pool('fb', 'pb'),
      node('Concat', ['pa', 'pb'], ['k'], { axis: 1 }),
      conv('k', 'y', 'w2'),
    ],
    initializers: [
      ...[random('w1', [16, 3, 1, 1]), random('w2', [2, 16, 1, 1])],
      ...[integers('square', [0, 4, 4, 8, 8]), integers('flat', [0, 8, 8, 8])],
    ],
  }),
  'parts of heads and widths': build({
    inputs: [['x', ['batch', 5, 6]]],
    nodes: [
      node('MatMul', ['x', 'w1'], ['h']),
      node('Reshape', ['h', 'heads'], ['s']),
      node('Relu', ['s'], ['r']),
      node('Reshape', ['r', 'flat'], ['f']),
      node('Split', ['f'], ['a', 'b'], { axis: 2 }),
      node('ReduceMax', ['a'], ['ma'], { axes: [1] }),
      node('ReduceMax', ['b'], ['mb'], { axes: [1] }),
      node('Concat', ['ma', 'mb'], ['k'], { axis: 2 }),
      node('MatMul', ['k', 'w2'], ['y']),
    ],
    initializers: [
      ...[random('w1', [6, 24]), random('w2', [24, 2])],
      ...[integers('heads', [0, 0, 4, 6]), integers('flat', [0, 0, 24])],
    ],
  }),
};

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-lasting-'));
});
after(() => rm(directory, { recursive: true }));

async function write(proto: ModelProto): Promise<string> {
  const path = join(directory, 'model.onnx');
  await writeFile(path, encode(proto));
  return path;
}

/** By random scores, as few of every family as can be. */
function draw({ families, lasting }: Structures, seed: number, isGuarded: boolean): Choice {
  const words = new RandomWords(seed);
  const scores = families.map(({ structures }) =>
    Float64Array.from(structures, () => 0.1 + words.nextShare()),
  );
  const amount = { beta: null, sparsity: 0.9, minDensity: 0 };
  const decided = decideStructures({
    ...{ families, scores, amount, scope: 'layer', steps: families.map(() => 1) },
    lasting: isGuarded ? lasting : [],
  });
  const gone = decided.families.flatMap(({ family, kept }) =>
    family.structures.flatMap(({ root }, i) => (kept[i] ? [] : [root])),
  );
  const removed = new Set(gone);
  return ({ structures }) => structures.map(({ root }) => root).filter((root) => removed.has(root));
}

describe('a position stays of every axis', () => {
  for (const [title, proto] of Object.entries(MODELS)) {
    test(title, async () => {
      const path = await write(proto);
      const structures = await structuresOf(path);
      assert.ok(structures.lasting.length > 0);
      let broken = 0;
      for (let seed = 0; seed < DRAWS; seed++) {
        await using checked = await checkRemovalOf(path, draw(structures, seed, true));
        assert.ok(checked.masked <= TOLERANCE && checked.zeroed <= TOLERANCE);
        const unguarded = await checkRemovalOf(path, draw(structures, seed, false)).catch(() => null);
        if (unguarded === null) broken++;
        else await unguarded[Symbol.asyncDispose]();
      }
      if (title !== 'parts of heads and widths') assert.ok(broken > 0);
    });
  }

  test('through a whole job, whose report says that a count was raised', async () => {
    const path = await write(Object.values(MODELS)[0]);
    const recipe = { granularity: 'channel', criterion: 'l2_norm', round_to: 1, budget: { sparsity: 0.9 } };
    await using pruned = await pruneFiles(path, recipe);
    assert.deepEqual(
      pruned.report.structures?.families.map(({ n, n_keep }) => `${n_keep} of ${n}`),
      ['3 of 9'],
    );
    const codes = pruned.report.verdict.warnings.map(({ code }) => code);
    assert.ok(codes.includes('counts_raised'));
  });
});
