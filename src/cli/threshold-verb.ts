import { openAsBlob } from 'node:fs';
import { count, number, percent } from '../report/wording.ts';
import { requireFiles } from './given-data.ts';
import { EXIT, type ExitCode, Refusal } from './refusal.ts';
import { labelled, table } from './result-words.ts';
import type { Run } from './run.ts';

/** A decision on each row of an array, and on all together. */
interface RowsView {
  readonly groups: readonly (ThresholdView & { readonly name: string })[];
  readonly total: Pick<ThresholdView, 'n' | 'n_keep' | 'sparsity'>;
}

/** Rows that are shown; `--json` has all. */
const SHOWN_ROWS = 40;

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
  if (flags.query.include !== undefined && !flags.json)
    throw new Refusal(EXIT.badInput, '--include says what --json gives: give both');
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
  const found = await client.read<ThresholdView | RowsView>(response, '/v1/thresholds');
  const told = () => ('groups' in found ? rowsWords(found) : words(found));
  terminal.stdout.write(flags.json ? `${JSON.stringify(found, null, 2)}\n` : told());
  return EXIT.kept;
}

function rowsWords({ groups, total }: RowsView): string {
  const rest = groups.length - SHOWN_ROWS;
  return [
    table([
      ['row', 'scores', 'N_eff', 'keep', 'go', 'threshold', 'mass'],
      ...groups
        .slice(0, SHOWN_ROWS)
        .map(({ name, n, n_eff, n_keep, sparsity, threshold, preserved_mass }) => [
          ...[name, count(n), number(n_eff), count(n_keep)],
          ...[percent(sparsity), String(threshold), percent(preserved_mass)],
        ]),
    ]),
    ...(rest > 0 ? [`  and ${count(rest)} more, which --json has\n`] : []),
    '\n',
    labelled([
      ['scores', `${count(total.n)} in ${count(groups.length)} rows`],
      ['keep', `${count(total.n_keep)}, so ${percent(total.sparsity)} go`],
    ]),
  ].join('');
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
