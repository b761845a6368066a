import { createHash } from 'node:crypto';
import { preservedMassBound } from '../../src/core/bounds.ts';
import { decisionOf } from '../../src/report/decision.ts';
import type { Report } from '../../src/report/report.ts';
import { createVerdict } from '../../src/report/verdict.ts';
import type { VerdictFacts } from '../../src/report/verdict-facts.ts';

/** Scores of one tensor, row by row. */
export interface ScoredTensor {
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
export function createTensor(
  name: string,
  shape: readonly [number, number],
  seed: number,
  tail = 0,
): ScoredTensor {
  const random = createRandom(seed);
  const scale = 1 / Math.sqrt(shape[1]);
  const scores = Float64Array.from({ length: shape[0] * shape[1] }, () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return scale * Math.abs(normal) ** (1 + tail);
  });
  return { name, shape, scores };
}

/** What EMP says of some scores, by sorting them. */
export function decide(scores: Float64Array, beta: number) {
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

export const joined = (parts: readonly Float64Array[]) =>
  Float64Array.from(parts.flatMap((part) => [...part]));
export const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
export const hash = (text: string) => createHash('sha256').update(text).digest('hex');

/** Until a report is judged. */
const UNDECIDED: Report['decision'] = {
  ...{ status: 'not_measured', reasons: [], badge: '', sentence: '', figures: [], next: [] },
};

/** A report whose figures fit each other: every one is computed from the scores. */
export function composeReport(settings: Settings): Report {
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
    untouched: { n: 0, share: 0, n_tensors: 0, tensors: [] },
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
    decision: UNDECIDED,
    origin: null,
    repair: [],
    structures: null,
    sensitivity: null,
    allocation: null,
    verdict: { text: '', warnings: [] },
    loss_bound: null,
    sizes: {
      ...sizes,
      pruned_bytes: isDryRun ? null : sizes.dense_bytes,
      pruned_zstd_bytes: isDryRun ? null : Math.round(3.4 * n_keep + all.n / 8),
      zstd_estimated: false,
      mask_bytes: Math.ceil(all.n / 8) + 900,
    },
    size_target: null,
    macs: macsOf(
      tensors,
      decided.map(({ nKeep }) => nKeep),
    ),
    artifacts: [...(isDryRun ? [] : [model]), 'masks.safetensors'].map((name) => ({
      name,
      sha256: hash(`${name} pruned`),
    })),
    environment: { version: '0.1.0', onnxruntime: null, execution_provider: null },
  };
}

/** As if each tensor were a layer's that one row goes through. */
function macsOf(tensors: readonly ScoredTensor[], kept: readonly number[]): Report['macs'] {
  const layers = tensors.map(({ name, scores }, i) => ({
    ...{ name: `${name}/Gemm`, operator: 'Gemm', weights: [name] },
    ...{ dense: scores.length, pruned: scores.length, nonzero: kept[i], reason: null },
  }));
  const dense = total(layers.map((layer) => layer.dense));
  const inputs = [{ name: 'input', shape: [1, tensors[0].shape[1]] }];
  return { inputs, dense, pruned: dense, nonzero: total(kept), reason: null, layers };
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

/** With the verdict that the figures deserve. */
export function judged(report: Report, known: Partial<VerdictFacts> = {}): Report {
  const beta = report.evaluation?.search?.beta ?? Number(report.recipe.beta);
  const undecided = {
    ...report,
    verdict: createVerdict({
      ...report,
      beta,
      granularity: 'weight',
      groups: report.tensors,
      zeroRows: new Map(),
      raised: [],
      pooled: [],
      uneven: [],
      unused: [],
      unreached: new Map(),
      doubts: [],
      ...known,
    }),
  };
  return { ...undecided, decision: decisionOf(undecided, (known.doubts ?? []).length > 0) };
}
