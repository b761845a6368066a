import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { roundingSteps } from '../../../src/pipeline/structures/rounding.ts';
import type { Family, Site } from '../../../src/structure/families.ts';
import { encode, integers, node } from '../../models/build-model.ts';
import { groupNormModel } from '../../models/group-norm-models.ts';
import { build } from '../../models/traced-model.ts';
import { random } from '../../structure/cases/rule-case.ts';
import { pruneFiles } from '../prune-files.ts';

/** A family of four structures that hold so many positions of each axis, side by side; producers first. */
function holding(
  producers: Readonly<Record<string, number>>,
  consumers: Readonly<Record<string, number>> = {},
  kind: Family['kind'] = 'channel',
): Family {
  const sitesOf = (counts: Readonly<Record<string, number>>, i: number): Site[] =>
    Object.entries(counts).map(([tensor, count]) => ({
      tensor,
      axis: 0,
      positions: Array.from({ length: count }, (_, place) => i * count + place),
    }));
  const structures = [0, 1, 2, 3].map((i) => {
    const [made, read] = [sitesOf(producers, i), sitesOf(consumers, i)];
    return { root: i, sites: [...made, ...read], producers: made, consumers: read };
  });
  return { name: Object.keys(producers)[0], kind, structures, isUnread: false };
}

describe('round_to counts channels', () => {
  const CASES: [what: string, family: Family, roundTo: number, step: number][] = [
    ['of one channel each', holding({ w: 1 }, { v: 1 }), 8, 8],
    ['of groups of 8', holding({ w: 8 }, { v: 8 }), 8, 1],
    ['of groups of 4', holding({ w: 4 }, { v: 4 }), 8, 2],
    ['of groups of 16', holding({ w: 16 }, { v: 16 }), 8, 1],
    ['of 4 channels that 6 filters read', holding({ w: 4, grouped: 6 }), 8, 4],
    ['of units with 4 gates each', holding({ w: 4, r: 4 }, { recurrent: 1 }), 8, 8],
    ['of channels that 64 columns read', holding({ w: 1 }, { v: 64 }), 8, 8],
    ['of groups of 3', holding({ w: 3 }, { v: 3 }), 16, 16],
    ['of heads, of which heads are counted', holding({ w: 64 }, { v: 64 }, 'head'), 2, 2],
  ];
  for (const [what, family, roundTo, step] of CASES) {
    test(what, () => assert.deepEqual(roundingSteps([family], roundTo), [step]));
  }

  test('one by one where structures of two families cross', () => {
    const groups = holding({ w: 4 });
    const places: Family = {
      ...groups,
      structures: groups.structures.map((structure, place) => {
        const site = { tensor: 'w', axis: 0, positions: [0, 4, 8, 12].map((group) => group + place) };
        return { ...structure, sites: [site], producers: [site] };
      }),
    };
    assert.deepEqual(roundingSteps([groups, places], 8), [8, 8]);
    assert.deepEqual(roundingSteps([places], 8), [2]);
  });
});

describe('what is kept by default, of a half', () => {
  const gated = build({
    inputs: [['x', ['batch', 4]]],
    nodes: [
      node('MatMul', ['x', 'w'], ['h']),
      node('Split', ['h', 'halves'], ['a', 'b'], { axis: -1 }),
      node('Mul', ['a', 'b'], ['g']),
      node('MatMul', ['g', 'v'], ['y']),
    ],
    initializers: [random('w', [4, 48]), integers('halves', [24, 24]), random('v', [24, 3])],
  });
  const depthwise = build({
    inputs: [['x', ['batch', 3, 6, 6]]],
    nodes: [
      node('Conv', ['x', 'first'], ['a']),
      node('Conv', ['a', 'each'], ['b'], { group: 20 }),
      node('Conv', ['b', 'last'], ['y']),
    ],
    initializers: [
      random('first', [20, 3, 1, 1]),
      random('each', [20, 1, 3, 3]),
      random('last', [4, 20, 1, 1]),
    ],
  });
  const grouped = build({
    inputs: [['x', ['batch', 3, 6, 6]]],
    nodes: [
      node('Conv', ['x', 'first'], ['a']),
      node('Conv', ['a', 'groups'], ['b'], { group: 16 }),
      node('Conv', ['b', 'last'], ['y']),
    ],
    initializers: [
      random('first', [64, 3, 1, 1]),
      random('groups', [64, 4, 3, 3]),
      random('last', [4, 64, 1, 1]),
    ],
  });
  const inGroups =
    (channels: number, groups: number) => (form: Parameters<typeof groupNormModel>[0]['form']) =>
      groupNormModel({ channels, groups, form });
  const CASES = [
    ['8 groups of 8 channels', inGroups(64, 8)('in parts'), '4/8'],
    ['8 groups of 8 channels, native', inGroups(64, 8)('by channel'), '4/8'],
    ['10 groups of 4 channels, native with a scale a group', inGroups(40, 10)('by group'), '6/10'],
    ['10 groups of 2 channels', inGroups(20, 10)('in parts'), '8/10'],
    ['units of two halves that gate each other', gated, '16/24'],
    ['depthwise channels', depthwise, '16/20'],
    // The 4 places within every group cross the 16 groups.
    ['a convolution in groups', grouped, '8/16 4/4 4/4'],
  ] as const;
  for (const [what, model, expected] of CASES) {
    test(what, async (t) => {
      const directory = await mkdtemp(join(tmpdir(), 'emp-rounding-'));
      t.after(() => rm(directory, { recursive: true }));
      const path = join(directory, 'model.onnx');
      await writeFile(path, encode(model));
      const recipe = { granularity: 'channel', criterion: 'l2_norm', scope: 'layer' };
      await using pruned = await pruneFiles(path, { ...recipe, budget: { sparsity: 0.5 } });
      const families = pruned.report.structures?.families ?? [];
      assert.equal(families.map(({ n, n_keep }) => `${n_keep}/${n}`).join(' '), expected);
      const codes = pruned.report.verdict.warnings.map(({ code }) => code);
      assert.ok(!codes.includes('nothing_removed'), `${codes}`);
      assert.ok((await stat(join(pruned.directory, 'model.onnx'))).size < (await stat(path)).size);
    });
  }
});
