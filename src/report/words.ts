/** What reports call things, and what the names of a recipe mean: one table a vocabulary, one row a name. */

export interface Noun {
  readonly one: string;
  readonly many: string;
}

type Meanings = Readonly<Record<string, string>>;

/** What is kept or removed. */
export const GRANULARITIES = {
  weight: { one: 'weight', many: 'weights', meaning: 'single weights, set to zero in place' },
  channel: {
    one: 'channel',
    many: 'channels',
    meaning: 'filters and neurons, removed with all that hangs on them, so that tensors get smaller',
  },
  head: {
    one: 'head',
    many: 'heads',
    meaning:
      'attention heads, removed with their queries, keys and values and what reads them, so that tensors get smaller',
  },
  kan_node: {
    one: 'KAN node',
    many: 'KAN nodes',
    meaning:
      'nodes of KAN layers, removed with the splines into and out of them, so that tensors get smaller',
  },
} as const satisfies Readonly<Record<string, Noun & { readonly meaning: string }>>;

export type Granularity = keyof typeof GRANULARITIES;

/** What has a sparsity of its own. */
export const GROUPS = {
  weights: { one: 'tensor', many: 'tensors' },
  structures: { one: 'family', many: 'families' },
} as const satisfies Readonly<Record<string, Noun>>;

/** What single weights are scored by. */
export const CRITERIA: Meanings = {
  magnitude: 'the weight’s absolute value |W|',
  wanda: '|W| times the l2 norm of the input feature that it multiplies, over the calibration data',
  activation: '|W| times the mean |activation| of the output unit that it feeds, over the calibration data',
  taylor: '|W| times |gradient|, of the mean loss over the calibration data',
  saliency: '|gradient| of the mean loss over the calibration data',
  taylor_rms: '|W| times the root mean square of the calibration samples’ gradients',
  saliency_rms: 'the root mean square of the calibration samples’ gradients',
  random: 'drawn evenly, whatever the weight',
  scores: 'as uploaded',
};

/** What structures are scored by, `unit` being one of them. */
export function structureCriteria(unit: string): Meanings {
  return {
    l2_norm: `the l2 norm of the weights that compute a ${unit}, biases aside`,
    bn_gamma: `|gamma| of the BatchNormalization behind the layer that computes a ${unit}; of several the root mean square`,
    activation: `the mean |output| of the rows that compute a ${unit}, summed, over the calibration data`,
    wanda: `the l2 norm, over the weights that read a ${unit}, of |W| times the l2 norm of the input feature, over the calibration data`,
    variance: `the variance of what a ${unit} gives over the calibration data, times W² of the weights that read it, summed`,
    taylor_rms: `what the loss of a calibration sample changes by without a ${unit}, to first order (W times gradient, summed over the weights that read it): the root mean square over samples`,
    kan_node: `the largest of the splines into and out of a ${unit}, each by the mean |coefficient|`,
    random: `drawn evenly, whatever the ${unit}`,
    scores: `as uploaded, a number for each ${unit}`,
  };
}

export const SCOPES: Readonly<Record<keyof typeof GROUPS, Meanings>> = {
  weights: {
    global: 'all selected tensors share one N_eff and one threshold',
    layer: 'each tensor has an N_eff and a threshold of its own',
    row: 'each row (the weights feeding one output unit) has an N_eff and a threshold of its own',
  },
  structures: {
    global: 'all selected families share one N_eff and one threshold',
    layer: 'each family has an N_eff of its own; those of fewer than 8 share one',
  },
};

export const REPAIRS: Meanings = {
  batch_norm: 'means and variances of every BatchNormalization taken anew on the calibration data',
  bias: 'the dense layer’s mean output given back by the bias of every pruned layer',
  least_squares: 'the kept weights of every pruned layer fitted to the dense layer’s output',
};

/** What texts call the loss. */
export const LOSSES = {
  cross_entropy: 'loss',
  binary_cross_entropy: 'binary cross-entropy',
  mean_squared_error: 'mean squared error',
} as const;

/** What columns and charts are headed with. */
export const METRICS = {
  loss: 'Loss',
  accuracy: 'Accuracy',
  perplexity: 'Perplexity',
  relative_l2: 'Relative L2 drift',
  cosine: 'Cosine',
  top1_agreement: 'Top-1 agreement',
} as const;
