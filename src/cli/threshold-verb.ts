import { openAsBlob } from 'node:fs';
import { count, number, percent } from '../report/wording.ts';
import { requireFiles } from './given-data.ts';
import { EXIT, type ExitCode } from './refusal.ts';
import { labelled } from './result-words.ts';
import type { Run } from './run.ts';

interface ThresholdView {
  readonly n: number;
  readonly n_eff: number;
  readonly n_keep: number;
  readonly sparsity: number;
  readonly threshold: number;
  readonly preserved_mass: number;
}

/** Fields of the request that are parameters of its address. */
export interface ThresholdFlags {
  readonly json?: boolean;
  readonly query: Readonly<Record<string, unknown>>;
}

/** Decides on a vector of scores. */
export async function threshold(
  { client, terminal }: Run,
  path: string,
  flags: ThresholdFlags,
): Promise<ExitCode> {
  await requireFiles([path]);
  const query = new URLSearchParams(
    Object.entries(flags.query).flatMap(([name, value]) =>
      [value].flat().map((one): [string, string] => [name, String(one)]),
    ),
  );
  const response = await client.call(
    `/v1/thresholds?${query}`,
    {
      method: 'POST',
      headers: { 'content-type': 'application/x-npy', accept: 'application/json' },
      body: await openAsBlob(path, { type: 'application/x-npy' }),
    },
    path,
  );
  const found = (await response.json()) as ThresholdView;
  terminal.stdout.write(
    flags.json || !('threshold' in found) ? `${JSON.stringify(found, null, 2)}\n` : words(found),
  );
  return EXIT.kept;
}

function words({ n, n_eff, n_keep, sparsity, threshold, preserved_mass }: ThresholdView): string {
  return labelled([
    ['scores', count(n)],
    ['N_eff', number(n_eff)],
    ['keep', `${count(n_keep)}, so ${percent(sparsity)} go`],
    ['threshold', `every score of at least ${threshold} in size`],
    ['mass', `${percent(preserved_mass)} of the scores' mass stays`],
  ]);
}
