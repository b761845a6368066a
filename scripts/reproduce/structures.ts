import type { Measured, Network } from './network.ts';
import type { Run } from './run.ts';

/** What is removed from one network, by which scores, and what is repaired. */
interface Plan {
  readonly granularity: 'channel' | 'head' | 'kan_node';
  readonly criteria: readonly string[];
  readonly repair: readonly string[];
}

/** Structures removed by one criterion at beta 1. */
export interface Removal {
  readonly criterion: string;
  /** As they were removed. */
  readonly plain: Measured;
  /** Repaired, and as many drawn at random, repaired likewise; null where nothing was removed. */
  readonly repaired: Measured | null;
  readonly random: Measured | null;
}

/** All removals of one granularity from one network. */
export interface StructureFindings {
  readonly network: Network;
  readonly granularity: Plan['granularity'];
  readonly repair: readonly string[];
  readonly removals: readonly Removal[];
}

const DATA_DRIVEN = ['wanda', 'variance', 'taylor_rms'];
const LINEAR = { criteria: ['l2_norm', ...DATA_DRIVEN, 'random'], repair: ['bias', 'least_squares'] };
const CONVOLUTIONS: Plan = {
  granularity: 'channel',
  criteria: ['l2_norm', 'bn_gamma', 'activation', ...DATA_DRIVEN, 'random'],
  repair: ['batch_norm'],
};
const PERCEPTRON: readonly Plan[] = [{ granularity: 'channel', ...LINEAR }];
const TRANSFORMER: readonly Plan[] = [...PERCEPTRON, { granularity: 'head', ...LINEAR }];

export const PLANS: Readonly<Record<string, readonly Plan[]>> = {
  'fc2-mnist': PERCEPTRON,
  'fc5-fashion': PERCEPTRON,
  'cnn-fashion': [CONVOLUTIONS],
  'vgg-fashion': [CONVOLUTIONS],
  'resnet-fashion': [CONVOLUTIONS],
  'llama-tiny': TRANSFORMER,
  'gpt-text': TRANSFORMER,
  'kan-mnist': [{ granularity: 'kan_node', ...LINEAR, criteria: ['kan_node', ...DATA_DRIVEN, 'random'] }],
};

/** Networks that `train-networks.py` made; the others are fixtures. */
export const TRAINED = ['vgg-fashion', 'resnet-fashion', 'gpt-text'];

export async function runStructures(network: Network, run: Run): Promise<StructureFindings[]> {
  const findings: StructureFindings[] = [];
  for (const { granularity, criteria, repair } of PLANS[network.name]) {
    const removals: Removal[] = [];
    for (const criterion of criteria) {
      const recipe = { granularity, criterion, scope: 'layer' };
      // Latency is that of the repaired model, so that of this one need not be measured.
      const plain = await run(network, { ...recipe, dry_run: true });
      const { sparsity } = plain.total;
      const isRemoved = sparsity > 0;
      removals.push({
        criterion,
        plain,
        repaired: isRemoved ? await run(network, { ...recipe, repair }) : null,
        random:
          isRemoved && criterion !== 'random'
            ? await run(network, {
                ...recipe,
                criterion: 'random',
                budget: { sparsity },
                round_to: 1,
                repair,
              })
            : null,
      });
    }
    findings.push({ network, granularity, repair, removals });
  }
  return findings;
}
