import type { SearchFinding } from './searches.ts';
import { change, formatTable, NONE } from './table.ts';
import { titleOf } from './titles.ts';

const INTRODUCTION = `One request each to \`POST /v1/searches\`, with the promise \`{"max_loss_increase": 0.01}\`, aim \`size\`, and no recipe; the service runs as \`npm start\` runs it. *Smaller*: how many times the files are, compressed by zstd. *By hand*: the best of 17 attempts, measured on the samples that they were chosen by; the residual network and FC12 of these were others than ours.
The change of the loss, and whether it is within, are of the half of the evaluation samples that no candidate saw. Seconds are to the first model within the promise, to one within 5 % of the best, and to the end; *alone* is a job with the winning recipe and the promise as its target, which searches its beta by itself.`;

/** The section on searches. */
export function formatSearches(findings: readonly SearchFinding[]): string {
  return `${INTRODUCTION}\n\n${formatSearchTable(findings)}`;
}

/** Also in the README. */
export function formatSearchTable(findings: readonly SearchFinding[]): string {
  const rows = findings.map(({ network, byHand, search, seconds, aloneSeconds }) => {
    const { best } = search;
    const summary = best?.job.summary ?? null;
    const { loss = null, dense_loss = null, pruned_zstd_bytes = null } = summary ?? {};
    const lost = loss !== null && dense_loss !== null ? loss / dense_loss - 1 : null;
    const dense = summary?.dense_zstd_bytes ?? null;
    const smaller = dense !== null && pruned_zstd_bytes !== null ? dense / pruned_zstd_bytes : null;
    return [
      titleOf(network),
      best ? describe(best.recipe) : NONE,
      times(smaller),
      times(byHand),
      change(lost),
      best?.met ? 'yes' : 'no',
      String(search.candidates.length),
      ...[seconds.first, seconds.near, seconds.end, aloneSeconds].map((value) =>
        value === null ? NONE : value.toFixed(1),
      ),
    ];
  });
  const head = [
    ...['network', 'best recipe', 'smaller', 'by hand', 'loss %', 'within', 'models'],
    ...['first, s', 'near, s', 'end, s', 'alone, s'],
  ];
  return formatTable(head, rows, 2);
}

function describe(recipe: Readonly<Record<string, unknown>>): string {
  const { criterion, granularity, scope, repair } = recipe;
  const repairs = Array.isArray(repair) && repair.length > 0 ? `, ${repair.join(', ')}` : '';
  return `\`${criterion}\`, ${granularity}, ${scope}${repairs}`;
}

function times(value: number | null): string {
  return value === null ? NONE : value.toFixed(2);
}
