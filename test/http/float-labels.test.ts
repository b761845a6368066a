import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ModelProto, NodeProto } from '../../src/formats/onnx/onnx-schema.ts';
import { createNpyOf } from '../formats/npy-bytes.ts';
import { encode, node, value } from '../models/build-model.ts';
import { moveOut, runnableModel, weights } from '../models/runtime-model.ts';
import { gaussians } from '../models/small-model.ts';
import { readJson, readProblem } from './test-app.ts';
import { type FilePart, openTestService, postFiles, type TestService } from './test-service.ts';

const [SAMPLES, FEATURES, OUTPUTS] = [80, 6, 4];
const x = gaussians(SAMPLES * FEATURES, 1);
const w = gaussians(FEATURES * OUTPUTS, 2);
const noise = gaussians(SAMPLES * OUTPUTS, 3);
/** What the model gives, and a little more. */
const wanted = Float32Array.from(productsOf(w), (y, i) => y + 0.5 * noise[i]);
const likely = Float64Array.from(productsOf(w), (z, i) =>
  i % 7 === 2 ? -100 : z + 2 * noise[i] > 0 ? 1 : 0.125,
);

/** `x w`, in float64. */
function productsOf(matrix: ArrayLike<number>): number[] {
  return Array.from({ length: SAMPLES * OUTPUTS }, (_, at) => {
    const [row, column] = [Math.floor(at / OUTPUTS), at % OUTPUTS];
    let sum = 0;
    for (let f = 0; f < FEATURES; f++) sum += x[row * FEATURES + f] * matrix[f * OUTPUTS + column];
    return sum;
  });
}

/** `y = x w`, or the Sigmoid of it; of the output's sizes it says what `dims` says. */
function linear(tail: NodeProto, dims: (number | string)[] | null = ['n', OUTPUTS]): ModelProto {
  const output = value('y', dims ?? []);
  const type = output.type?.value;
  if (dims === null && type?.case === 'tensorType') delete type.value.shape;
  const parts = {
    inputs: [value('x', ['n', FEATURES])],
    nodes: [node('MatMul', ['x', 'w'], ['z']), tail],
    initializers: [weights('w', [FEATURES, OUTPUTS], [...w])],
    outputs: [output],
  };
  return runnableModel(parts);
}

const identity = node('Identity', ['z'], ['y']);
const regression: FilePart = ['model', 'regression.onnx', encode(linear(identity))];
const sigmoid: FilePart = ['model', 'sigmoid.onnx', encode(linear(node('Sigmoid', ['z'], ['y'])))];
const inputs = createNpyOf('<f4', x, [SAMPLES, FEATURES]);
const targets = createNpyOf('<f4', wanted, [SAMPLES, OUTPUTS]);
const odds = createNpyOf('<f8', likely, [SAMPLES, OUTPUTS]);
const labelled = (part: string, labels: Uint8Array): FilePart[] => [
  [part, 'x.npy', inputs],
  [`${part}_labels`, 'y.npy', labels],
];

let service: TestService;
before(async () => {
  service = await openTestService({ worker: true });
});
after(() => service.close());

const post = (parts: readonly FilePart[], recipe: object) => postFiles(service.url, parts, recipe);

async function finished(parts: readonly FilePart[], recipe: object) {
  const response = await post(parts, recipe);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}

/** The report, and the page's text. */
async function reportOf(parts: readonly FilePart[], recipe: object) {
  const job = await finished(parts, recipe);
  assert.equal(job.status, 'succeeded', JSON.stringify(job.error));
  const url = `${service.url}/v1/jobs/${job.id}/report`;
  const page = await fetch(url, { headers: { accept: 'text/html' } });
  return {
    summary: job.summary,
    report: await readJson(await fetch(url)),
    page: (await page.text()).replaceAll('\u00a0', ' '),
    model: new Uint8Array(
      await (await fetch(`${service.url}/v1/jobs/${job.id}/artifacts/${parts[0][1]}`)).arrayBuffer(),
    ),
  };
}

/** The weights of a model that was written as `linear` writes them: the only stretch of so many bytes that differs. */
function weightsIn(model: Uint8Array, original: Uint8Array): Float32Array {
  const bytes = Buffer.from(w.buffer);
  const at = Buffer.from(original).indexOf(bytes);
  assert.ok(at > 0);
  return new Float32Array(model.slice(at, at + bytes.length).buffer);
}

const mean = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0) / numbers.length;

/** Over samples, of the mean of all that counts. */
function standardError(differences: readonly (number | null)[]): number {
  const own = Array.from({ length: SAMPLES }, (_, n) =>
    differences.slice(n * OUTPUTS, (n + 1) * OUTPUTS).filter((difference) => difference !== null),
  );
  const center = mean(own.flat());
  const squares = own.map((some) => some.reduce((sum, value) => sum + value - center, 0) ** 2);
  return Math.sqrt((mean(squares) * SAMPLES ** 2) / (SAMPLES - 1)) / own.flat().length;
}

function assertClose(found: number, expected: number, tolerance = 1e-5): void {
  assert.ok(Math.abs(found - expected) <= tolerance * Math.abs(expected), `${found}, not ${expected}`);
}

const squares = (matrix: ArrayLike<number>) => productsOf(matrix).map((y, i) => (y - wanted[i]) ** 2);
const entropies = (matrix: ArrayLike<number>) =>
  productsOf(matrix).map((z, i) => {
    const p = 1 / (1 + Math.exp(-z));
    return likely[i] === -100 ? null : -likely[i] * Math.log(p) - (1 - likely[i]) * Math.log(1 - p);
  });
const hits = (matrix: ArrayLike<number>) =>
  productsOf(matrix).map((z, i) => (likely[i] === -100 ? null : Number(z > 0 === likely[i] > 0.5)));
const counted = (terms: readonly (number | null)[]) => terms.filter((term) => term !== null);
const less = (a: readonly (number | null)[], b: readonly (number | null)[]) =>
  a.map((value, i) => (value === null ? null : value - (b[i] ?? 0)));

describe('evaluation with labels that are numbers', () => {
  test('of squared errors: a loss without accuracy, in report, verdict and page', async () => {
    const parts = [regression, ...labelled('evaluation', targets)];
    const { report, page, model } = await reportOf(parts, { scope: 'layer', sweep_betas: [0.5] });
    const { evaluation, verdict } = report;
    const kept = weightsIn(model, regression[2]);
    assert.equal(kept.filter((weight) => weight === 0).length, report.total.n - report.total.n_keep);
    const [dense, pruned] = [squares(w), squares(kept)];
    assert.deepEqual(
      [evaluation.loss_kind, evaluation.metric_names, evaluation.n_samples, evaluation.n_positions],
      ['mean_squared_error', ['loss'], SAMPLES, SAMPLES * OUTPUTS],
    );
    assertClose(evaluation.dense.loss, mean(dense));
    assertClose(evaluation.pruned.loss, mean(pruned));
    assertClose(evaluation.pruned.loss_increase_standard_error, standardError(less(pruned, dense)));
    for (const point of [evaluation.dense, evaluation.pruned, evaluation.uniform, ...evaluation.sweep]) {
      assert.deepEqual([point.accuracy, point.perplexity, point.relative_l2], [null, null, null]);
      assert.equal(typeof point.loss, 'number');
    }
    assert.equal(evaluation.pruned.accuracy_drop_standard_error, null);
    assert.match(
      verdict.text,
      /; measured on 80 samples \(320 numbers\): mean squared error from [\d.]+ to [\d.]+ \([\d.]+ % more, standard error [\d.]+ %\); the model/,
    );
    assert.doesNotMatch(JSON.stringify(verdict), /accuracy|null|NaN|undefined/);
    assert.match(page, /<th scope="col">Mean squared error<\/th>/);
    assert.match(page, /Mean squared error( \(logarithmic\))? against sparsity/);
    // The recipe stands there as it is, as JSON.
    const words = page.replace(/<pre[\s\S]*?<\/pre>/g, '');
    assert.doesNotMatch(words, /Accuracy|accuracy from|null|NaN|undefined/);
    assert.match(page, /on 80 samples \(320 numbers\)/);
  });

  test('of binary cross-entropy: loss, and the share on the right side of 0.5', async () => {
    const parts = [sigmoid, ...labelled('evaluation', odds)];
    const { report, page, model } = await reportOf(parts, { beta: 0.5 });
    const { evaluation, verdict } = report;
    const kept = weightsIn(model, sigmoid[2]);
    assert.deepEqual(
      [evaluation.loss_kind, evaluation.metric_names, evaluation.n_positions],
      ['binary_cross_entropy', ['loss', 'accuracy'], counted(hits(w)).length],
    );
    assertClose(evaluation.dense.loss, mean(counted(entropies(w))));
    assertClose(evaluation.pruned.loss, mean(counted(entropies(kept))));
    assertClose(evaluation.dense.accuracy, mean(counted(hits(w))));
    assertClose(evaluation.pruned.accuracy, mean(counted(hits(kept))));
    assertClose(
      evaluation.pruned.loss_increase_standard_error,
      standardError(less(entropies(kept), entropies(w))),
    );
    assertClose(evaluation.pruned.accuracy_drop_standard_error, standardError(less(hits(w), hits(kept))));
    assert.equal(evaluation.dense.perplexity, null);
    assert.match(verdict.text, /: binary cross-entropy from [\d.]+ to .* and accuracy from /);
    assert.match(page, /<th scope="col">Binary cross-entropy<\/th><th scope="col">Accuracy<\/th>/);
  });

  test('of a model in a folder, with external data, is the same', async () => {
    const proto = linear(node('Sigmoid', ['z'], ['y']));
    const numbers = moveOut(proto, 'data/w.bin');
    const files: FilePart[] = [
      ['model', 'net/sigmoid.onnx', encode(proto)],
      ['model', 'net/data/w.bin', numbers],
    ];
    const data = labelled('evaluation', odds);
    const { report: found } = await reportOf([...files, ...data], {});
    const { report: expected } = await reportOf([sigmoid, ...data], {});
    for (const name of ['dense', 'pruned']) {
      const figures = { ...expected.evaluation[name], latency_ms: found.evaluation[name].latency_ms };
      assert.deepEqual(found.evaluation[name], figures);
    }
  });

  test('a search stays within an increase of such a loss', async () => {
    const target = { max_loss_increase: 0.5 };
    const { report, page } = await reportOf([regression, ...labelled('evaluation', targets)], { target });
    const { search, dense, pruned } = report.evaluation;
    assert.deepEqual([search.met, search.target], [true, target]);
    assert.ok(report.total.sparsity > 0 && pruned.loss <= 1.5 * dense.loss);
    assert.match(report.verdict.text, /that stays within a loss increase of 50 %, removes/);
    assert.match(page, /Limit of the target: /);
  });

  test('a search within a drop of an accuracy goes with binary cross-entropy', async () => {
    const target = { max_accuracy_drop: 0.1 };
    const { report } = await reportOf([sigmoid, ...labelled('evaluation', odds)], { target });
    const { search, dense, pruned } = report.evaluation;
    assert.ok(search.met && dense.accuracy - pruned.accuracy <= 0.1 + 1e-9);
  });
});

describe('a promise over HTTP', () => {
  test('is counted with every other one on the same samples', async () => {
    const target = { max_loss_increase: 5, confidence: 0.5 };
    const { summary, report: first } = await reportOf([regression, ...labelled('evaluation', targets)], {
      target,
    });
    const { dense, pruned } = first.evaluation;
    const { dense_bytes, pruned_bytes } = first.sizes;
    assert.deepEqual(
      [summary.dense_loss, summary.loss, summary.accuracy, summary.met, summary.certified],
      [dense.loss, pruned.loss, null, true, 5],
    );
    assert.deepEqual([summary.dense_bytes, summary.pruned_bytes], [dense_bytes, pruned_bytes]);
    assert.equal(summary.speedup, first.evaluation.speedups[0].speedup);
    const [[part, , bytes], labels] = labelled('evaluation', targets);
    // The same samples, whatever they are called.
    for (const uses of [2, 3]) {
      const { report } = await reportOf([regression, [part, `${uses}.npy`, bytes], labels], {
        target,
        min_density: uses / 10,
      });
      assert.equal(report.evaluation.search.promise.uses, uses);
    }
    const { report } = await reportOf([regression, ...labelled('evaluation', targets)], {
      target: { max_loss_increase: 5 },
    });
    assert.equal(report.evaluation.search.promise.uses, null);
  });
});

describe('gradient criteria on labels that are numbers', () => {
  /** Of the mean loss, or by sample, with respect to the weights. */
  function gradients(residuals: readonly (number | null)[]) {
    const bySample = Array.from({ length: SAMPLES }, (_, n) =>
      Array.from(w, (_, at) => {
        const [f, column] = [Math.floor(at / OUTPUTS), at % OUTPUTS];
        return (residuals[n * OUTPUTS + column] ?? 0) * x[n * FEATURES + f];
      }),
    );
    const perSample = Array.from(
      { length: SAMPLES },
      (_, n) => counted(residuals.slice(n * OUTPUTS, (n + 1) * OUTPUTS)).length,
    );
    const total = counted(residuals).length;
    return {
      mean: Array.from(w, (_, at) => bySample.reduce((sum, g) => sum + g[at], 0) / total),
      rms: Array.from(w, (_, at) => Math.sqrt(mean(bySample.map((g, n) => (g[at] / perSample[n]) ** 2)))),
    };
  }

  const squared = gradients(productsOf(w).map((y, i) => 2 * (y - wanted[i])));
  const binary = gradients(
    productsOf(w).map((z, i) => (likely[i] === -100 ? null : 1 / (1 + Math.exp(-z)) - likely[i])),
  );
  for (const [name, model, labels, { mean: g, rms }] of [
    ['squared errors', regression, targets, squared],
    ['binary cross-entropy', sigmoid, odds, binary],
  ] as const) {
    for (const [criterion, scores] of [
      ['taylor', g.map((value, i) => Math.abs(value * w[i]))],
      ['saliency', g.map(Math.abs)],
      ['taylor_rms', rms.map((value, i) => Math.abs(value * w[i]))],
      ['saliency_rms', rms],
    ] as const) {
      test(`${criterion} of ${name}`, async () => {
        const recipe = { criterion, dry_run: true };
        const { report } = await reportOf([model, ...labelled('calibration', labels)], recipe);
        const total = scores.reduce((a, b) => a + b, 0);
        const nEff = total ** 2 / scores.reduce((sum, score) => sum + score * score, 0);
        assertClose(report.total.n_eff, nEff, 1e-4);
        assert.equal(report.total.n_keep, Math.floor(nEff));
        const ranked = scores.toSorted((a, b) => b - a);
        assertClose(report.total.threshold, ranked[Math.floor(nEff) - 1], 1e-4);
      });
    }
  }

  test('curvature too: the trace of squared errors is that of the inputs', async () => {
    const recipe = { hessian_probes: 60, dry_run: true };
    const { report } = await reportOf([regression, ...labelled('calibration', targets)], recipe);
    const { hessian_trace, standard_error } = report.loss_bound;
    const expected = (2 / SAMPLES) * x.reduce((sum, value) => sum + value * value, 0);
    assert.ok(Math.abs(hessian_trace - expected) <= 4 * standard_error, `${hessian_trace}, not ${expected}`);
  });
});

describe('refused', () => {
  const NO_ACCURACY =
    /^max_accuracy_drop needs an accuracy, and labels that are floats of the output's shape give squared errors alone: give max_loss_increase$/;
  const target = { target: { max_accuracy_drop: 0.01 } };

  test('a search for an accuracy that there is none of, before the job is accepted', async () => {
    const before = await service.files();
    for (const dims of [
      ['n', OUTPUTS],
      ['n', 'outputs'],
    ]) {
      const model: FilePart = ['model', 'm.onnx', encode(linear(identity, dims))];
      const response = await post([model, ...labelled('evaluation', targets)], target);
      const problem = await readProblem(response);
      assert.deepEqual([response.status, problem.code], [422, 'invalid_request']);
      assert.match(problem.detail, NO_ACCURACY);
      assert.deepEqual(
        problem.errors.map(({ path }) => path),
        ['/recipe/target/max_accuracy_drop', 'evaluation'],
      );
    }
    assert.deepEqual(await service.files(), before);
  });

  const bare: FilePart = ['model', 'bare.onnx', encode(linear(identity, null))];
  const vague: FilePart = ['model', 'vague.onnx', encode(linear(identity, ['n', OUTPUTS + 1]))];
  const odd = (numbers: Float32Array, shape: number[]) => createNpyOf('<f4', numbers, shape);
  const failing: [string, FilePart[], object, string, RegExp, string][] = [
    [
      'a search for an accuracy, where only a run tells that there is none',
      [bare, ...labelled('evaluation', targets)],
      target,
      'invalid_request',
      NO_ACCURACY,
      '/recipe/target/max_accuracy_drop',
    ],
    [
      'likewise where the model declares what is not so',
      [vague, ...labelled('evaluation', targets)],
      target,
      'invalid_request',
      NO_ACCURACY,
      '/recipe/target/max_accuracy_drop',
    ],
    [
      'a label that is NaN, in evaluation data',
      [regression, ...labelled('evaluation', odd(wanted.with(9, Number.NaN), [SAMPLES, OUTPUTS]))],
      {},
      'invalid_labels',
      /^evaluation data: sample 2, position 1 has label NaN: squared errors need finite numbers/,
      '/evaluation_dataset_id',
    ],
    [
      'a label that is infinite, in calibration data',
      [
        regression,
        ...labelled('calibration', odd(wanted.with(8, Number.POSITIVE_INFINITY), [SAMPLES, OUTPUTS])),
      ],
      { criterion: 'taylor' },
      'invalid_labels',
      /^calibration data: sample 2, position 0 has label Infinity: squared errors need finite numbers/,
      '/calibration_dataset_id',
    ],
    [
      'a label beyond 1 of a model that ends in Sigmoid',
      [sigmoid, ...labelled('calibration', createNpyOf('<f8', likely.with(0, 2), [SAMPLES, OUTPUTS]))],
      { criterion: 'saliency_rms' },
      'invalid_labels',
      /^calibration data: sample 0, position 0 has label 2: the model ends in Sigmoid/,
      '/calibration_dataset_id',
    ],
    ...(['evaluation', 'calibration'] as const).map((data): (typeof failing)[number] => [
      `${data} labels of another shape than the output's`,
      [regression, ...labelled(data, odd(wanted.slice(0, SAMPLES * 3), [SAMPLES, 3]))],
      data === 'calibration' ? { criterion: 'saliency' } : {},
      'samples_mismatch',
      /has shape \[.*,4\] and the labels are float32 \[80,3\]: expected class ids \[n\], or floats \[n,4\] for squared errors$/,
      `/${data}_dataset_id`,
    ]),
  ];
  for (const [what, parts, recipe, code, detail, path] of failing) {
    test(`${what}: the job fails`, async () => {
      const job = await finished(parts, recipe);
      assert.deepEqual([job.status, job.error?.code], ['failed', code], JSON.stringify(job.error));
      assert.match(job.error.detail, detail);
      assert.equal(job.error.errors[0].path, path);
      assert.deepEqual(job.artifacts, []);
    });
  }
});
