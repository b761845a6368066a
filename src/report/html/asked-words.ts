/** What the names of a recipe mean. */
type Words = Readonly<Record<string, string>>;

export const CRITERIA: Words = {
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

/** Where structures are scored, `unit` being one of them. */
export function structureCriteria(unit: string): Words {
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

export const SCOPES: Words = {
  global: 'all selected tensors share one N_eff and one threshold',
  layer: 'each tensor has an N_eff and a threshold of its own',
  row: 'each row (the weights feeding one output unit) has an N_eff and a threshold of its own',
};

export const STRUCTURE_SCOPES: Words = {
  global: 'all selected families share one N_eff and one threshold',
  layer: 'each family has an N_eff of its own; those of fewer than 8 share one',
};

export const GRANULARITIES: Words = {
  weight: 'single weights, set to zero in place',
  channel: 'filters and neurons, removed with all that hangs on them, so that tensors get smaller',
  head: 'attention heads, removed with their queries, keys and values and what reads them, so that tensors get smaller',
  kan_node: 'nodes of KAN layers, removed with the splines into and out of them, so that tensors get smaller',
};

export const REPAIRS: Words = {
  batch_norm: 'means and variances of every BatchNormalization taken anew on the calibration data',
  bias: 'the dense layer’s mean output given back by the bias of every pruned layer',
  least_squares: 'the kept weights of every pruned layer fitted to the dense layer’s output',
};
