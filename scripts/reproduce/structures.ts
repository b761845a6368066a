import type { Measured, Network } from './network.ts';
import type { Run } from './run.ts';
import { mapTwoAtATime } from './two-at-a-time.ts';

/** What is removed from one network, by which scores, and what is repaired. */
interface Plan {
  readonly granularity: 'channel' | 'head' | 'kan_node';
  readonly criteria: readonly string[];
  readonly repair: readonly string[];
}

/** Structures removed by one criterion at beta 1. */
export interface Removal {
  readonly network: Network;
  readonly plan: Plan;
  readonly criterion: string;
  /** As they were removed. */
  readonly plain: Measured;
  /** Null where nothing was removed. */
  readonly repaired: Measured | null;
  /** As many drawn at random, repaired likewise: of several draws the one with the median loss; null beside a draw, and where nothing was removed. */
  readonly random: Measured | null;
}

const SEEDS = [0, 1, 2];
const DATA_DRIVEN = ['wanda', 'variance', 'taylor_rms'];
const LINEAR_REPAIR = ['bias', 'least_squares'];
const CONVOLUTIONS: Plan = {
  granularity: 'channel',
  criteria: ['l2_norm', 'bn_gamma', 'activation', ...DATA_DRIVEN, 'random'],
  repair: ['batch_norm'],
};
const FITTED_CONVOLUTIONS: Plan = {
  granularity: 'channel',
  criteria: ['variance', 'taylor_rms', 'random'],
  repair: ['least_squares', 'batch_norm'],
};
const NEURONS: Plan = {
  granularity: 'channel',
  criteria: ['l2_norm', ...DATA_DRIVEN, 'random'],
  repair: LINEAR_REPAIR,
};
const HEADS: Plan = {
  granularity: 'head',
  criteria: ['l2_norm', 'wanda', 'taylor_rms', 'random'],
  repair: LINEAR_REPAIR,
};
const KAN_NODES: Plan = {
  granularity: 'kan_node',
  criteria: ['kan_node', ...DATA_DRIVEN, 'random'],
  repair: LINEAR_REPAIR,
};

const PLANS: Readonly<Record<string, readonly Plan[]>> = {
  'fc2-mnist': [NEURONS],
  'fc5-fashion': [NEURONS],
  'cnn-fashion': [CONVOLUTIONS, FITTED_CONVOLUTIONS],
  'vgg-fashion': [CONVOLUTIONS, FITTED_CONVOLUTIONS],
  'resnet-fashion': [CONVOLUTIONS, FITTED_CONVOLUTIONS],
  'llama-tiny': [NEURONS, HEADS],
  'gpt-text': [NEURONS, HEADS],
  'kan-mnist': [KAN_NODES],
};

/** Networks whose structures are removed. */
export const STRUCTURED = Object.keys(PLANS);

export async function runStructures(networks: readonly Network[], run: Run): Promise<Removal[]> {
  const tasks = networks.flatMap((network) =>
    PLANS[network.name].flatMap((plan) =>
      plan.criteria.map((criterion) => {
        const { granularity } = plan;
        return { network, plan, criterion, recipe: { granularity, criterion, scope: 'layer' } };
      }),
    ),
  );
  const removed = await mapTwoAtATime(tasks, async (task) => ({
    ...task,
    plain: await run(task.network, { ...task.recipe, dry_run: true }),
  }));
  // Alone, one after the other: their latency is shown.
  const repaired: Omit<Removal, 'random'>[] = [];
  for (const { recipe, ...task } of removed) {
    const { network, plan, plain } = task;
    const isRemoved = plain.total.sparsity > 0;
    const repair = isRemoved ? await run(network, { ...recipe, repair: plan.repair }) : null;
    repaired.push({ ...task, repaired: repair });
  }
  return await mapTwoAtATime(repaired, async (task) => ({ ...task, random: await drawAlike(task, run) }));
}

async function drawAlike(removal: Omit<Removal, 'random'>, run: Run): Promise<Measured | null> {
  const { network, plan, criterion, plain, repaired } = removal;
  if (repaired === null || criterion === 'random') return null;
  const { granularity, repair } = plan;
  const budget = { sparsity: plain.total.sparsity };
  const draws: Measured[] = [];
  for (const seed of SEEDS) {
    const recipe = { granularity, criterion: 'random', scope: 'layer', budget, round_to: 1, repair, seed };
    draws.push(await run(network, recipe));
  }
  const lossOf = ({ evaluation }: Measured) => evaluation.pruned.loss ?? Number.POSITIVE_INFINITY;
  return draws.sort((a, b) => lossOf(a) - lossOf(b))[draws.length >> 1];
}
