import { createHash } from 'node:crypto';
import { preservedMassBound } from '../../src/core/bounds.ts';
import type { Evaluation, Report } from '../../src/report/report.ts';
import { createVerdict } from '../../src/report/verdict.ts';

/** Scores of one tensor, row by row. */
interface ScoredTensor {
  readonly name: string;
  readonly shape: readonly [rows: number, columns: number];
  readonly scores: Float64Array;
}

interface Settings {
  readonly model: string;
  readonly tensors: readonly ScoredTensor[];
  readonly scope: 'global' | 'layer' | 'row';
  readonly beta?: number;
  readonly recipe?: Report['recipe'];
  readonly isDryRun?: boolean;
}

/** The same numbers in [0, 1) at every run (mulberry32). */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Magnitudes of weights that are normal but for heavier tails the larger `tail` is. */
function createTensor(name: string, shape: readonly [number, number], seed: number, tail = 0): ScoredTensor {
  const random = createRandom(seed);
  const scale = 1 / Math.sqrt(shape[1]);
  const scores = Float64Array.from({ length: shape[0] * shape[1] }, () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return scale * Math.abs(normal) ** (1 + tail);
  });
  return { name, shape, scores };
}

/** What EMP says of some scores, by sorting them. */
function decide(scores: Float64Array, beta: number) {
  const ranked = scores.toSorted().reverse();
  const sum = ranked.reduce((total, score) => total + score, 0);
  const nEff = sum ** 2 / ranked.reduce((total, score) => total + score ** 2, 0);
  const n = ranked.length;
  const nKeep = Math.min(n, Math.max(1, Math.floor(beta * nEff * (1 + 2 ** -40))));
  const kept = ranked.subarray(0, nKeep).reduce((total, score) => total + score, 0);
  return {
    n,
    nEff,
    nKeep,
    threshold: ranked[nKeep - 1],
    sum,
    kept,
    bound: preservedMassBound(n, nEff, nKeep),
    ranked,
  };
}

const joined = (parts: readonly Float64Array[]) => Float64Array.from(parts.flatMap((part) => [...part]));
const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
const hash = (text: string) => createHash('sha256').update(text).digest('hex');

/** A report whose figures fit each other: every one is computed from the scores. */
function composeReport(settings: Settings): Report {
  const { model, tensors, scope, beta = 1, isDryRun = false } = settings;
  const all = decide(joined(tensors.map(({ scores }) => scores)), beta);
  const groupsOf = ({ scores, shape: [rows, columns] }: ScoredTensor) =>
    scope === 'row'
      ? Array.from({ length: rows }, (_, row) => scores.subarray(row * columns, (row + 1) * columns))
      : [scores];
  const decided = tensors.map((tensor) => {
    const groups = groupsOf(tensor).map((scores) => decide(scores, beta));
    if (scope !== 'global') {
      const [nKeep, kept] = [
        total(groups.map((group) => group.nKeep)),
        total(groups.map((group) => group.kept)),
      ];
      return { nKeep, kept, guaranteed: total(groups.map(({ bound, sum }) => bound * sum)) };
    }
    const above = tensor.scores.filter((score) => score >= all.threshold);
    return { nKeep: above.length, kept: total([...above]), guaranteed: 0 };
  });
  const n_keep = total(decided.map(({ nKeep }) => nKeep));
  const sizes = { dense_bytes: 4 * all.n + 2048, dense_zstd_bytes: Math.round(3.71 * all.n) };
  return {
    schema_version: 1,
    model: { name: model, sha256: hash(model), format: 'onnx', size_bytes: sizes.dense_bytes },
    recipe: {
      criterion: 'magnitude',
      scope,
      granularity: 'weight',
      beta,
      min_density: 0,
      dry_run: isDryRun,
      ...settings.recipe,
    },
    total: {
      n: all.n,
      n_keep,
      sparsity: 1 - n_keep / all.n,
      n_eff: scope === 'global' ? all.nEff : null,
      threshold: scope === 'global' ? all.threshold : null,
      preserved_mass: Math.min(1, total(decided.map(({ kept }) => kept)) / all.sum),
      preserved_mass_bound:
        scope === 'global' ? all.bound : total(decided.map(({ guaranteed }) => guaranteed)) / all.sum,
    },
    tensors: tensors.map(({ name, shape, scores }, i) => {
      const own = decide(scores, beta);
      const { nKeep, kept } = decided[i];
      return {
        name,
        shape: [...shape],
        dtype: 'float32',
        n: scores.length,
        n_keep: nKeep,
        sparsity: 1 - nKeep / scores.length,
        n_eff: own.nEff,
        threshold: scope === 'global' ? all.threshold : scope === 'layer' ? own.threshold : null,
        preserved_mass: Math.min(1, kept / own.sum),
        score_histogram: { log2_min: 0, counts: [], zero: 0 },
        mask_sha256: hash(name),
      };
    }),
    scores: { n_eff: all.nEff, ...histogramOf(all.ranked), lorenz: lorenzOf(all.ranked, all.sum) },
    evaluation: null,
    repair: [],
    structures: null,
    verdict: { text: '', warnings: [] },
    loss_bound: null,
    sizes: {
      ...sizes,
      pruned_bytes: isDryRun ? null : sizes.dense_bytes,
      pruned_zstd_bytes: isDryRun ? null : Math.round(3.4 * n_keep + all.n / 8),
      zstd_estimated: false,
      mask_bytes: Math.ceil(all.n / 8) + 900,
    },
    artifacts: [...(isDryRun ? [] : [model]), 'masks.safetensors'].map((name) => ({
      name,
      sha256: hash(`${name} pruned`),
    })),
    environment: { version: '0.1.0', onnxruntime: null, execution_provider: null },
  };
}

/** Four bins of equal width an octave, down from the largest score through 30 octaves. */
function histogramOf(ranked: Float64Array): Pick<Report['scores'], 'edges' | 'counts' | 'zero'> {
  const top = Math.floor(Math.log2(ranked[0])) + 1;
  const bottom = Math.max(top - 30, Math.floor(Math.log2(ranked.findLast((score) => score > 0) ?? 1)));
  const edges = Array.from(
    { length: 4 * (top - bottom) + 1 },
    (_, i) => 2 ** (bottom + Math.floor(i / 4)) * (1 + (i % 4) / 4),
  );
  const counts = new Array<number>(edges.length - 1).fill(0);
  let zero = 0;
  for (const score of ranked) {
    const bin = edges.findLastIndex((edge) => edge <= score);
    if (bin < 0) zero++;
    else counts[bin]++;
  }
  return { edges, counts, zero };
}

function lorenzOf(ranked: Float64Array, sum: number): [number, number][] {
  const step = Math.max(1, Math.floor(ranked.length / 100));
  const points: [number, number][] = [[0, 0]];
  let held = 0;
  ranked.forEach((score, i) => {
    held += score;
    if ((i + 1) % step === 0 || i === ranked.length - 1)
      points.push([(i + 1) / ranked.length, Math.min(1, held / sum)]);
  });
  points[points.length - 1][1] = 1;
  return points;
}

const MLP = [
  createTensor('fc1.weight', [256, 196], 1, 0.1),
  createTensor('fc2.weight', [128, 256], 2, 0.4),
  createTensor('fc3.weight', [128, 128], 3),
  createTensor('head.weight', [10, 128], 4),
];
const NO_DRIFT = { relative_l2: null, cosine: null, top1_agreement: null };
const NO_LABELS = { loss: null, accuracy: null, perplexity: null };

/** A cost that grows slowly, then fast, and not quite monotonously. */
function classifierAt(sparsity: number) {
  const cost = 0.02 * Math.sin(18 * sparsity) * sparsity + 2.1 * sparsity ** 11;
  return { loss: 0.3127 * (1 + cost), accuracy: 0.9012 - 0.11 * cost, perplexity: null, ...NO_DRIFT };
}

/** Scope global, the beta searched that a loss increase of 2 % allows, measured. */
function searchedReport(): Report {
  const sparsityAt = (beta: number) => composeSparsity(MLP, beta);
  const betas = [1, 0.75, 0.5, 0.35, 0.2, 0.6, 0.55, 0.575, 0.5625];
  const evaluations = betas.map((beta) => ({
    beta,
    sparsity: sparsityAt(beta),
    ...classifierAt(sparsityAt(beta)),
  }));
  const dense = classifierAt(0);
  const within = evaluations.filter(({ loss }) => loss <= dense.loss * 1.02);
  const { beta, sparsity: _, ...pruned } = within.reduce((a, b) => (b.beta < a.beta ? b : a));
  const target = { max_loss_increase: 0.02 };
  const report = composeReport({
    model: 'fc4-mnist.onnx',
    tensors: MLP,
    scope: 'global',
    beta,
    recipe: { beta: undefined, target, exclude: ['*.bias', 'embed*'], min_density: 0.01 },
  });
  const { sparsity } = report.total;
  return {
    ...report,
    evaluation: {
      loss_kind: 'cross_entropy',
      metric_names: ['loss', 'accuracy'],
      output: 'logits',
      n_samples: 2000,
      n_positions: 2000,
      batch_size: 64,
      dense: { ...dense, latency_ms: 1.2345 },
      pruned: {
        ...pruned,
        latency_ms: 1.2402,
        loss_increase_standard_error: 0.00213,
        accuracy_drop_standard_error: 0.0019,
      },
      beta_1: { sparsity: sparsityAt(1), ...classifierAt(sparsityAt(1)) },
      uniform: { sparsity, ...classifierAt(sparsity + 0.04) },
      sweep: [],
      search: { target, met: true, beta, evaluations },
    },
    environment: { version: '0.1.0', onnxruntime: '1.30.0', execution_provider: 'cpu' },
  };
}

function composeSparsity(tensors: readonly ScoredTensor[], beta: number): number {
  const { n, nKeep } = decide(joined(tensors.map(({ scores }) => scores)), beta);
  return 1 - nKeep / n;
}

/** Scope layer, nothing measured. */
function layerReport(): Report {
  const layers = Array.from({ length: 24 }, (_, i) => {
    const [block, part] = [Math.floor(i / 3), ['attn.qkv', 'mlp.up_proj', 'mlp.down_proj'][i % 3]];
    return createTensor(`model.layers.${block}.${part}.weight`, [48, 64], 100 + i, (i % 5) / 8);
  });
  return composeReport({ model: 'llama-tiny.onnx', tensors: layers, scope: 'layer' });
}

const HOSTILE = [
  '<script>document.title = "pwned"</script>',
  '"><img src=x onerror="document.title=1">',
  "it's </style></title></svg><b>bold</b> &lt;i&gt; &quot;",
  'emoji 🧠🧑‍🔬🔥 and 漢字の名前がとても長い場合の重み',
  'right-to-left \u202e txt.exe',
  'a line\nand\tanother\u0000\u0085\u2028',
  `deep.${'nested.module.'.repeat(21)}w`,
  'constructor',
  '__proto__',
  'x'.repeat(300),
];
export const HOSTILE_NAMES: readonly string[] = HOSTILE;

/** Scope row, 200 tensors with names nobody would wish for, and warnings for some of them. */
function hostileReport(): Report {
  const tensors = Array.from({ length: 200 }, (_, i) =>
    createTensor(
      HOSTILE[i] ?? `transformer.h.${i}.mlp.c_fc.weight`,
      [8, 64],
      300 + i,
      i < HOSTILE.length ? 8 : i / 100,
    ),
  );
  return composeReport({
    model: HOSTILE[1],
    tensors,
    scope: 'row',
    recipe: { criterion: HOSTILE[0], include: ['<b>*</b>', '"*'], later_setting: { html: '<i>' } },
  });
}

/** No labels: the drift of the outputs; a sweep whose sparsest model is not finite. */
function driftReport(): Report {
  const driftAt = (sparsity: number) => ({
    ...NO_LABELS,
    relative_l2: 0.9 * sparsity ** 2,
    cosine: 1 - 0.4 * sparsity ** 4,
    top1_agreement: 1 - 0.5 * sparsity ** 3,
  });
  const beta = 1;
  const report = composeReport({
    model: 'encoder.onnx',
    tensors: MLP,
    scope: 'layer',
    beta,
    recipe: { sweep_betas: [0.1, 0.5, 0.75, 1, 1.25, 1.5] },
  });
  const evaluation: Evaluation = {
    loss_kind: null,
    metric_names: ['relative_l2', 'cosine', 'top1_agreement'],
    output: 'last_hidden_state',
    n_samples: 512,
    n_positions: 16_384,
    batch_size: null,
    dense: { ...NO_LABELS, ...NO_DRIFT, latency_ms: null },
    pruned: {
      ...driftAt(report.total.sparsity),
      latency_ms: null,
      loss_increase_standard_error: null,
      accuracy_drop_standard_error: null,
    },
    beta_1: null,
    uniform: null,
    sweep: [0.1, 0.5, 0.75, 1, 1.25, 1.5].map((each) => {
      const sparsity = composeSparsity(MLP, each);
      const figures = each === 0.1 ? { ...NO_LABELS, ...NO_DRIFT } : driftAt(sparsity);
      return { beta: each, sparsity, ...figures };
    }),
    search: null,
  };
  return { ...report, evaluation };
}

/** Labels that are numbers: squared errors, no accuracy; a dense model that is nearly exact, and a sweep. */
function regressionReport(): Report {
  const betas = [0.5, 1, 1.5];
  const report = composeReport({
    model: 'forecast.onnx',
    tensors: MLP,
    scope: 'layer',
    recipe: { criterion: 'taylor', sweep_betas: betas },
  });
  const errorAt = (sparsity: number) => ({
    ...NO_LABELS,
    ...NO_DRIFT,
    loss: 0.000_123 + 0.4 * sparsity ** 3,
  });
  const { sparsity } = report.total;
  return {
    ...report,
    evaluation: {
      loss_kind: 'mean_squared_error',
      metric_names: ['loss'],
      output: 'demand',
      n_samples: 500,
      n_positions: 12_000,
      batch_size: 64,
      dense: { ...errorAt(0), latency_ms: 0.81 },
      pruned: {
        ...errorAt(sparsity),
        latency_ms: 0.82,
        loss_increase_standard_error: 0.0011,
        accuracy_drop_standard_error: null,
      },
      beta_1: { sparsity, ...errorAt(sparsity) },
      uniform: { sparsity, ...errorAt(sparsity + 0.02) },
      sweep: betas.map((beta) => {
        const at = beta === 1 ? sparsity : composeSparsity(MLP, beta);
        return { beta, sparsity: at, ...errorAt(at) };
      }),
      search: null,
    },
  };
}

/** A language model that pruning has broken: no finite loss. */
function brokenReport(): Report {
  const report = composeReport({
    model: 'gpt-small.onnx',
    tensors: MLP,
    scope: 'global',
    beta: 0.25,
    recipe: { sweep_betas: [0.5, 1] },
  });
  const metricsAt = (loss: number) => ({
    loss,
    accuracy: 0.6 / loss,
    perplexity: Math.exp(loss),
    ...NO_DRIFT,
  });
  return {
    ...report,
    evaluation: {
      loss_kind: 'cross_entropy',
      metric_names: ['loss', 'accuracy', 'perplexity'],
      output: 'logits',
      n_samples: 64,
      n_positions: 8064,
      batch_size: 8,
      dense: { ...metricsAt(1.913), latency_ms: 88.1 },
      pruned: {
        ...NO_LABELS,
        ...NO_DRIFT,
        accuracy: 0.0124,
        latency_ms: 89.2,
        loss_increase_standard_error: null,
        accuracy_drop_standard_error: 0.0041,
      },
      beta_1: { sparsity: composeSparsity(MLP, 1), ...metricsAt(2.407) },
      uniform: { sparsity: report.total.sparsity, ...metricsAt(31.9) },
      sweep: [0.5, 1].map((beta) => {
        const sparsity = composeSparsity(MLP, beta);
        return { beta, sparsity, ...metricsAt(beta === 1 ? 2.407 : 9.731) };
      }),
      search: null,
    },
  };
}

/** One small tensor, only decided on. */
function dryRunReport(): Report {
  return composeReport({
    model: 'single.safetensors',
    tensors: [createTensor('w', [16, 20], 77)],
    scope: 'global',
    isDryRun: true,
  });
}

/** A model of zeros: no N_eff, no scores to draw. */
function zeroReport(): Report {
  const report = dryRunReport();
  const { n } = report.total;
  return {
    ...report,
    total: {
      n,
      n_keep: n,
      sparsity: 0,
      n_eff: null,
      threshold: null,
      preserved_mass: 1,
      preserved_mass_bound: 1,
    },
    tensors: report.tensors.map((tensor) => ({
      ...tensor,
      n_keep: n,
      sparsity: 0,
      n_eff: null,
      threshold: null,
      preserved_mass: null,
    })),
    scores: { n_eff: null, edges: [], counts: [], zero: n, lorenz: [] },
  };
}

/** With the verdict that the figures deserve. */
function judged(report: Report): Report {
  const beta = report.evaluation?.search?.beta ?? Number(report.recipe.beta);
  return { ...report, verdict: createVerdict({ ...report, beta, zeroRows: new Map(), raised: [] }) };
}

export const SAMPLE_REPORTS = {
  searched: judged(searchedReport()),
  layers: judged(layerReport()),
  hostile: judged(hostileReport()),
  drift: judged(driftReport()),
  regression: judged(regressionReport()),
  broken: judged(brokenReport()),
  dryRun: judged(dryRunReport()),
  zeros: judged(zeroReport()),
} as const satisfies Readonly<Record<string, Report>>;
