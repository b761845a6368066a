import { useEffect, useState } from 'preact/hooks';
import { describeUntried, RECIPE, type Untried, untriedOf } from '../report/search-outcomes.ts';
import { count, counted } from '../report/wording.ts';
import { say } from './announcements.ts';
import { post } from './api-requests.ts';
import type { Job, Model, Search } from './api-types.ts';
import { CandidatesTable } from './candidates-table.tsx';
import { Refusal } from './drop-zone.tsx';
import { ExternalCandidates } from './external-candidates.tsx';
import { FrontChart } from './front-chart.tsx';
import { isOver, useLive, useResource } from './live-resource.ts';
import { hrefOf, navigate, route, setQuery } from './page-route.ts';
import { ProgressLine } from './progress-line.tsx';
import { AIM_WORDS, describePromise } from './promise-words.ts';
import { describeDetails, describeRecipe } from './recipe-words.ts';
import { ShareLink } from './share-link.tsx';
import { ShipCard } from './ship-card.tsx';

/** A search as it goes on, and what it came to. */
export function SearchScreen({ id }: { id: string }) {
  const { data: search, error, replace } = useLive<Search>('searches', id);
  const model = useResource<Model>(search && `/v1/models/${search.model_id}`, { isFixed: true });
  const number = search?.candidates.length ?? 0;
  useEffect(() => {
    if (number > 0) say(`${count(number)} models tried.`);
  }, [number]);
  const status = search?.status;
  useEffect(() => {
    if (status === 'succeeded') say('The search has finished.');
  }, [status]);
  if (error)
    return (
      <>
        <h1>Search</h1>
        <Refusal error={error} />
      </>
    );
  if (!search) return <p class="muted">Loading the search…</p>;
  const { promise, aim, best } = search;
  const chosen = route.value.query.get('candidate');
  const isOpen = !isOver(search);
  const untried = untriedOf(search.status, search.limits, number, search.lines);
  return (
    <>
      <p class="kind">Search {isOpen ? 'under way' : outcomeOf(search, untried)}</p>
      <h1>{model.data?.name ?? 'A model'}</h1>
      <p class="lead">
        {AIM_WORDS[aim]?.title ?? aim}, while {describePromise(promise)}.
      </p>
      {isOpen && (
        <ProgressLine
          kind="searches"
          resource={search}
          queuedJob={search.status === 'queued' ? (search.lines[0]?.job_id ?? null) : null}
          onCanceled={replace}
        />
      )}
      {search.error && <p class="bad">{search.error.detail}</p>}
      {untried && <p>{describeUntried(untried)}. To have them tried, search again with a larger limit.</p>}
      <p class="actions">
        <ShareLink />
        <a
          class="button secondary"
          href={hrefOf('/', {
            model: search.model_id,
            ...(search.evaluation_dataset_id && { test: search.evaluation_dataset_id }),
            ...(search.calibration_dataset_id && { calibration: search.calibration_dataset_id }),
          })}
        >
          Search again with other wishes
        </a>
      </p>
      {best && (
        <ShipCard
          job={best.job}
          promise={promise}
          met={best.met}
          certified={best.certified}
          aim={aim}
          missed={best.missed.length}
        />
      )}
      {search.status === 'succeeded' && !best && (
        <section class="card none" aria-labelledby="nothing">
          <h2 id="nothing">Nothing that was tried keeps the promise</h2>
          <p>
            {counted(number, { one: 'model was', many: 'models were' })} tried. Allow more, give calibration
            data by which models are repaired, or more test data.
          </p>
        </section>
      )}
      <section aria-labelledby="front">
        <h2 id="front">What was tried</h2>
        <ExternalCandidates search={search} onTold={replace} />
        {number === 0 && isOpen && !search.external && (
          <p class="muted">The first models are there when the first recipe has been followed to its end.</p>
        )}
        {number > 0 && search.dense && (
          <>
            <FrontChart search={search} chosen={chosen} onChoose={(one) => setQuery({ candidate: one })} />
            <CandidatesTable
              search={search}
              chosen={chosen}
              onChoose={(one) => setQuery({ candidate: one })}
            />
            <ChosenCandidate search={search} chosen={chosen} />
          </>
        )}
      </section>
      <Lines search={search} />
    </>
  );
}

/** What it came to, which its status does not tell. */
function outcomeOf({ status, best }: Search, untried: Untried | null): string {
  if (status !== 'succeeded') return status;
  if (best === null) return 'ended: nothing within the promise';
  return untried === null ? 'finished' : 'stopped at its limit';
}

/** A candidate is a recipe; a job makes a model of it. */
function ChosenCandidate({ search, chosen }: { search: Search; chosen: string | null }) {
  const [error, setError] = useState<Error | null>(null);
  const candidate = chosen === null ? undefined : search.candidates[Number(chosen)];
  if (!candidate) return null;
  const make = async () => {
    setError(null);
    const { model_id, calibration_dataset_id, evaluation_dataset_id, selection_dataset_id } = search;
    const ids = { model_id, calibration_dataset_id, evaluation_dataset_id, selection_dataset_id };
    try {
      const job = await post<Job>('/v1/jobs', { ...ids, recipe: candidate.recipe });
      navigate(hrefOf(`/jobs/${job.id}`));
    } catch (failure) {
      setError(failure as Error);
    }
  };
  return (
    <div class="card chosen">
      <p>
        <strong>{describeRecipe(candidate.recipe)}</strong>
        <small>{describeDetails(candidate.recipe)}</small>
      </p>
      <p class="actions">
        <button type="button" class="secondary" onClick={make}>
          Make this model
        </button>
        <button type="button" class="link" onClick={() => setQuery({ candidate: null })}>
          Choose none
        </button>
      </p>
      <div role="alert">{error && <Refusal error={error} />}</div>
    </div>
  );
}

function Lines({ search: { lines, left_out, doubts } }: { search: Search }) {
  return (
    <section aria-labelledby="lines">
      <h2 id="lines" class="unseen">
        Recipes
      </h2>
      {doubts.length > 0 && (
        <div class="remarks">
          <h3>What is doubtful about the data</h3>
          <ul>
            {doubts.map((doubt) => (
              <li key={doubt}>{doubt}</li>
            ))}
          </ul>
        </div>
      )}
      <details>
        <summary>
          {counted(lines.length, RECIPE)}, {count(left_out.length)} left out
        </summary>
        <ul class="lines">
          {lines.map(({ recipe, status, error, job_id }, i) => (
            <li key={job_id ?? `line-${i}`}>
              <span>
                {describeRecipe(recipe)} <small>{describeDetails(recipe)}</small>
              </span>
              <span class={error === null ? 'muted' : 'bad'}>{error ?? status.replaceAll('_', ' ')}</span>
            </li>
          ))}
          {left_out.map(({ recipe, reason }) => (
            <li key={describeDetails(recipe)}>
              <span>
                {describeRecipe(recipe)} <small>{describeDetails(recipe)}</small>
              </span>
              <span class="muted">left out: {reason}</span>
            </li>
          ))}
        </ul>
      </details>
    </section>
  );
}
