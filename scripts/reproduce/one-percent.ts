import { TARGET } from './experiments.ts';
import type { Measured, Network } from './network.ts';
import type { Run } from './run.ts';
import { mapTwoAtATime } from './two-at-a-time.ts';

/** What may go from one network's weights when the loss may rise by 1 %, all with the same repair. */
export interface OnePercent {
  readonly network: Network;
  readonly repair: readonly string[];
  /** Magnitude, one N_eff for all weights, the beta searched. */
  readonly searched: Measured;
  /** The smaller half of every tensor. */
  readonly half: Measured;
  /** As many weights as the search takes, drawn at random, the same share of every tensor. */
  readonly random: Measured;
}

const REPAIRS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'cnn-fashion': [['batch_norm'], ['least_squares', 'batch_norm']],
};
const LINEAR_REPAIRS = [['least_squares']];

/** Of every network without repair, and with each that suits it. */
export async function runOnePercent(networks: readonly Network[], run: Run): Promise<OnePercent[]> {
  const tasks = networks.flatMap((network) =>
    [[], ...(REPAIRS[network.name] ?? LINEAR_REPAIRS)].map((repair) => ({ network, repair })),
  );
  return await mapTwoAtATime(tasks, async ({ network, repair }) => {
    const repaired = repair.length > 0 ? { repair } : {};
    const searched = await run(network, { scope: 'global', target: TARGET, ...repaired });
    const layer = { scope: 'layer', ...repaired };
    const { sparsity } = searched.total;
    return {
      network,
      repair,
      searched,
      half: await run(network, { ...layer, budget: { sparsity: 0.5 } }),
      random: await run(network, { ...layer, criterion: 'random', budget: { sparsity } }),
    };
  });
}
