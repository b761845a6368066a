import { useState } from 'preact/hooks';
import type { TargetName } from '../recipe/terms.ts';
import { bytes, count, formatPercent } from '../report/wording.ts';
import type { Candidate, Search } from './api-types.ts';
import { ScrollTable } from './paged-table.tsx';
import {
  amountOf,
  costOf,
  describeAccuracy,
  describeCost,
  isNoDifference,
  PROMISES,
  promiseOf,
} from './promise-words.ts';
import { describeDetails, describeRecipe } from './recipe-words.ts';

const ROWS = 12;

interface CandidatesTableProps {
  readonly search: Search;
  readonly chosen: string | null;
  readonly onChoose: (number: string) => void;
}

/** The figures of the chart, best first: what keeps the promise, by what the aim lessens. */
export function CandidatesTable({ search, chosen, onChoose }: CandidatesTableProps) {
  const [isWhole, setIsWhole] = useState(false);
  const { candidates, dense, aim } = search;
  const promise = promiseOf(search.promise);
  if (!dense || promise === null) return null;
  const words = PROMISES[promise.name];
  const amount = (candidate: Candidate) => amountOf(aim, candidate, dense) ?? Number.POSITIVE_INFINITY;
  const sorted = candidates
    .map((candidate, number) => ({ candidate, number: String(number) }))
    .sort(
      (a, b) =>
        Number(b.candidate.within) - Number(a.candidate.within) || amount(a.candidate) - amount(b.candidate),
    );
  const shown = isWhole ? sorted : sorted.filter(({ number }, i) => i < ROWS || number === chosen);
  const isTimed = aim === 'speed';
  return (
    <>
      <ScrollTable
        caption="Models that were tried"
        columns={[
          'Recipe',
          'Promise',
          words.title,
          'Accuracy',
          'Download',
          'Parameters',
          ...(isTimed ? ['Speed'] : []),
        ]}
      >
        {shown.map(({ candidate, number }) => {
          const measured = costOf(promise.name, candidate, dense);
          return (
            <tr key={number} class={number === chosen ? 'selected' : ''}>
              <th scope="row">
                <button
                  type="button"
                  class="link"
                  aria-pressed={number === chosen}
                  onClick={() => onChoose(number)}
                >
                  {describeRecipe(candidate.recipe)}
                </button>
                <small>{describeDetails(candidate.recipe)}</small>
              </th>
              <td>
                {candidate.within ? <Badge kind="good">within</Badge> : <Badge kind="over">over</Badge>}
              </td>
              <td>
                {measured ? <Cost name={promise.name} isWithin={candidate.within} {...measured} /> : '–'}
              </td>
              <td>{describeAccuracy(candidate.accuracy)}</td>
              <td>
                {bytes(candidate.compressed_bytes)}
                <small>{formatPercent(candidate.compressed_bytes / dense.compressed_bytes)}</small>
              </td>
              <td>
                {count(candidate.parameters)}
                <small>{formatPercent(candidate.parameters / dense.parameters)}</small>
              </td>
              {isTimed && <td>{candidate.speedup === null ? '–' : `${candidate.speedup.toFixed(2)} ×`}</td>}
            </tr>
          );
        })}
        <tr class="dense">
          <th scope="row">The original</th>
          <td />
          <td />
          <td>{describeAccuracy(dense.accuracy)}</td>
          <td>{bytes(dense.compressed_bytes)}</td>
          <td>{count(dense.parameters)}</td>
          {isTimed && <td>1.00 ×</td>}
        </tr>
      </ScrollTable>
      {sorted.length > ROWS && (
        <p>
          <button type="button" class="link" aria-expanded={isWhole} onClick={() => setIsWhole(!isWhole)}>
            {isWhole ? 'Show fewer' : `Show all ${count(sorted.length)}`}
          </button>
        </p>
      )}
    </>
  );
}

interface CostProps {
  readonly name: TargetName;
  readonly isWithin: boolean;
  readonly cost: number;
  readonly error: number | null;
}

/** What was measured first: it is what the promise is judged by, inside its noise too. */
function Cost({ name, isWithin, cost, error }: CostProps) {
  const figures = describeCost(name, cost, error);
  if (!isNoDifference(cost, error)) return figures;
  return (
    <>
      {figures}
      <small>{isWithin ? 'no difference' : 'too few samples to be sure'}</small>
    </>
  );
}

export function Badge({ kind, children }: { kind: 'good' | 'over' | 'warn' | 'plain'; children: string }) {
  return <span class={`badge ${kind}`}>{children}</span>;
}
