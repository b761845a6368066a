import type { Granularity } from '../../src/recipe/terms.ts';
import type { Evaluation, FamilyReport, Report } from '../../src/report/report.ts';
import { NO_ERRORS } from '../../src/runtime/output-drift.ts';
import { composeReport, createTensor, decide, hash, joined, judged, total } from './composed-report.ts';
import { HOSTILE_NAMES } from './hostile-names.ts';
import { repairStep, undoneStep } from './repair-step.ts';
import { speedupOf } from './speedups.ts';

type Structures = NonNullable<Report['structures']>;

interface ScoredFamily {
  readonly name: string;
  readonly producers: readonly string[];
  readonly scores: Float64Array;
}

interface Settings {
  readonly model: string;
  readonly granularity: Exclude<Granularity, 'weight'>;
  readonly families: readonly ScoredFamily[];
  readonly scope: 'global' | 'layer';
  readonly criterion: string;
  readonly roundTo?: number;
  readonly beta?: number;
  readonly recipe?: Report['recipe'];
  readonly frozen?: Pick<Structures, 'frozen' | 'n_frozen'>;
  readonly parameters: number;
  readonly isDryRun?: boolean;
}

const SMALL_FAMILY = 8;

function createFamily(name: string, n: number, seed: number, producers: readonly string[] = [name]) {
  return { name, producers, scores: createTensor(name, [n, 1], seed, 0.3).scores };
}

/** Structures decided on by sorting: the families that share an N_eff, and then each on its own as rounding asks for. */
function composeStructures(settings: Settings): { report: Report; raised: string[]; pooled: string[] } {
  const { families, scope, roundTo = 1, beta = 1, parameters, isDryRun = false } = settings;
  const isSmall = ({ scores }: ScoredFamily) => scope === 'layer' && scores.length < SMALL_FAMILY;
  const small = families.filter(isSmall);
  const groupOf = (family: ScoredFamily) =>
    scope === 'global' ? families : isSmall(family) ? small : [family];
  const raised: string[] = [];
  const reports = families.map((family): FamilyReport => {
    const { name, producers, scores } = family;
    const { threshold } = decide(joined(groupOf(family).map((member) => member.scores)), beta);
    const counted = scores.filter((score) => score >= threshold).length;
    if (counted === 0) raised.push(name);
    const n = scores.length;
    const n_keep = Math.min(n, Math.ceil(Math.max(1, counted) / roundTo) * roundTo);
    const ranked = scores.toSorted().reverse();
    return {
      name,
      kind: settings.granularity,
      n,
      n_keep,
      sparsity: 1 - n_keep / n,
      n_eff: decide(scores, 1).nEff,
      threshold: ranked[n_keep - 1],
      preserved_mass: Math.min(1, total([...ranked.subarray(0, n_keep)]) / total([...ranked])),
      producers: [...producers],
      mask_sha256: hash(name),
    };
  });
  const kept = total(reports.map(({ n_keep }) => n_keep));
  const all = decide(joined(families.map(({ scores }) => scores)), beta);
  const mass = total(
    reports.map(({ preserved_mass }, i) => (preserved_mass ?? 0) * total([...families[i].scores])),
  );
  const remaining = Math.round(parameters * (kept / all.n) ** 1.4);
  const base = composeReport({
    model: settings.model,
    tensors: families.map(({ name, scores }) => ({ name, shape: [scores.length, 1], scores })),
    scope,
    beta,
    isDryRun,
    recipe: {
      criterion: settings.criterion,
      granularity: settings.granularity,
      round_to: roundTo,
      ...settings.recipe,
    },
  });
  const bytesOf = (count: number) => ({ bytes: 4 * count + 9_000, zstd: Math.round(3.7 * count) + 2_000 });
  const [dense, pruned] = [bytesOf(parameters), bytesOf(remaining)];
  const report: Report = {
    ...base,
    total: {
      ...base.total,
      n_keep: kept,
      sparsity: 1 - kept / all.n,
      preserved_mass: Math.min(1, mass / all.sum),
    },
    tensors: [],
    structures: {
      families: reports,
      n_frozen: 0,
      frozen: [],
      ...settings.frozen,
      parameters: { dense: parameters, pruned: isDryRun ? null : remaining },
    },
    sizes: {
      dense_bytes: dense.bytes,
      pruned_bytes: isDryRun ? null : pruned.bytes,
      dense_zstd_bytes: dense.zstd,
      pruned_zstd_bytes: isDryRun ? null : pruned.zstd,
      zstd_estimated: false,
      mask_bytes: 1_024,
    },
    macs: {
      ...base.macs,
      ...{ dense: 9 * parameters, pruned: isDryRun ? null : 9 * remaining, nonzero: null, layers: [] },
    },
    environment: { version: '0.1.0', onnxruntime: '1.30.0', execution_provider: 'cpu' },
  };
  return { report, raised, pooled: small.length > 1 ? small.map(({ name }) => name) : [] };
}

function judgedStructures(
  { report, raised, pooled }: ReturnType<typeof composeStructures>,
  changed: Partial<Report> = {},
): Report {
  const whole = { ...report, ...changed };
  const { families } = whole.structures as Structures;
  return judged(whole, { granularity: families[0].kind as Granularity, groups: families, raised, pooled });
}

const UNMEASURED = {
  perplexity: null,
  relative_l2: null,
  cosine: null,
  top1_agreement: null,
  kl: null,
  cosine_distance: null,
};

/** A residual network: one family has many producers, 40 nodes freeze axes, a repair was undone; faster at level extended alone. */
export function channelReport(): Report {
  const blocks = Array.from({ length: 12 }, (_, i) => `layer${1 + (i >> 2)}.${i & 3}`);
  const stem = ['conv1.weight', ...blocks.map((block) => `${block}.conv2.weight`)];
  const families = [
    createFamily('conv1.weight', 64, 500, stem),
    ...blocks.map((block, i) => createFamily(`${block}.conv1.weight`, 64 + 16 * (i >> 1), 501 + i)),
  ];
  const betas = [0.5, 0.75, 1.5];
  const compose = (beta: number) =>
    composeStructures({
      model: 'resnet-cifar.onnx',
      granularity: 'channel',
      criterion: 'variance',
      families,
      scope: 'layer',
      roundTo: 8,
      beta,
      recipe: { sweep_betas: betas, repair: ['batch_norm', 'bias'], include: ['layer*', 'conv1.*'] },
      frozen: {
        n_frozen: 1_234,
        frozen: Array.from({ length: 1_000 }, (_, i) => ({
          tensor: `layer${i % 40}.se.${Math.floor(i / 40)}.weight`,
          axis: i % 2,
          node: i % 40 === 1 ? null : `/layer${i % 40}/se/ReduceMean`,
          operator: i % 40 < 2 ? null : 'ReduceMean',
          reason: 'is reduced over, and the result depends on how many there are',
        })),
      },
      parameters: 1_234_567,
    });
  const metricsAt = (sparsity: number) => ({
    ...UNMEASURED,
    loss: 0.3044 * (1 + 2.5 * sparsity ** 3),
    accuracy: 0.8895 - 0.4 * sparsity ** 3,
  });
  const composed = compose(1);
  const { sparsity } = composed.report.total;
  const evaluation: Evaluation = {
    loss_kind: 'cross_entropy',
    metric_names: ['loss', 'accuracy'],
    output: 'logits',
    n_samples: 2_000,
    n_positions: 2_000,
    batch_size: 64,
    dense: { ...metricsAt(0), latency_ms: 12.412, latency_extended_ms: 19.131 },
    pruned: {
      ...metricsAt(sparsity),
      latency_ms: 12.518,
      latency_extended_ms: 11.987,
      loss_increase_standard_error: 0.0031,
      accuracy_drop_standard_error: 0.0027,
      disagreement_standard_error: null,
      relative_l2_standard_error: null,
      kl_standard_error: null,
      cosine_distance_standard_error: null,
    },
    speedups: [speedupOf(12.412, 12.518), speedupOf(19.131, 11.987, 'extended')],
    guess: { loss: 2.31, accuracy: 0.105 },
    one_answer: false,
    beta_1: { ...NO_ERRORS, sparsity, ...metricsAt(sparsity) },
    uniform: { ...NO_ERRORS, ...metricsAt(sparsity - 0.05), sparsity: sparsity - 0.05 },
    sweep: betas.map((beta) => {
      const at = compose(beta).report.total.sparsity;
      return { beta, sparsity: at, ...NO_ERRORS, ...metricsAt(at) };
    }),
    search: null,
    speed_target: null,
  };
  const repair = [
    repairStep({ name: 'batch_norm', n_repaired: 25, loss_before: 1.65, loss_after: 0.33 }),
    undoneStep({ n_repaired: 25, loss_before: 0.33, loss_after: 0.36 }),
  ];
  return judgedStructures(composed, { evaluation, repair });
}

/** Small families with names nobody would wish for, decided on together; no labels, and no faster. */
export function headReport(): Report {
  const families = HOSTILE_NAMES.map((name, i) => createFamily(name, 4, 600 + i, [name, ...HOSTILE_NAMES]));
  const composed = composeStructures({
    model: 'encoder.onnx',
    granularity: 'head',
    criterion: 'l2_norm',
    families,
    scope: 'layer',
    beta: 0.6,
    frozen: {
      n_frozen: HOSTILE_NAMES.length,
      frozen: HOSTILE_NAMES.map((name, axis) => ({
        tensor: name,
        axis,
        node: name,
        operator: name,
        reason: name,
      })),
    },
    parameters: 86_000_000,
  });
  const drift = {
    loss: null,
    accuracy: null,
    perplexity: null,
    relative_l2: 0.21,
    cosine: 0.977,
    top1_agreement: 0.94,
    kl: null,
    cosine_distance: null,
  };
  const none = {
    ...drift,
    relative_l2: null,
    cosine: null,
    top1_agreement: null,
    kl: null,
    cosine_distance: null,
  };
  const evaluation: Evaluation = {
    loss_kind: null,
    metric_names: ['relative_l2', 'cosine', 'top1_agreement'],
    output: 'last_hidden_state',
    n_samples: 512,
    n_positions: 16_384,
    batch_size: 16,
    dense: { ...none, latency_ms: 88.1, latency_extended_ms: 88.4 },
    pruned: {
      ...drift,
      latency_ms: 90.2,
      latency_extended_ms: 89.9,
      loss_increase_standard_error: null,
      accuracy_drop_standard_error: null,
      disagreement_standard_error: null,
      relative_l2_standard_error: null,
      kl_standard_error: null,
      cosine_distance_standard_error: null,
    },
    speedups: [speedupOf(88.1, 90.2), speedupOf(88.4, 89.9, 'extended')],
    guess: null,
    one_answer: false,
    beta_1: null,
    uniform: { ...NO_ERRORS, sparsity: composed.report.total.sparsity, ...drift },
    sweep: [],
    search: null,
    speed_target: null,
  };
  return judgedStructures(composed, { evaluation });
}

/** One family, one threshold, only decided on. */
export function kanReport(): Report {
  return judgedStructures(
    composeStructures({
      model: 'kan-mnist.onnx',
      granularity: 'kan_node',
      criterion: 'kan_node',
      families: [createFamily('layers.0.spline_weight', 64, 700)],
      scope: 'global',
      parameters: 518_336,
      isDryRun: true,
    }),
  );
}
