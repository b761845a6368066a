import type { CheckedExport, Outcome } from './check-export.ts';

const VERDICTS = ['ok', 'refused', 'failed', 'wrong'] as const;

/** Of refusals only what several models have in common: no names, no counts. */
const COMMON: readonly (readonly [RegExp, string])[] = [
  [/^(\w+: gradients cannot be computed through) (?:\d+ nodes|one node).*?\(([^()]*)\).*/, '$1 $2'],
  [/^(\w+): criterion (\w+) cannot score .*?: node .*? \((\w+)\) ([^;(]*).*/, '$1: $3 $4'],
  [/^(\w+): criterion (\w+) cannot score .*?: ([^;]*).*/, '$1: $2 cannot score what $3'],
  [/^(\w+: the model cannot be run): .*?\(\w+\) (computes in \w+).*/, '$1: $2'],
  [
    /^(\w+): calibration does not fit the model: .* expected bfloat16.*/,
    '$1: bfloat16, which a .npy file cannot hold',
  ],
];

/** The page that says what became of all exports, in the order in which they were checked. */
export function formatDocument(checked: readonly CheckedExport[], versions: string): string {
  const kinds = Map.groupBy(checked, ({ exported }) => exported.kind);
  const outcomes = checked.flatMap((each) => each.outcomes);
  const sum = VERDICTS.map((verdict) => `${countOf(outcomes, verdict)} ${verdict}`).join(', ');
  return `# Exports

Written by \`npm run check:exports\`, which exports models of many kinds from PyTorch with random weights (\`scripts/exports/\`), prunes each over HTTP and holds what comes back against the dense model: by weight with \`magnitude\`, \`wanda\`, \`taylor\` and all repairs, and in every granularity that its structures offer with \`l2_norm\`, \`wanda\`, \`taylor_rms\`, and \`variance\` with all repairs.

*ok*: the artifact loads and runs at two batch sizes (or at the one that the export takes), and equals the dense model with its mask: pruned weights bit by bit, removed structures by the outputs. Of repaired ones the outputs are finite and have the dense model's shapes. *refused*: a precise error before or in the job. *failed*: an error of the service's own, or no export. *wrong*: an artifact that does not run, or differs.

${checked.length} models of ${kinds.size} kinds, ${outcomes.length} jobs: ${sum}. ${versions}.

## By kind

${tableOf(
  ['kind', 'exports', ...VERDICTS, 'heads found of those of each attention'],
  [...kinds].map(([kind, members]) => rowOf(kind, members)),
)}

## Refusals

${tableOf(['reason', 'jobs', 'exports'], reasonRows(checked, 'refused'))}
${otherSections(checked)}`;
}

function rowOf(kind: string, members: readonly CheckedExport[]): string[] {
  const outcomes = members.flatMap((each) => each.outcomes);
  const names = members.map(({ exported }) => exported.name).join(', ');
  const counts = VERDICTS.map((verdict) => String(countOf(outcomes, verdict)));
  const heads = Map.groupBy(members.filter(hasAttention), headsText);
  const isSame = heads.size === 1 && members.every(hasAttention);
  const texts = Array.from(heads, ([text, own]) =>
    isSame ? text : `${own.map(({ exported }) => exported.name).join(', ')}: ${text}`,
  );
  return [kind, names, ...counts, texts.join('; ')];
}

function hasAttention({ exported: { heads } }: CheckedExport): boolean {
  return heads.length > 0;
}

/** `4 of 4` for each attention, equal ones once. */
function headsText({ exported, attentions }: CheckedExport): string {
  const texts = exported.heads.map((heads, i) => {
    const found = attentions[i];
    if (!found) return `none of ${heads} (is not seen)`;
    return found.reason === null ? `${found.heads} of ${heads}` : `none of ${heads} (${found.reason})`;
  });
  return Array.from(
    Map.groupBy(texts, (text) => text),
    ([text, { length }]) => (length > 1 ? `${length} × ${text}` : text),
  ).join(', ');
}

function otherSections(checked: readonly CheckedExport[]): string {
  return (['failed', 'wrong'] as const)
    .map((verdict) => [verdict, reasonRows(checked, verdict)] as const)
    .filter(([, rows]) => rows.length > 0)
    .map(([verdict, rows]) => `\n## ${verdict}\n\n${tableOf(['reason', 'jobs', 'exports'], rows)}\n`)
    .join('');
}

/** The commonest first. */
function reasonRows(checked: readonly CheckedExport[], verdict: Outcome['verdict']): string[][] {
  const found = checked.flatMap(({ exported, outcomes }) =>
    outcomes
      .filter((outcome) => outcome.verdict === verdict)
      .map(({ reason }) => ({ reason: commonReason(reason ?? ''), name: exported.name })),
  );
  return [...Map.groupBy(found, ({ reason }) => reason)]
    .toSorted(([, a], [, b]) => b.length - a.length)
    .map(([reason, own]) => [
      reason,
      String(own.length),
      [...new Set(own.map(({ name }) => name))].join(', '),
    ]);
}

function commonReason(reason: string): string {
  for (const [pattern, replacement] of COMMON)
    if (pattern.test(reason)) return reason.replace(pattern, replacement);
  return reason;
}

function countOf(outcomes: readonly Outcome[], verdict: Outcome['verdict']): number {
  return outcomes.filter((outcome) => outcome.verdict === verdict).length;
}

function tableOf(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(headings), line(headings.map(() => '---')), ...rows.map(line)].join('\n');
}
