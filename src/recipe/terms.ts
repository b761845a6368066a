// Over 250 lines: the rows of one vocabulary.
/** What one and what several of something are called. */
export interface Noun {
  readonly one: string;
  readonly many: string;
}

interface GranularityRow {
  /** What is kept or removed. */
  readonly unit: Noun;
  readonly meaning: string;
  /** What a family keeps, in units, is rounded up to a multiple of this where a recipe does not say; null: counts are not rounded. */
  readonly roundTo: number | null;
  /** Whether it is found in a graph alone, not by the tensors' names. */
  readonly needsGraph: boolean;
}

/** Kept counts of channels go by the blocks that onnxruntime computes convolutions in. */
export const CHANNEL_BLOCK = 8;

export const GRANULARITIES = {
  weight: {
    unit: { one: 'weight', many: 'weights' },
    meaning: 'single weights, set to zero in place',
    roundTo: null,
    needsGraph: false,
  },
  channel: {
    unit: { one: 'channel', many: 'channels' },
    meaning: 'filters and neurons, removed with all that hangs on them, so that tensors get smaller',
    roundTo: CHANNEL_BLOCK,
    needsGraph: true,
  },
  head: {
    unit: { one: 'head', many: 'heads' },
    meaning:
      'attention heads, removed with their queries, keys and values and what reads them, so that tensors get smaller',
    roundTo: 1,
    needsGraph: true,
  },
  kan_node: {
    unit: { one: 'KAN node', many: 'KAN nodes' },
    meaning:
      'nodes of KAN layers, removed with the splines into and out of them, so that tensors get smaller',
    roundTo: 1,
    needsGraph: false,
  },
} as const satisfies Readonly<Record<string, GranularityRow>>;
export type Granularity = keyof typeof GRANULARITIES;
export const GRANULARITY_NAMES = Object.keys(GRANULARITIES) as [Granularity, ...Granularity[]];

/** What has a sparsity of its own. */
export const GROUPS = {
  weights: { one: 'tensor', many: 'tensors' },
  structures: { one: 'family', many: 'families' },
} as const satisfies Readonly<Record<string, Noun>>;

interface ScopeRow {
  readonly weights: string;
  /** Null: structures have no such scope. */
  readonly structures: string | null;
}

/** What shares one `N_eff`. */
export const SCOPES = {
  global: {
    weights: 'all selected tensors share one N_eff and one threshold',
    structures: 'all selected families share one N_eff and one threshold',
  },
  layer: {
    weights: 'each tensor has an N_eff and a threshold of its own',
    structures: 'each family has an N_eff of its own; those of fewer than 8 share one',
  },
  row: {
    weights: 'each row (the weights feeding one output unit) has an N_eff and a threshold of its own',
    structures: null,
  },
} as const satisfies Readonly<Record<string, ScopeRow>>;
export type Scope = keyof typeof SCOPES;
export const SCOPE_NAMES = Object.keys(SCOPES) as [Scope, ...Scope[]];

export interface RepairRow {
  readonly meaning: string;
  /** Said of a model that has nothing of what it looks at. */
  readonly nothing: string;
  /** When to use it, or what it leaves out. */
  readonly advice: string;
  /** What kept weights have behind it: others that were fitted, the dense model's own, or those that they had. */
  readonly keptValues: 'fitted' | 'dense' | 'unchanged';
  /** What does for structures what it does for weights, where it is for weights alone; null where it is for both. */
  readonly insteadForStructures: string | null;
}

/** By forward passes over calibration data, on ONNX models. */
export const REPAIRS = {
  batch_norm: {
    meaning: 'means and variances of every BatchNormalization taken anew on the calibration data',
    nothing:
      'the model has no BatchNormalization; most exports fold it into the convolutions, for which there are channel_variance, bias and least_squares',
    advice:
      'upstream first; most exports fold BatchNormalization into the convolutions, and then there is none, but channel_variance does the same',
    keptValues: 'unchanged',
    insteadForStructures: null,
  },
  bias: {
    meaning: 'the dense layer’s mean output given back by the bias of every pruned layer',
    nothing: 'no layer of the model was pruned',
    advice: 'where the layer has a bias of its own',
    keptValues: 'unchanged',
    insteadForStructures: null,
  },
  channel_variance: {
    meaning:
      'the dense layer’s mean and variance of every output unit given back by weights and bias of every pruned layer',
    nothing: 'no layer of the model was pruned',
    advice:
      'where a MatMul, Gemm or Conv has a bias of its own; it does for exports with BatchNormalization folded in what `batch_norm` does for others, and takes no linear algebra',
    keptValues: 'fitted',
    insteadForStructures: null,
  },
  least_squares: {
    meaning: 'the kept weights of every pruned layer fitted to the dense layer’s output',
    nothing: 'no layer of the model was pruned',
    advice:
      'of each MatMul, Gemm and Conv, on the inputs that it gets now; give it before `batch_norm`, whose statistics it changes',
    keptValues: 'fitted',
    insteadForStructures: null,
  },
  least_squares_masks: {
    meaning:
      'which weights every row of a pruned layer keeps, as many as its scores say, chosen in six steps while they are fitted to the dense layer’s output',
    nothing: 'no layer of the model was pruned',
    advice:
      'in the place of `least_squares`, of the same layers, where so much goes that this leaves something to gain; weights only, and masks and report are of what it keeps',
    keptValues: 'fitted',
    insteadForStructures: 'least_squares',
  },
  swaps: {
    meaning:
      'which weights every row of a pruned layer keeps, as many as its scores say, exchanged one for one while that brings its output nearer to the dense layer’s, with the dense model’s values',
    nothing: 'no layer of the model was pruned',
    advice:
      'where no value may change; else the fits bring more. Give it before `least_squares`, `bias` and `batch_norm`, which make up for what then goes; weights only, and masks and report are of what it keeps',
    keptValues: 'dense',
    insteadForStructures: 'least_squares',
  },
} as const satisfies Readonly<Record<string, RepairRow>>;
export type RepairName = keyof typeof REPAIRS;
export const REPAIR_NAMES = Object.keys(REPAIRS) as [RepairName, ...RepairName[]];

interface TargetRow {
  /** The largest value that makes sense, and whether it is one. */
  readonly max: number;
  readonly isMaxAllowed: boolean;
  readonly meaning: string;
  /** The metric that it bounds. */
  readonly metric: 'loss' | 'accuracy' | 'top1_agreement' | 'relative_l2' | 'kl' | 'cosine_distance';
}

/** Targets of quality: the smallest beta within one is searched. */
export const TARGETS = {
  max_loss_increase: {
    max: 100,
    isMaxAllowed: true,
    meaning: 'Relative to the dense loss: 0.01 allows one percent more.',
    metric: 'loss',
  },
  max_accuracy_drop: {
    max: 1,
    isMaxAllowed: false,
    meaning: 'Absolute: 0.01 allows one point less than the dense accuracy. Squared errors have no accuracy.',
    metric: 'accuracy',
  },
  max_disagreement: {
    max: 1,
    isMaxAllowed: false,
    meaning:
      "Share of the positions that count at which the prediction may be another than the dense model's: the largest entry of the output's last axis, or, where a Sigmoid makes the output, the side of 0.5 of each number. Accuracy can fall by no more. Needs no labels.",
    metric: 'top1_agreement',
  },
  max_kl: {
    max: 100,
    isMaxAllowed: true,
    meaning:
      "Mean Kullback-Leibler divergence in nats of the pruned model's classes from the dense model's, over the positions that count: of the output's last axis as logits, or as probabilities where a Softmax makes it. On five small networks 0.003, 0.01 and 0.04 kept accuracy within half a point, one and two; that is no promise of accuracy. Needs no labels.",
    metric: 'kl',
  },
  max_relative_l2: {
    max: 100,
    isMaxAllowed: true,
    meaning:
      "Distance of the outputs from the dense model's, relative to their norm: 0.05 allows 5 percent. Needs no labels.",
    metric: 'relative_l2',
  },
  max_cosine_distance: {
    max: 2,
    isMaxAllowed: false,
    meaning:
      "Mean over samples of 1 - cosine between the pruned model's vector and the dense model's: of embeddings, whose length often does not count. The vector is the output's last axis; of a sample with several the mean is taken. Needs no labels.",
    metric: 'cosine_distance',
  },
} as const satisfies Readonly<Record<string, TargetRow>>;
export type TargetName = keyof typeof TARGETS;
export const TARGET_NAMES = Object.keys(TARGETS) as [TargetName, ...TargetName[]];

/** What texts call the loss of each kind. */
export const LOSSES = {
  cross_entropy: 'loss',
  binary_cross_entropy: 'binary cross-entropy',
  mean_squared_error: 'mean squared error',
} as const;

interface MetricRow {
  readonly title: string;
  readonly meaning: string;
  /** Whether it compares outputs with labels, or else with the dense model's outputs. */
  readonly isLabelled: boolean;
}

/** What is measured of a model on evaluation data, in the order in which it is shown. */
export const METRICS = {
  loss: {
    title: 'Loss',
    meaning: 'Mean over what counts; null without labels, or where it is not finite.',
    isLabelled: true,
  },
  accuracy: {
    title: 'Accuracy',
    meaning:
      "Top-1, or with binary cross-entropy the share of numbers on their label's side of 0.5 (itself counted as below); null with squared errors and without labels.",
    isLabelled: true,
  },
  perplexity: {
    title: 'Perplexity',
    meaning: 'exp(loss), where the output is a sequence of logits.',
    isLabelled: true,
  },
  relative_l2: {
    title: 'Relative L2 drift',
    meaning: '||y - y_dense|| / ||y_dense||; null with labels, unless the target needs none.',
    isLabelled: false,
  },
  cosine: {
    title: 'Cosine',
    meaning: 'Between y and y_dense; null with labels, unless the target needs none.',
    isLabelled: false,
  },
  top1_agreement: {
    title: 'Top-1 agreement',
    meaning:
      "Share of the positions that count with the dense model's prediction: its top-1, or of an output that a Sigmoid makes its side of 0.5; null with labels, unless the target needs none.",
    isLabelled: false,
  },
  kl: {
    title: 'KL divergence',
    meaning:
      "Mean over the positions that count of KL(dense || pruned) in nats, of the output's last axis as logits, or as probabilities where a Softmax makes it; null unless the target is `max_kl`.",
    isLabelled: false,
  },
  cosine_distance: {
    title: 'Cosine distance',
    meaning:
      'Mean over samples of 1 - cosine between the vectors of y and y_dense, which lie along the last axis; of a sample with several their mean. A vector that has become 0, or was, has a distance of 1, one that stays as it is of 0. Null unless the target is `max_cosine_distance`.',
    isLabelled: false,
  },
} as const satisfies Readonly<Record<string, MetricRow>>;
export type MetricName = keyof typeof METRICS;
export const METRIC_NAMES = Object.keys(METRICS) as [MetricName, ...MetricName[]];

/** Which kind of component a granularity is of: criteria score the two by different formulas. */
export function kindOf(granularity: Granularity): 'weights' | 'structures' {
  return granularity === 'weight' ? 'weights' : 'structures';
}

/** Whether a target is kept on labels, or else on the dense model's outputs. */
export function needsLabels(name: TargetName): boolean {
  return METRICS[TARGETS[name].metric].isLabelled;
}
