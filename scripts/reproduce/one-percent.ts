import { TARGET } from './experiments.ts';
import type { Measured, Network } from './network.ts';
import type { Run } from './run.ts';

/** What may go from one network's weights when the loss may rise by 1 %, all with the same repair. */
export interface OnePercent {
  readonly network: Network;
  readonly repair: readonly string[];
  /** Magnitude, one N_eff for all weights, the beta searched. */
  readonly searched: Measured;
  /** The smallest half of every tensor. */
  readonly half: Measured;
  /** As many weights as the search takes, drawn at random, the same share of every tensor. */
  readonly random: Measured;
}

const REPAIRS: Readonly<Record<string, readonly string[]>> = {
  'cnn-fashion': ['batch_norm'],
};
const LINEAR_REPAIR = ['least_squares'];

/** Without repair and with it. */
export async function runOnePercent(network: Network, run: Run): Promise<OnePercent[]> {
  const findings: OnePercent[] = [];
  for (const repair of [[], REPAIRS[network.name] ?? LINEAR_REPAIR]) {
    const repaired = repair.length > 0 ? { repair } : {};
    const searched = await run(network, { scope: 'global', target: TARGET, ...repaired });
    const layer = { scope: 'layer', ...repaired };
    const { sparsity } = searched.total;
    findings.push({
      network,
      repair,
      searched,
      half: await run(network, { ...layer, budget: { sparsity: 0.5 } }),
      random: await run(network, { ...layer, criterion: 'random', budget: { sparsity } }),
    });
  }
  return findings;
}
