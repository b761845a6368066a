import type { Measured, Network } from './network.ts';
import type { Run } from './run.ts';

const SWEEP_BETAS = [0.5, 0.75, 1, 1.25, 1.5, 2];
export const TARGET = { max_loss_increase: 0.01 };

/** Everything that is run on one network. */
export interface Findings {
  readonly network: Network;
  /** Magnitude, one N_eff for all weights, beta 1, and the sweep. */
  readonly global: Measured;
  /** At beta 1: magnitude per layer and per row, Wanda per row. */
  readonly others: readonly Measured[];
  /** Magnitude global and Wanda per row, the beta searched. */
  readonly searches: readonly Measured[];
}

export async function runAll(network: Network, run: Run): Promise<Findings> {
  const on = (recipe: object) => run(network, recipe);
  const wanda = { criterion: 'wanda', scope: 'row' };
  return {
    network,
    global: await on({ scope: 'global', sweep_betas: SWEEP_BETAS }),
    others: [await on({ scope: 'layer' }), await on({ scope: 'row' }), await on(wanda)],
    searches: [await on({ scope: 'global', target: TARGET }), await on({ ...wanda, target: TARGET })],
  };
}

/** The paper's LLaMA runs: per row, at a fixed half and by EMP. */
export interface Protocol {
  readonly wanda50: Measured;
  readonly magnitude50: Measured;
  readonly empWanda: Measured;
  readonly empMagnitude: Measured;
}

export async function runProtocol({ network, others }: Findings, run: Run): Promise<Protocol> {
  const [, empMagnitude, empWanda] = others;
  const half = (criterion: string) => run(network, { criterion, scope: 'row', budget: { sparsity: 0.5 } });
  return { wanda50: await half('wanda'), magnitude50: await half('magnitude'), empWanda, empMagnitude };
}
