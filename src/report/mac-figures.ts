import { z } from 'zod';
import type { LayerMacs, ModelMacs } from '../runtime/count-macs.ts';
import { count } from './figures.ts';

const counted = count.nullable();

/** What models multiply and accumulate, as a report holds it. */
export const macsSchema = z
  .object({
    inputs: z
      .array(z.object({ name: z.string(), shape: z.array(count) }))
      .describe(
        'What the counts hold for: the shapes of one sample of the evaluation data, or else of the calibration data, or else those that the model declares.',
      ),
    dense: counted.describe('Null where a layer could not be counted.'),
    pruned: counted.describe(
      'Without the removed structures; zeros in place are multiplied all the same. Null too for a dry run of structures.',
    ),
    nonzero: counted.describe(
      'What a kernel that skips zeros would need: of each weight the share that is kept. Null where structures were removed.',
    ),
    reason: z.string().nullable().describe('Why dense or pruned could not be counted.'),
    layers: z
      .array(
        z.object({
          name: z.string().describe('Of the node.'),
          operator: z.string(),
          weights: z.array(z.string()).describe('None where activations multiply activations.'),
          dense: counted,
          pruned: counted.describe('0 of a layer that is gone.'),
          nonzero: counted,
          reason: z.string().nullable().describe('Why it could not be counted.'),
        }),
      )
      .describe('The nodes that multiply, in the order of the dense model.'),
  })
  .describe(
    'Multiply-accumulates for one sample, of matrix products, convolutions, contractions by Einsum, recurrent layers, both products of attention and experts: of activations by weights, and by activations.',
  );

export type MacFigures = z.output<typeof macsSchema>;
type LayerFigures = MacFigures['layers'][number];

/**
 * @param pruned of a model without some of its structures; null for a dry run
 */
export function macsOfStructures(dense: ModelMacs, pruned: ModelMacs | null): MacFigures {
  const left = new Map(pruned?.layers.map((layer) => [layer.output, layer]));
  const isCounted = pruned !== null && (pruned.layers.length > 0 || pruned.total !== null);
  const layers = dense.layers.map((layer): LayerFigures => {
    const own = left.get(layer.output);
    const macs = own ? own.macs : 0;
    return {
      ...describe(layer),
      pruned: isCounted ? macs : null,
      nonzero: null,
      reason: layer.reason ?? own?.reason ?? null,
    };
  });
  return {
    ...figuresOf(dense),
    ...{ pruned: pruned?.total ?? null, nonzero: null, reason: dense.reason ?? pruned?.reason ?? null },
    layers,
  };
}

/** @param densities kept shares of weights, by name; of the others all is kept */
export function macsOfWeights(dense: ModelMacs, densities: ReadonlyMap<string, number>): MacFigures {
  const layers = dense.layers.map((layer): LayerFigures => {
    const nonzero = layer.macs === null ? null : nonzeroOf(layer, densities);
    return { ...describe(layer), pruned: layer.macs, nonzero, reason: layer.reason };
  });
  const nonzero = layers.reduce((sum, layer) => sum + (layer.nonzero ?? 0), 0);
  return {
    ...figuresOf(dense),
    ...{ pruned: dense.total, nonzero: dense.total === null ? null : nonzero, reason: dense.reason },
    layers,
  };
}

/** Of an operand that is made of several weights, their mean share. */
function nonzeroOf({ products }: LayerMacs, densities: ReadonlyMap<string, number>): number {
  const shares = products.map(({ macs, weights }) => {
    const kept = weights.reduce((sum, name) => sum + (densities.get(name) ?? 1), 0);
    return weights.length === 0 ? macs : macs * (kept / weights.length);
  });
  return Math.round(shares.reduce((sum, macs) => sum + macs, 0));
}

function describe({ name, operator, products, macs }: LayerMacs) {
  return {
    ...{ name, operator },
    weights: [...new Set(products.flatMap(({ weights }) => weights))],
    dense: macs,
  };
}

function figuresOf({ inputs, total }: ModelMacs) {
  return { inputs: inputs.map(({ name, shape }) => ({ name, shape: [...shape] })), dense: total };
}
