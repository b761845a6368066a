import type { Evaluation, Report } from '../../src/report/report.ts';
import { NO_ERRORS } from '../../src/runtime/output-drift.ts';
import { composeReport, createTensor, decide, joined, judged, type ScoredTensor } from './composed-report.ts';
import { HOSTILE_NAMES } from './hostile-names.ts';
import { speedupOf } from './speedups.ts';
import { channelReport, headReport, kanReport } from './structure-reports.ts';

const MLP = [
  createTensor('fc1.weight', [256, 196], 1, 0.1),
  createTensor('fc2.weight', [128, 256], 2, 0.4),
  createTensor('fc3.weight', [128, 128], 3),
  createTensor('head.weight', [10, 128], 4),
];
const NO_DRIFT = {
  relative_l2: null,
  cosine: null,
  top1_agreement: null,
  kl: null,
  cosine_distance: null,
  ...NO_ERRORS,
};
const NO_LABELS = {
  loss: null,
  accuracy: null,
  perplexity: null,
  kl: null,
  cosine_distance: null,
  ...NO_ERRORS,
};

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
      dense: { ...dense, latency_ms: 1.2345, latency_extended_ms: null },
      pruned: {
        ...pruned,
        latency_ms: 1.2402,
        latency_extended_ms: null,
        loss_increase_standard_error: 0.00213,
        accuracy_drop_standard_error: 0.0019,
        disagreement_standard_error: null,
        relative_l2_standard_error: null,
        kl_standard_error: null,
        cosine_distance_standard_error: null,
      },
      speedups: [speedupOf(1.2345, 1.2402)],
      guess: { loss: 2.3, accuracy: 0.1135 },
      one_answer: false,
      beta_1: { sparsity: sparsityAt(1), ...classifierAt(sparsityAt(1)) },
      uniform: { sparsity, ...classifierAt(sparsity + 0.04) },
      sweep: [],
      speed_target: null,
      search: {
        ...{ target, met: true, found: true, beta, evaluations },
        ...{ dense, n_samples: 2000, seed: 0 },
        promise: {
          test: 'mixture_of_bets',
          p_value: 0.031,
          certified: null,
          n_needed: 1245,
          counted_up_to: 1,
          ladder: [],
          uses: null,
        },
      },
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

/** Scope row, 200 tensors with names nobody would wish for, and warnings for some of them. */
function hostileReport(): Report {
  const tensors = Array.from({ length: 200 }, (_, i) =>
    createTensor(
      HOSTILE_NAMES[i] ?? `transformer.h.${i}.mlp.c_fc.weight`,
      [8, 64],
      300 + i,
      i < HOSTILE_NAMES.length ? 8 : i / 100,
    ),
  );
  return composeReport({
    model: HOSTILE_NAMES[1],
    tensors,
    scope: 'row',
    recipe: { criterion: HOSTILE_NAMES[0], include: ['<b>*</b>', '"*'], later_setting: { html: '<i>' } },
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
    dense: { ...NO_LABELS, ...NO_DRIFT, latency_ms: null, latency_extended_ms: null },
    pruned: {
      ...driftAt(report.total.sparsity),
      latency_ms: null,
      latency_extended_ms: null,
      loss_increase_standard_error: null,
      accuracy_drop_standard_error: null,
      disagreement_standard_error: null,
      relative_l2_standard_error: null,
      kl_standard_error: null,
      cosine_distance_standard_error: null,
    },
    speedups: [],
    guess: null,
    one_answer: false,
    beta_1: null,
    uniform: null,
    sweep: [0.1, 0.5, 0.75, 1, 1.25, 1.5].map((each) => {
      const sparsity = composeSparsity(MLP, each);
      const figures = each === 0.1 ? { ...NO_LABELS, ...NO_DRIFT } : driftAt(sparsity);
      return { beta: each, sparsity, ...figures };
    }),
    search: null,
    speed_target: null,
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
      dense: { ...errorAt(0), latency_ms: 0.81, latency_extended_ms: null },
      pruned: {
        ...errorAt(sparsity),
        latency_ms: 0.82,
        latency_extended_ms: null,
        loss_increase_standard_error: 0.0011,
        accuracy_drop_standard_error: null,
        disagreement_standard_error: null,
        relative_l2_standard_error: null,
        kl_standard_error: null,
        cosine_distance_standard_error: null,
      },
      speedups: [speedupOf(0.81, 0.82)],
      guess: { loss: 0.81, accuracy: null },
      one_answer: false,
      beta_1: { sparsity, ...errorAt(sparsity) },
      uniform: { sparsity, ...errorAt(sparsity + 0.02) },
      sweep: betas.map((beta) => {
        const at = beta === 1 ? sparsity : composeSparsity(MLP, beta);
        return { beta, sparsity: at, ...errorAt(at) };
      }),
      search: null,
      speed_target: null,
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
      dense: { ...metricsAt(1.913), latency_ms: 88.1, latency_extended_ms: null },
      pruned: {
        ...NO_LABELS,
        ...NO_DRIFT,
        accuracy: 0.0124,
        latency_ms: 89.2,
        latency_extended_ms: null,
        loss_increase_standard_error: null,
        accuracy_drop_standard_error: 0.0041,
        disagreement_standard_error: null,
        relative_l2_standard_error: null,
        kl_standard_error: null,
        cosine_distance_standard_error: null,
      },
      speedups: [speedupOf(88.1, 89.2)],
      guess: { loss: 4.2, accuracy: 0.15 },
      one_answer: false,
      beta_1: { sparsity: composeSparsity(MLP, 1), ...metricsAt(2.407) },
      uniform: { sparsity: report.total.sparsity, ...metricsAt(31.9) },
      sweep: [0.5, 1].map((beta) => {
        const sparsity = composeSparsity(MLP, beta);
        return { beta, sparsity, ...metricsAt(beta === 1 ? 2.407 : 9.731) };
      }),
      search: null,
      speed_target: null,
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

export const SAMPLE_REPORTS = {
  searched: judged(searchedReport()),
  layers: judged(layerReport()),
  hostile: judged(hostileReport()),
  drift: judged(driftReport()),
  regression: judged(regressionReport()),
  broken: judged(brokenReport()),
  dryRun: judged(dryRunReport()),
  zeros: judged(zeroReport()),
  channels: channelReport(),
  heads: headReport(),
  kanNodes: kanReport(),
} as const satisfies Readonly<Record<string, Report>>;
