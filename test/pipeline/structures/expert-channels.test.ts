import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { testFolder } from '../../criteria/run-criterion.ts';
import { numbersIn } from '../../graph/passes/pass-check.ts';
import { encode, integers, node } from '../../models/build-model.ts';
import { tensorIn } from '../../models/quantized-models.ts';
import { gaussians } from '../../models/small-model.ts';
import { build } from '../../models/traced-model.ts';
import { writeArray } from '../../runtime/samples.ts';
import { random } from '../../structure/cases/rule-case.ts';
import { pruneFiles } from '../prune-files.ts';

const [SAMPLES, EXPERTS, WIDTH, HIDDEN, CLASSES, CHOSEN] = [40, 4, 6, 12, 3, 2];
const GATE = random('gate', [WIDTH, EXPERTS]);
const UP = random('up', [EXPERTS, WIDTH, HIDDEN]);
const DOWN = random('down', [EXPERTS, HIDDEN, CLASSES]);

/** `y = sum over the two best experts e of softmax(x gate)[e] relu(x up[e]) down[e]`. */
const MODEL = build({
  inputs: [['x', ['batch', WIDTH]]],
  nodes: [
    node('MatMul', ['x', 'gate'], ['logits']),
    node('TopK', ['logits', 'two'], ['top', 'chosen'], { axis: -1 }),
    node('Softmax', ['top'], ['shares'], { axis: -1 }),
    node('Unsqueeze', ['shares', 'second'], ['share']),
    node('Unsqueeze', ['x', 'middle'], ['rows']),
    node('Gather', ['up', 'chosen'], ['u']),
    node('Gather', ['down', 'chosen'], ['d']),
    node('MatMul', ['rows', 'u'], ['h']),
    node('Relu', ['h'], ['a']),
    node('MatMul', ['a', 'd'], ['e']),
    node('Squeeze', ['e', 'second'], ['each']),
    node('Mul', ['each', 'share'], ['shared']),
    node('ReduceSum', ['shared', 'first'], ['y'], { keepdims: 0 }),
  ],
  initializers: [
    ...[GATE, UP, DOWN, integers('two', [CHOSEN]), integers('first', [1]), integers('second', [2])],
    integers('middle', [1, 2]),
  ],
});

const [gate, up, down] = [GATE, UP, DOWN].map(numbersIn);
const xs = Array.from({ length: SAMPLES }, (_, n) =>
  gaussians(SAMPLES * WIDTH, 5).slice(n * WIDTH, (n + 1) * WIDTH),
);
const labels = xs.map((_, n) => (n * 7) % CLASSES);
const units = Array.from({ length: HIDDEN }, (_, unit) => unit);

/** The experts of a sample, their shares, and what their hidden units give. */
const routes = xs.map((x) => {
  const logits = Array.from({ length: EXPERTS }, (_, e) =>
    x.reduce((sum, value, i) => sum + value * gate[i * EXPERTS + e], 0),
  );
  const best = logits
    .map((_, e) => e)
    .sort((a, b) => logits[b] - logits[a])
    .slice(0, CHOSEN);
  const total = best.reduce((sum, e) => sum + Math.exp(logits[e]), 0);
  return best.map((expert) => {
    const made = units.map((unit) =>
      x.reduce((sum, value, i) => sum + value * up[(expert * WIDTH + i) * HIDDEN + unit], 0),
    );
    const share = Math.exp(logits[expert]) / total;
    return { expert, share, made, hidden: made.map((value) => Math.max(0, value)) };
  });
});
const experts = Array.from({ length: EXPERTS }, (_, expert) =>
  routes.flat().filter((route) => route.expert === expert),
);
const mean = (numbers: readonly number[]) =>
  numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
const weightOf = (expert: number, unit: number, output: number) =>
  down[(expert * HIDDEN + unit) * CLASSES + output];
const outputs = Array.from({ length: CLASSES }, (_, output) => output);

const squaresOf = (expert: number, unit: number) =>
  outputs.reduce((sum, output) => sum + weightOf(expert, unit, output) ** 2, 0);

/** Scores of the hidden units, by the formulas of the criteria. */
const SCORES: Readonly<Record<string, (unit: number) => number>> = {
  l2_norm: (unit) =>
    Math.sqrt(up.reduce((sum, weight, at) => sum + (at % HIDDEN === unit ? weight ** 2 : 0), 0)),
  activation: (unit) =>
    experts.reduce((sum, reached) => sum + mean(reached.map(({ made }) => Math.abs(made[unit]))), 0),
  wanda: (unit) =>
    Math.sqrt(
      experts.reduce((sum, reached, expert) => {
        const squares = reached.reduce((all, { hidden }) => all + hidden[unit] ** 2, 0);
        return sum + squares * squaresOf(expert, unit);
      }, 0),
    ),
  variance: (unit) =>
    experts.reduce((sum, reached, expert) => {
      const numbers = reached.map(({ hidden }) => hidden[unit]);
      const variance = mean(numbers.map((number) => number ** 2)) - mean(numbers) ** 2;
      return sum + variance * squaresOf(expert, unit);
    }, 0),
  taylor_rms: (unit) => {
    const changes = routes.map((route, n) => {
      const logits = outputs.map((output) =>
        route.reduce(
          (sum, { expert, share, hidden }) =>
            sum + share * hidden.reduce((all, value, at) => all + value * weightOf(expert, at, output), 0),
          0,
        ),
      );
      const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
      return outputs.reduce((sum, output) => {
        const slope = Math.exp(logits[output]) / total - Number(output === labels[n]);
        const part = route.reduce(
          (all, { expert, share, hidden }) => all + share * hidden[unit] * weightOf(expert, unit, output),
          0,
        );
        return sum + slope * part;
      }, 0);
    });
    return Math.sqrt(changes.reduce((sum, change) => sum + change ** 2, 0) / SAMPLES);
  },
};

describe('hidden units of experts that are picked for each sample', () => {
  for (const [criterion, score] of Object.entries(SCORES)) {
    test(criterion, async (t) => {
      const folder = await testFolder(t);
      const path = join(folder, 'model.onnx');
      await writeFile(path, encode(MODEL));
      const samples = {
        nSamples: SAMPLES,
        inputs: [
          await writeArray(
            folder,
            'x',
            'float32',
            [SAMPLES, WIDTH],
            Float32Array.from(xs.flatMap((x) => [...x])),
          ),
        ],
        labels: await writeArray(folder, 'labels', 'int64', [SAMPLES], BigInt64Array.from(labels, BigInt)),
      };
      const recipe = {
        granularity: 'channel',
        criterion,
        scope: 'layer',
        round_to: 1,
        budget: { sparsity: 0.5 },
      };
      const needs = criterion === 'l2_norm' ? {} : { calibration: samples };
      await using pruned = await pruneFiles(path, recipe, needs);
      const written = new Uint8Array(await readFile(join(pruned.directory, 'model.onnx')));
      const kept = pruned.report.structures?.families[0].n_keep ?? 0;
      const scores = units.map(score);
      const expected = units
        .toSorted((a, b) => scores[b] - scores[a])
        .slice(0, kept)
        .sort((a, b) => a - b);
      assert.ok(kept > 2 && kept < HIDDEN);
      assert.deepEqual(
        numbersIn(tensorIn(written, 'up')),
        up.filter((_, at) => expected.includes(at % HIDDEN)),
      );
      assert.deepEqual(
        numbersIn(tensorIn(written, 'down')),
        down.filter((_, at) => expected.includes(Math.floor(at / CLASSES) % HIDDEN)),
      );
    });
  }
});
