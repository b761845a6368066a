import { type Measured, type Network, pruneNetwork } from './network.ts';

/** Runs one job on a network. */
export type Run = (network: Network, recipe: object) => Promise<Measured>;

/** Jobs that several parts of the document ask for run once. */
export function rememberingRun(log: (line: string) => void): Run {
  const reports = new Map<string, Promise<Measured>>();
  const start = performance.now();
  return (network, recipe) => {
    const job = `${network.name}: ${JSON.stringify(recipe)}`;
    const known = reports.get(job);
    if (known) return known;
    log(`${Math.round((performance.now() - start) / 1000)} s, ${job}`);
    const report = pruneNetwork(network, recipe);
    reports.set(job, report);
    return report;
  };
}
