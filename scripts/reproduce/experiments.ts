import { type Measured, type Network, pruneNetwork } from './network.ts';

const SWEEP_BETAS = [0.5, 0.75, 1, 1.25, 1.5, 2];
const TARGET = { max_loss_increase: 0.01 };

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

export async function runAll(network: Network, log: (line: string) => void): Promise<Findings> {
  const run = (recipe: object) => {
    log(`${network.name}: ${JSON.stringify(recipe)}`);
    return pruneNetwork(network, recipe);
  };
  const wanda = { criterion: 'wanda', scope: 'row' };
  return {
    network,
    global: await run({ scope: 'global', sweep_betas: SWEEP_BETAS }),
    others: [await run({ scope: 'layer' }), await run({ scope: 'row' }), await run(wanda)],
    searches: [await run({ scope: 'global', target: TARGET }), await run({ ...wanda, target: TARGET })],
  };
}

/** The paper's LLaMA runs: per row, at a fixed half and by EMP. */
export interface Protocol {
  readonly wanda50: Measured;
  readonly magnitude50: Measured;
  readonly empWanda: Measured;
  readonly empMagnitude: Measured;
}

export async function runProtocol(
  { network, others }: Findings,
  log: (line: string) => void,
): Promise<Protocol> {
  const [, empMagnitude, empWanda] = others;
  const half = (criterion: string) => {
    log(`${network.name}: ${criterion}, half of every row`);
    return pruneNetwork(network, { criterion, scope: 'row', budget: { sparsity: 0.5 } });
  };
  return { wanda50: await half('wanda'), magnitude50: await half('magnitude'), empWanda, empMagnitude };
}
