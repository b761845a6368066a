import type { Job, Model, Recipe } from './api-types.ts';
import { Refusal } from './drop-zone.tsx';
import { isOver, useLive, useResource } from './live-resource.ts';
import { hrefOf } from './page-route.ts';
import { ProgressLine } from './progress-line.tsx';
import { describeDetails, describeField, describeRecipe } from './recipe-words.ts';
import { ShareLink } from './share-link.tsx';
import { ShipCard } from './ship-card.tsx';

/** One job: where it is in the queue, how far it is, and its model. */
export function JobScreen({ id }: { id: string }) {
  const { data: job, error, replace } = useLive<Job>('jobs', id);
  const model = useResource<Model>(job && `/v1/models/${job.model_id}`, { isFixed: true });
  if (error)
    return (
      <>
        <h1>Job</h1>
        <Refusal error={error} />
      </>
    );
  if (!job) return <p class="muted">Loading the job…</p>;
  const target = (job.recipe.target ?? null) as Recipe | null;
  const { summary } = job;
  return (
    <>
      <p class="kind">Job {job.status}</p>
      <h1>{model.data?.name ?? 'A model'}</h1>
      <p class="lead">
        {describeRecipe(job.recipe)} <small class="muted">{describeDetails(job.recipe)}</small>
      </p>
      {job.search_id && (
        <p>
          Part of <a href={hrefOf(`/searches/${job.search_id}`)}>a search</a>.
        </p>
      )}
      {!isOver(job) && <ProgressLine kind="jobs" resource={job} onCanceled={replace} />}
      {job.error && <p class="bad">{job.error.detail}</p>}
      <p class="actions">
        <ShareLink />
      </p>
      {job.status === 'succeeded' && summary && (
        <ShipCard
          job={job}
          promise={target}
          met={summary.met ?? null}
          certified={summary.certified ?? null}
        />
      )}
      <details>
        <summary>The recipe</summary>
        <dl class="terms">
          {Object.entries(job.recipe)
            .filter(([, value]) => value !== null)
            .map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{describeField(value)}</dd>
              </div>
            ))}
        </dl>
      </details>
    </>
  );
}
