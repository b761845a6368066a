import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { readStoredModel } from '../../src/graph/inventory.ts';
import type { WeightCriterion } from '../../src/recipe/criteria.ts';
import { type GraphParts, graph, integers, node, tensor } from '../models/build-model.ts';
import { gradientContext } from '../models/perceptron.ts';
import {
  assertScores,
  gaussians,
  type SmallModel,
  smallModel,
  smallModelContext,
} from '../models/small-model.ts';
import { pruneFiles } from '../pipeline/prune-files.ts';
import { criterionContext, scoresOf, weightsOf } from './run-criterion.ts';

const [N, EXPERTS, IN, OUT] = [10, 4, 3, 2];
const x = gaussians(N * IN, 1);
const w = gaussians(EXPERTS * IN * OUT, 2);
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

async function scoresOfW(
  t: TestContext,
  criterion: WeightCriterion,
  small: Partial<SmallModel> & GraphParts,
) {
  const context = await smallModelContext(t, { xShape: [N, IN], x, ...small });
  const scores = await scoresOf(criterion, context, ['w']);
  return scores.get('w') ?? assert.fail('no scores of w');
}

/** The two experts with the highest, and the second-highest, of as many router logits. */
const router = [node('MatMul', ['x', 'g'], ['logits']), node('TopK', ['logits', 'two'], ['top', 'index'])];
const g = gaussians(IN * EXPERTS, 3);
const common = [tensor('g', [IN, EXPERTS], g), integers('two', [2])];
const chosen = range(N).map((n) => {
  const logits = range(EXPERTS).map((e) =>
    range(IN).reduce((sum, i) => sum + x[n * IN + i] * g[i * EXPERTS + e], 0),
  );
  return range(EXPERTS)
    .sort((a, b) => logits[b] - logits[a])
    .slice(0, 2);
});
/** Sum of squares of feature i over the samples that reach expert e. */
const squareOf = (e: number, i: number) =>
  range(N).reduce((sum, n) => sum + (chosen[n].includes(e) ? x[n * IN + i] ** 2 : 0), 0);
/** Of weights `[experts, in, out]`. */
const byExpert = range(w.length).map((at) => {
  const [e, i] = [Math.floor(at / (IN * OUT)), Math.floor(at / OUT) % IN];
  return Math.abs(w[at]) * Math.sqrt(squareOf(e, i));
});
/** The same in `[experts, out, in]`. */
const wTurned = w.map((_, at) => {
  const [e, o, i] = [Math.floor(at / (IN * OUT)), Math.floor(at / IN) % OUT, at % IN];
  return w[(e * IN + i) * OUT + o];
});
const byExpertTurned = range(w.length).map((at) => {
  const [e, i] = [Math.floor(at / (IN * OUT)), at % IN];
  return Math.abs(wTurned[at]) * Math.sqrt(squareOf(e, i));
});

describe('experts that a router chooses', () => {
  test('wanda: a Gather into a MatMul, in any opset', async (t) => {
    for (const opset of [12, 18]) {
      const unsqueeze =
        opset < 13
          ? node('Unsqueeze', ['x'], ['xs'], { axes: [1, 2] })
          : node('Unsqueeze', ['x', 'axes'], ['xs']);
      const scores = await scoresOfW(t, 'wanda', {
        nodes: [
          ...router,
          node('Gather', ['w', 'index'], ['u']),
          unsqueeze,
          node('MatMul', ['xs', 'u'], ['y']),
        ],
        initializers: [tensor('w', [EXPERTS, IN, OUT], w), integers('axes', [1, 2]), ...common],
        outputs: ['y'],
        opset,
      });
      assertScores(scores, byExpert);
    }
  });

  test('wanda: a GatherND, as dynamo writes it, by indices of one axis more', async (t) => {
    const initializers = [tensor('w', [EXPERTS, IN, OUT], w), ...common];
    const given = [integers('axes', [1, 2]), integers('last', [-1]), integers('places', [-1, 2, 1])];
    for (const places of [
      node('Unsqueeze', ['index', 'last'], ['at']),
      node('Reshape', ['index', 'places'], ['at']),
    ]) {
      const scores = await scoresOfW(t, 'wanda', {
        nodes: [
          ...router,
          places,
          node('GatherND', ['w', 'at'], ['u']),
          node('Unsqueeze', ['x', 'axes'], ['xs']),
          node('MatMul', ['xs', 'u'], ['y']),
        ],
        initializers: [...initializers, ...given],
        outputs: ['y'],
      });
      assertScores(scores, byExpert);
    }
  });

  test('are prunable with rows where an Einsum weighs them too, and wanda says why it cannot tell', async (t) => {
    const context = await smallModelContext(t, {
      nodes: [
        ...router,
        node('Gather', ['w', 'index'], ['u']),
        node('Einsum', ['x', 'u', 'top'], ['y'], { equation: 'ni,nkio,nk->no' }),
      ],
      initializers: [tensor('w', [EXPERTS, IN, OUT], w), ...common],
      outputs: ['y'],
      xShape: [N, IN],
      x,
    });
    const stored = context.model.inventory.tensors.find(({ name }) => name === 'w');
    assert.deepEqual(stored?.rows, { outer: EXPERTS, reduced: IN, units: OUT, inner: 1 });
    await assert.rejects(scoresOf('wanda', context, ['w']), { message: /equation that does not tell/ });
  });

  test('wanda: stored [experts, out, in], turned before the choice or after, or on the left', async (t) => {
    const stored = [tensor('w', [EXPERTS, OUT, IN], wTurned), ...common];
    const axes = [integers('rows', [1, 2]), integers('columns', [1, 3]), integers('flat', [-1, OUT, IN])];
    const perm = (...order: number[]) => ({ perm: order });
    const cases = [
      [
        node('Transpose', ['w'], ['t'], perm(0, 2, 1)),
        node('Gather', ['t', 'index'], ['u']),
        node('Unsqueeze', ['x', 'rows'], ['xs']),
        node('MatMul', ['xs', 'u'], ['y']),
      ],
      [
        node('Gather', ['w', 'index'], ['t']),
        node('Transpose', ['t'], ['u'], perm(0, 1, 3, 2)),
        node('Unsqueeze', ['x', 'rows'], ['xs']),
        node('MatMul', ['xs', 'u'], ['y']),
      ],
      [
        node('Gather', ['w', 'index'], ['u']),
        node('Unsqueeze', ['x', 'columns'], ['xs']),
        node('MatMul', ['u', 'xs'], ['y']),
      ],
      [
        node('Gather', ['w', 'index'], ['u']),
        node('Einsum', ['u', 'x'], ['y'], { equation: 'nkoi,ni->nko' }),
      ],
    ];
    for (const nodes of cases) {
      const small = { nodes: [...router, ...nodes], initializers: [...stored, ...axes], outputs: ['y'] };
      assertScores(await scoresOfW(t, 'wanda', small), byExpertTurned);
    }
  });

  test('activation: the mean over what reaches an expert, its own bias included', async (t) => {
    const b = gaussians(EXPERTS * OUT, 4);
    const biases = [tensor('b', [EXPERTS, OUT], b), integers('rows', [1, 2]), integers('one', [2])];
    const scores = await scoresOfW(t, 'activation', {
      nodes: [
        ...router,
        node('Gather', ['w', 'index'], ['u']),
        node('Gather', ['b', 'index'], ['bias']),
        node('Unsqueeze', ['bias', 'one'], ['bs']),
        node('Unsqueeze', ['x', 'rows'], ['xs']),
        node('MatMul', ['xs', 'u'], ['h']),
        node('Add', ['h', 'bs'], ['y']),
      ],
      initializers: [tensor('w', [EXPERTS, IN, OUT], w), ...biases, ...common],
      outputs: ['y'],
    });
    const means = range(EXPERTS * OUT).map((unit) => {
      const [e, o] = [Math.floor(unit / OUT), unit % OUT];
      const reaching = range(N).filter((n) => chosen[n].includes(e));
      const outputOf = (n: number) =>
        range(IN).reduce((sum, i) => sum + x[n * IN + i] * w[(e * IN + i) * OUT + o], b[unit]);
      return reaching.reduce((sum, n) => sum + Math.abs(outputOf(n)), 0) / reaching.length;
    });
    const unitOf = (at: number) => Math.floor(at / (IN * OUT)) * OUT + (at % OUT);
    assertScores(
      scores,
      range(w.length).map((at) => Math.abs(w[at]) * means[unitOf(at)]),
      1e-5,
    );
  });
});

describe('an expert that no sample reached', () => {
  /** Of four experts the last is never chosen. */
  const never = tensor('never', [EXPERTS], Float32Array.of(0, 0, 0, -1e6));
  const logits = [node('MatMul', ['x', 'g'], ['free']), node('Add', ['free', 'never'], ['logits'])];
  const small = {
    nodes: [
      ...logits,
      node('TopK', ['logits', 'one'], ['top', 'index']),
      node('Gather', ['w', 'index'], ['u']),
      node('Unsqueeze', ['x', 'rows'], ['xs']),
      node('MatMul', ['xs', 'u'], ['y']),
    ],
    initializers: [
      ...[tensor('w', [EXPERTS, IN, OUT], w), tensor('g', [IN, EXPERTS], g), never],
      ...[integers('rows', [1, 2]), integers('one', [1])],
    ],
    outputs: ['y'],
    xShape: [N, IN],
    x,
  };
  const squares = range(EXPERTS).map((e) =>
    range(IN).map((i) =>
      range(N).reduce((sum, n) => {
        const own = range(EXPERTS - 1).map((other) =>
          range(IN).reduce((total, at) => total + x[n * IN + at] * g[at * EXPERTS + other], 0),
        );
        return sum + (own[e] === Math.max(...own) ? x[n * IN + i] ** 2 : 0);
      }, 0),
    ),
  );

  test('is scored as if it got what the others get on average, and told of', async (t) => {
    const reached = squares.filter((own) => own.some((square) => square > 0));
    const average = reached.flat().reduce((sum, square) => sum + square, 0) / reached.flat().length;
    const context = await smallModelContext(t, small);
    const told: [string, number][] = [];
    const onUnreached = (...unreached: [string, number]) => told.push(unreached);
    const scores = await scoresOf('wanda', { ...context, onUnreached }, ['w']);
    const factorOf = (e: number, i: number) =>
      Math.sqrt(reached.includes(squares[e]) ? squares[e][i] : average);
    assertScores(
      scores.get('w'),
      range(w.length).map(
        (at) => Math.abs(w[at]) * factorOf(Math.floor(at / (IN * OUT)), Math.floor(at / OUT) % IN),
      ),
    );
    assert.deepEqual(told, [['w', 1 - reached.length / EXPERTS]]);
  });

  test('keeps weights with scope layer, and the report warns', async (t) => {
    const { model, calibration } = await smallModelContext(t, small);
    const recipe = { criterion: 'wanda', scope: 'layer', include: ['w'] };
    await using pruned = await pruneFiles(join(model.directory, 'model.onnx'), recipe, { calibration });
    const { tensors, verdict } = pruned.report;
    assert.deepEqual(
      tensors.map(({ name }) => name),
      ['w'],
    );
    const { inventory } = await readStoredModel(pruned.directory, ['model.onnx']);
    const after = await weightsOf(pruned.directory, inventory.tensors[0]);
    assert.ok(after.subarray(-IN * OUT).some((value) => value !== 0));
    const warning = verdict.warnings.find(({ code }) => code === 'inputs_unreached');
    const share = squares.filter((own) => own.every((square) => square === 0)).length / EXPERTS;
    const text = `No calibration sample reached ${(100 * share).toFixed(1)} % of the layer of w: `;
    assert.ok(warning?.text.startsWith(text), warning?.text);
  });

  test('that stands in a layer of its own likewise', async (t) => {
    const nodes = [
      ...logits,
      node('ArgMax', ['logits'], ['best'], { axis: 1, keepdims: 0 }),
      ...[0, 3].flatMap((e) => [
        node('Equal', ['best', `e${e}`], [`is${e}`]),
        node('Compress', ['x', `is${e}`], [`x${e}`], { axis: 0 }),
        node('MatMul', [`x${e}`, `w${e}`], [`y${e}`]),
      ]),
    ];
    const layers = [0, 3].map((e) => tensor(`w${e}`, [IN, OUT], w.slice(0, IN * OUT)));
    const initializers = [
      ...small.initializers.slice(1, 3),
      ...layers,
      integers('e0', [0], []),
      integers('e3', [3], []),
    ];
    const context = await smallModelContext(t, { ...small, nodes, initializers, outputs: ['y0', 'y3'] });
    const scores = await scoresOf('wanda', context, ['w0', 'w3']);
    const [norms] = squares.map((own) => own.map(Math.sqrt));
    const average = Math.sqrt(squares[0].reduce((sum, square) => sum + square, 0) / IN);
    const expected = (of: (i: number) => number) =>
      range(IN * OUT).map((at) => Math.abs(w[at]) * of(Math.floor(at / OUT)));
    assertScores(
      scores.get('w0'),
      expected((i) => norms[i]),
    );
    assertScores(
      scores.get('w3'),
      expected(() => average),
    );
  });
});

describe('experts by gradient', () => {
  const HIDDEN = 3;
  const up = gaussians(EXPERTS * IN * HIDDEN, 7);
  const down = gaussians(EXPERTS * OUT * HIDDEN, 8);
  const labels = BigInt64Array.from({ length: N }, (_, n) => BigInt((n * 5) % OUT));
  const proto = smallModel({
    nodes: [
      ...router,
      node('Gather', ['up', 'index'], ['u']),
      node('Unsqueeze', ['x', 'rows'], ['xs']),
      node('MatMul', ['xs', 'u'], ['h']),
      node('Relu', ['h'], ['r']),
      node('Gather', ['down', 'index'], ['d']),
      node('Squeeze', ['r', 'second'], ['rs']),
      node('Einsum', ['rs', 'd'], ['e'], { equation: 'nkh,nkoh->nko' }),
      node('Softmax', ['top'], ['shares'], { axis: -1 }),
      node('Unsqueeze', ['shares', 'last'], ['s']),
      node('Mul', ['e', 's'], ['weighted']),
      node('ReduceSum', ['weighted', 'first'], ['y'], { keepdims: 0 }),
    ],
    initializers: [
      ...[tensor('up', [EXPERTS, IN, HIDDEN], up), tensor('down', [EXPERTS, OUT, HIDDEN], down)],
      ...[integers('rows', [1, 2]), integers('second', [2]), integers('last', [-1]), integers('first', [1])],
      ...common,
    ],
    outputs: ['y'],
    xShape: [N, IN],
    x,
  });
  const logitsOf = (n: number) =>
    range(EXPERTS).map((e) => range(IN).reduce((sum, i) => sum + x[n * IN + i] * g[i * EXPERTS + e], 0));
  /** Mean cross-entropy, in float64. */
  const lossOf = (u: Float64Array, d: Float64Array) =>
    range(N).reduce((loss, n) => {
      const logits = logitsOf(n);
      const shares = chosen[n].map((e) => Math.exp(logits[e]));
      const outputs = range(OUT).map((o) =>
        chosen[n].reduce((sum, e, k) => {
          const hidden = range(HIDDEN).map((h) =>
            Math.max(
              0,
              range(IN).reduce((total, i) => total + x[n * IN + i] * u[(e * IN + i) * HIDDEN + h], 0),
            ),
          );
          const output = hidden.reduce((total, value, h) => total + value * d[(e * OUT + o) * HIDDEN + h], 0);
          return sum + (output * shares[k]) / (shares[0] + shares[1]);
        }, 0),
      );
      const total = outputs.reduce((sum, value) => sum + Math.exp(value), 0);
      return loss - Math.log(Math.exp(outputs[Number(labels[n])]) / total) / N;
    }, 0);
  const gradientOf = (weights: Float32Array, loss: (changed: Float64Array) => number) =>
    range(weights.length).map((at) => {
      const changed = (by: number) => Float64Array.from(weights, (value, i) => value + (i === at ? by : 0));
      return (loss(changed(1e-6)) - loss(changed(-1e-6))) / 2e-6;
    });

  test('taylor and saliency go back through Gather, MatMul and Einsum', async (t) => {
    const context = await gradientContext(
      t,
      proto,
      { shape: [N, IN], data: x },
      { shape: [N], data: labels },
    );
    const scored = criterionContext(context.model, context.scratchDirectory, context.samples);
    const gradients = {
      up: gradientOf(up, (changed) => lossOf(changed, Float64Array.from(down))),
      down: gradientOf(down, (changed) => lossOf(Float64Array.from(up), changed)),
    };
    const [saliency, taylor] = [
      await scoresOf('saliency', scored, ['up', 'down']),
      await scoresOf('taylor', scored, ['up', 'down']),
    ];
    for (const [name, weights] of [
      ['up', up],
      ['down', down],
    ] as const)
      for (const [at, gradient] of gradients[name].entries()) {
        const [plain, times] = [saliency.get(name)?.[at] ?? NaN, taylor.get(name)?.[at] ?? NaN];
        assert.ok(Math.abs(plain - Math.abs(gradient)) < 1e-5, `${name} ${at}: ${plain}, not ${gradient}`);
        assert.ok(Math.abs(times - Math.abs(weights[at] * gradient)) < 1e-5);
      }
  });

  test('are prunable in the body of a Loop, and wanda says why it cannot look there', async (t) => {
    const body = graph({
      inputs: ['step', 'go'],
      nodes: [
        node('Gather', ['w', 'step'], ['one']),
        node('MatMul', ['x', 'one'], ['part']),
        node('Identity', ['go'], ['goes']),
      ],
      outputs: ['goes', 'part'],
    });
    const small = {
      nodes: [node('Loop', ['four', ''], ['y'], { body })],
      initializers: [tensor('w', [EXPERTS, IN, OUT], w), integers('four', [EXPERTS], [])],
      outputs: ['y'],
      xShape: [N, IN],
      x,
    };
    const { model } = await smallModelContext(t, small);
    assert.deepEqual(model.inventory.tensors.map(({ prunable, rows }) => ({ prunable, rows }))[0], {
      prunable: true,
      rows: { outer: EXPERTS, reduced: IN, units: OUT, inner: 1 },
    });
    await assert.rejects(scoresOfW(t, 'wanda', small), {
      message: /stands in .* the body of an If, Loop or Scan/,
    });
  });

  test('are prunable by default, a row for each unit of each', async (t) => {
    const { model } = await gradientContext(
      t,
      proto,
      { shape: [N, IN], data: x },
      { shape: [N], data: labels },
    );
    const found = model.inventory.tensors.filter(({ role }) => role === 'weight');
    assert.deepEqual(
      found.map(({ name, prunable, rows }) => ({ name, prunable, rows })),
      [
        { name: 'up', prunable: true, rows: { outer: EXPERTS, reduced: IN, units: HIDDEN, inner: 1 } },
        { name: 'down', prunable: true, rows: { outer: 1, reduced: 1, units: EXPERTS * OUT, inner: HIDDEN } },
        { name: 'g', prunable: true, rows: { outer: 1, reduced: IN, units: EXPERTS, inner: 1 } },
      ],
    );
  });
});

describe('experts that all compute', () => {
  const stored = [tensor('w', [EXPERTS, IN, OUT], w), integers('first', [0])];
  const own = gaussians(EXPERTS * N * IN, 5);
  /** `x` as every expert gets it, times what is its own. */
  const scaled = (e: number, n: number, i: number) => x[n * IN + i] * own[(e * N + n) * IN + i];
  const apart = [tensor('own', [EXPERTS, N, IN], own), ...stored];
  const norms = range(w.length).map((at) => {
    const [e, i] = [Math.floor(at / (IN * OUT)), Math.floor(at / OUT) % IN];
    return Math.abs(w[at]) * Math.sqrt(range(N).reduce((sum, n) => sum + scaled(e, n, i) ** 2, 0));
  });
  const batch = N;

  test('wanda: a batched MatMul, and Einsums, with inputs of their own', async (t) => {
    const cases = [
      [node('Mul', ['x', 'own'], ['xs']), node('MatMul', ['xs', 'w'], ['y'])],
      [node('Mul', ['x', 'own'], ['xs']), node('Einsum', ['xs', 'w'], ['y'], { equation: 'eni,eio->neo' })],
      [node('Mul', ['x', 'own'], ['xs']), node('Einsum', ['w', 'xs'], ['y'], { equation: 'eio,eni->on' })],
    ];
    for (const nodes of cases) {
      const small = { nodes, initializers: apart, outputs: ['y'], batch };
      assertScores(await scoresOfW(t, 'wanda', small), norms);
    }
  });

  test('wanda: the same input for all of them', async (t) => {
    const all = range(w.length).map((at) => {
      const i = Math.floor(at / OUT) % IN;
      return Math.abs(w[at]) * Math.sqrt(range(N).reduce((sum, n) => sum + x[n * IN + i] ** 2, 0));
    });
    for (const nodes of [
      [node('MatMul', ['x', 'w'], ['y'])],
      [node('Unsqueeze', ['x', 'first'], ['xs']), node('MatMul', ['xs', 'w'], ['y'])],
    ])
      assertScores(await scoresOfW(t, 'wanda', { nodes, initializers: stored, outputs: ['y'] }), all);
  });

  test('wanda: at stored positions, one product each, and refused in models before version 9', async (t) => {
    const at = range(EXPERTS).flatMap((e) => [
      node('Gather', ['w', `at${e}`], [`w${e}`]),
      node('Mul', ['x', `own${e}`], [`x${e}`]),
      node('MatMul', [`x${e}`, `w${e}`], [`y${e}`]),
    ]);
    const scales = range(EXPERTS).flatMap((e) => [
      tensor(`own${e}`, [N, IN], own.slice(e * N * IN, (e + 1) * N * IN)),
      integers(`at${e}`, [e], []),
    ]);
    const outputs = range(EXPERTS).map((e) => `y${e}`);
    const initializers = [...stored, ...scales];
    assertScores(await scoresOfW(t, 'wanda', { nodes: at, initializers, outputs, batch }), norms);
    const old = {
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      initializers: stored,
      outputs: ['y'],
      opset: 8,
    };
    await assert.rejects(scoresOfW(t, 'wanda', old), {
      message: /^criterion wanda cannot score w: node MatMul_y \(MatMul\) multiplies by several matrices, /,
    });
  });

  test('activation: units of each', async (t) => {
    const b = gaussians(EXPERTS * OUT, 6);
    const scores = await scoresOfW(t, 'activation', {
      nodes: [
        node('Mul', ['x', 'own'], ['xs']),
        node('MatMul', ['xs', 'w'], ['h']),
        node('Add', ['h', 'b'], ['y']),
      ],
      initializers: [tensor('b', [EXPERTS, 1, OUT], b), ...apart],
      outputs: ['y'],
      batch,
    });
    const mean = (e: number, o: number) =>
      range(N).reduce((sum, n) => {
        const output = range(IN).reduce(
          (total, i) => total + scaled(e, n, i) * w[(e * IN + i) * OUT + o],
          b[e * OUT + o],
        );
        return sum + Math.abs(output);
      }, 0) / N;
    const expected = range(w.length).map(
      (at) => Math.abs(w[at]) * mean(Math.floor(at / (IN * OUT)), at % OUT),
    );
    assertScores(scores, expected, 1e-5);
  });
});
