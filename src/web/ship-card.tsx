import type { TargetName } from '../recipe/terms.ts';
import type { Evaluation, Report } from '../report/report.ts';
import { formatAccuracy, formatBytes, formatNumber, formatPercent, times } from '../report/wording.ts';
import type { Job, Recipe } from './api-types.ts';
import { ArchitectureStrip } from './architecture-strip.tsx';
import { Badge } from './candidates-table.tsx';
import { CopyCommands } from './copy-commands.tsx';
import { FileLink } from './file-link.tsx';
import { Figure } from './inventory-table.tsx';
import { useResource } from './live-resource.ts';
import { describeCost, describePromise, isNoDifference, PROMISES, promiseOf } from './promise-words.ts';
import { describeDetails, describeRecipe } from './recipe-words.ts';

interface ShipCardProps {
  readonly job: Job;
  /** What was promised; null without. */
  readonly promise: Recipe | null;
  readonly met: boolean | null;
  readonly certified: number | null;
  /** Better models that missed the promise on the same samples. */
  readonly missed?: number;
}

/** The model to take: whether it keeps the promise, its figures, and the ways to get it. */
export function ShipCard({ job, promise, met, certified, missed = 0 }: ShipCardProps) {
  const isDone = job.status === 'succeeded';
  const { data: report } = useResource<Report>(isDone ? `/v1/jobs/${job.id}/report` : null, {
    isFixed: true,
  });
  const title = !isDone ? 'Being written' : met === false ? 'Closest' : 'Ship this';
  const model = job.artifacts.find(({ name }) => name === report?.artifacts[0]?.name);
  return (
    <section class="card ship" aria-labelledby="ship">
      <h2 id="ship">
        {title}: {describeRecipe(job.recipe)}
      </h2>
      <p class="muted details">{describeDetails(job.recipe)}</p>
      {!isDone && <p class="muted">Its figures are there once it is written.</p>}
      {isDone && (
        <p class="badges">
          {met === true && <Badge kind="good">{`within: ${describePromise(promise)}`}</Badge>}
          {met === false && <Badge kind="over">{`not within: ${describePromise(promise)}`}</Badge>}
          {certified !== null && <Badge kind="good">shown on samples that no choice saw</Badge>}
          {missed > 0 && <Badge kind="warn">{`${missed} better ones missed it`}</Badge>}
          {report?.verdict.warnings.some(({ code }) => code === 'evaluation_too_small') && (
            <Badge kind="warn">too few samples to be sure</Badge>
          )}
        </p>
      )}
      {report && <Figures report={report} promise={promise} />}
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

function Figures({ report, promise }: { report: Report; promise: Recipe | null }) {
  const { sizes, total, evaluation } = report;
  const parameters = report.structures?.parameters;
  const bounded = promiseOf(promise)?.name;
  return (
    <dl class="figures">
      {sizes.pruned_zstd_bytes !== null && (
        <Figure
          term="Download"
          value={formatBytes(sizes.pruned_zstd_bytes)}
          note={`${times(sizes.dense_zstd_bytes, sizes.pruned_zstd_bytes)} times smaller, was ${formatBytes(sizes.dense_zstd_bytes)} (zstd)`}
        />
      )}
      {sizes.pruned_bytes !== null && (
        <Figure
          term="On disk"
          value={formatBytes(sizes.pruned_bytes)}
          note={
            sizes.pruned_bytes === sizes.dense_bytes
              ? 'as before: zeros in place'
              : `was ${formatBytes(sizes.dense_bytes)}`
          }
        />
      )}
      <Figure
        term={parameters ? 'Parameters' : 'Weights left'}
        value={
          parameters?.pruned != null
            ? formatPercent(parameters.pruned / parameters.dense)
            : formatPercent(total.n_keep / total.n)
        }
        note={`${formatNumber(parameters?.pruned ?? total.n_keep)} of ${formatNumber(parameters?.dense ?? total.n)}`}
      />
      {evaluation && <MeasuredFigures evaluation={evaluation} bounded={bounded} />}
      {evaluation && <Speed report={report} evaluation={evaluation} />}
    </dl>
  );
}

function MeasuredFigures({
  evaluation,
  bounded,
}: {
  evaluation: Evaluation;
  bounded: TargetName | undefined;
}) {
  const { dense, pruned } = evaluation;
  const names = (Object.keys(PROMISES) as TargetName[]).filter(
    (name) =>
      name === bounded || name === 'max_accuracy_drop' || name === 'max_loss_increase' || dense.loss === null,
  );
  return (
    <>
      {names.map((name) => {
        const measured = measuredCost(name, evaluation);
        if (measured === null) return null;
        const { title } = PROMISES[name];
        const { cost, error } = measured;
        const change = describeCost(name, cost, error);
        const isSame = isNoDifference(cost, error);
        const value =
          name === 'max_accuracy_drop' && pruned.accuracy !== null && dense.accuracy !== null
            ? {
                term: 'Accuracy',
                value: formatAccuracy(pruned.accuracy),
                was: `was ${formatAccuracy(dense.accuracy)}; `,
              }
            : name === 'max_loss_increase' && pruned.loss !== null && dense.loss !== null
              ? { term: 'Loss', value: formatNumber(pruned.loss), was: `was ${formatNumber(dense.loss)}; ` }
              : { term: title, value: isSame ? 'no difference' : change, was: '' };
        const note = `${value.was}${isSame ? `no difference (${change})` : name === 'max_accuracy_drop' ? `${change} lost` : change}`;
        return <Figure key={name} term={value.term} value={value.value} note={note} />;
      })}
    </>
  );
}

function measuredCost(
  name: TargetName,
  { dense, pruned }: Evaluation,
): { cost: number; error: number | null } | null {
  const known = (cost: number | null, error: number | null) => (cost === null ? null : { cost, error });
  switch (name) {
    case 'max_accuracy_drop':
      if (dense.accuracy === null || pruned.accuracy === null) return null;
      return known(dense.accuracy - pruned.accuracy, pruned.accuracy_drop_standard_error);
    case 'max_loss_increase': {
      if (!dense.loss || pruned.loss === null) return null;
      const error = pruned.loss_increase_standard_error;
      return known(pruned.loss / dense.loss - 1, error === null ? null : error / dense.loss);
    }
    case 'max_disagreement':
      return known(
        pruned.top1_agreement === null ? null : 1 - pruned.top1_agreement,
        pruned.disagreement_standard_error,
      );
    case 'max_kl':
      return known(pruned.kl, pruned.kl_standard_error);
    case 'max_relative_l2':
      return known(pruned.relative_l2, pruned.relative_l2_standard_error);
    case 'max_cosine_distance':
      return known(pruned.cosine_distance, pruned.cosine_distance_standard_error);
  }
}

function Speed({ report, evaluation }: { report: Report; evaluation: Evaluation }) {
  const { dense, pruned, speed_target: target, batch_size } = evaluation;
  if (report.structures === null)
    return <Figure term="Speed" value="same" note="zeros are multiplied all the same" />;
  if (target?.name === 'min_speedup')
    return (
      <Figure
        term="Speed"
        value={`${target.reached.toFixed(2)} ×`}
        note={`95 % interval ${target.low.toFixed(2)} to ${target.high.toFixed(2)}`}
      />
    );
  if (!dense.latency_ms || !pruned.latency_ms) return null;
  return (
    <Figure
      term="Speed"
      value={`${times(dense.latency_ms, pruned.latency_ms)} ×`}
      note={
        batch_size === null ? undefined : `a batch of ${batch_size}: ${formatNumber(pruned.latency_ms, 3)} ms`
      }
    />
  );
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
