import type { Decision } from '../report/decision-schema.ts';
import { STATUSES, type Status } from '../report/decision-statuses.ts';
import type { Report } from '../report/report.ts';
import { isNothingFaster, NOTHING_FASTER } from '../report/search-outcomes.ts';
import type { Job, Recipe } from './api-types.ts';
import { ArchitectureStrip } from './architecture-strip.tsx';
import { Badge } from './candidates-table.tsx';
import { CopyCommands } from './copy-commands.tsx';
import { FileLink } from './file-link.tsx';
import { Figure } from './inventory-table.tsx';
import { useResource } from './live-resource.ts';
import { describePromise } from './promise-words.ts';
import { describeDetails, describeRecipe } from './recipe-words.ts';

interface ShipCardProps {
  readonly job: Job;
  /** What was promised; null without. */
  readonly promise: Recipe | null;
  readonly met: boolean | null;
  readonly certified: number | null;
  /** Of the search; none of a job of its own. */
  readonly aim?: string;
  /** Better models that missed the promise on the same samples. */
  readonly missed?: number;
}

const TITLES: Readonly<Partial<Record<Status, string>>> = {
  within: 'Ship this',
  estimated: 'Ship this if an estimate will do',
  not_met: 'Closest',
  unsafe: 'Do not ship this',
  harmed: 'Do not ship this',
  nothing_gained: 'Nothing gained',
};
const BADGES = { good: 'good', bad: 'over', warn: 'warn', plain: 'plain' } as const;
/** What the job alone says where it had no target: a metric of the client may know better. */
const UNPROMISED: readonly Status[] = ['harmed', 'measured', 'not_measured'];

/** The model to take: what its report decides, in its words and figures, and the ways to get it. */
export function ShipCard({ job, promise, met, certified, aim = '', missed = 0 }: ShipCardProps) {
  const isDone = job.status === 'succeeded';
  const { data: report } = useResource<Report>(isDone ? `/v1/jobs/${job.id}/report` : null, {
    isFixed: true,
  });
  // A report of an earlier version has none.
  const decision: Decision | undefined = report?.decision;
  const isSlow = isNothingFaster(aim, job.summary);
  const status =
    isSlow && decision?.status !== 'unsafe'
      ? 'nothing_gained'
      : standing(decision, report?.evaluation?.search ? null : met);
  const model = job.artifacts.find(({ name }) => name === report?.artifacts[0]?.name);
  const title = isDone ? (isSlow ? NOTHING_FASTER : (TITLES[status] ?? 'The model')) : 'Being written';
  return (
    <section class="card ship" aria-labelledby="ship">
      <h2 id="ship">
        {title}: {describeRecipe(job.recipe)}
      </h2>
      <p class="muted details">{describeDetails(job.recipe)}</p>
      {!isDone && <p class="muted">Its figures are there once it is written.</p>}
      {report && (
        <p class="badges">
          <Badge kind={BADGES[STATUSES[status].tone]}>
            {(isSlow ? NOTHING_FASTER : STATUSES[status].badge) +
              (promise && !isSlow ? `: ${describePromise(promise)}` : '')}
          </Badge>
          {certified !== null && <Badge kind="good">shown on samples that no choice saw</Badge>}
          {missed > 0 && <Badge kind="warn">{`${missed} better ones missed it`}</Badge>}
          {certified === null && isTooSmall(report) && <Badge kind="warn">too few samples to be sure</Badge>}
        </p>
      )}
      {decision && (
        <>
          {decision.status === status && <p>{decision.sentence}</p>}
          {isSlow && (
            <p>
              The best that was tried is {job.summary?.speedup?.toFixed(2)} × as fast. Keep the original, or
              search for a smaller one.
            </p>
          )}
          <dl class="figures">
            {decision.figures.map(({ name, title: term, text, interval, before }) => (
              <Figure key={name} term={term} value={text} note={`${before}; ${interval}`} />
            ))}
          </dl>
        </>
      )}
      {isDone && (
        <p class="actions">
          {model && (
            <FileLink href={model.url} name={model.name} isMain>
              Download the model
            </FileLink>
          )}
          <FileLink href={`/v1/jobs/${job.id}/report`} name="report.html" accept="text/html" isPage>
            Full report
          </FileLink>
        </p>
      )}
      {isDone && <CopyCommands job={job} file={model ?? null} />}
      {report && <Remarks report={report} />}
      {report && <ArchitectureStrip report={report} />}
    </section>
  );
}

const isTooSmall = ({ verdict }: Report): boolean =>
  verdict.warnings.some(({ code }) => code === 'evaluation_too_small');

function standing(decision: Decision | undefined, met: boolean | null): Status {
  const own = decision?.status ?? 'not_measured';
  if (met === null || !UNPROMISED.includes(own)) return own;
  return met ? 'within' : 'not_met';
}

function Remarks({ report: { verdict } }: { report: Report }) {
  return (
    <details>
      <summary>
        What the report says{verdict.warnings.length > 0 && `, with ${verdict.warnings.length} remarks`}
      </summary>
      <p>{verdict.text}</p>
      <ul>
        {verdict.warnings.map(({ code, text }) => (
          <li key={code}>{text}</li>
        ))}
      </ul>
    </details>
  );
}
