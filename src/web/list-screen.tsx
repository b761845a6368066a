import { useEffect, useState } from 'preact/hooks';
import type { ModelSummary, Page } from './api-types.ts';
import { Refusal } from './drop-zone.tsx';
import { listWork, type WorkQuery } from './listed-work.ts';
import { remember, remembered, useResource } from './live-resource.ts';
import { hrefOf, route, setQuery } from './page-route.ts';
import { ScrollTable } from './paged-table.tsx';
import { WorkRow } from './work-row.tsx';

const STATUSES = ['queued', 'running', 'waiting', 'succeeded', 'failed', 'canceled'];
const ROWS = 25;
const MOST_COMPARED = 4;
const LOOK_MS = 3000;

/** All searches and jobs, newest first; what of them is shown is in the address. */
export function ListScreen() {
  const { query } = route.value;
  const asked: WorkQuery = {
    kind: query.get('kind') ?? '',
    status: query.get('status') ?? '',
    model: query.get('model') ?? '',
    withParts: query.has('parts'),
    count: Number(query.get('count') ?? ROWS),
  };
  const chosen = (query.get('ids') ?? '').split(',').filter(Boolean);
  const key = `list:${JSON.stringify(asked)}`;
  const models = useResource<Page<ModelSummary>>('/v1/models?limit=100');
  const [, setLooks] = useState(0);
  const [error, setError] = useState<Error | null>(null);
  const listed = remembered<Awaited<ReturnType<typeof listWork>>>(key);
  useEffect(() => {
    const gone = new AbortController();
    const look = async () => {
      for (;;) {
        if (document.visibilityState === 'visible' || !remembered(key)) {
          remember(key, await listWork(asked, gone.signal));
          setLooks((looks) => looks + 1);
        }
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        gone.signal.throwIfAborted();
      }
    };
    setError(null);
    look().catch((failure) => {
      if (!gone.signal.aborted) setError(failure);
    });
    return () => gone.abort();
  }, [key]);
  const nameOf = (id: string) => models.data?.data.find((model) => model.id === id)?.name ?? id;
  const choose = (id: string, isChosen: boolean) =>
    setQuery({ ids: (isChosen ? [...chosen, id] : chosen.filter((one) => one !== id)).join(',') || null });
  return (
    <>
      <h1>Jobs and searches</h1>
      <div class="filters">
        <Choice
          label="Show"
          name="kind"
          options={{ '': 'Searches and jobs', searches: 'Searches', jobs: 'Jobs' }}
        />
        <Choice
          label="Status"
          name="status"
          options={{ '': 'Any status', ...Object.fromEntries(STATUSES.map((status) => [status, status])) }}
        />
        <Choice
          label="Model"
          name="model"
          options={{
            '': 'Any model',
            ...Object.fromEntries((models.data?.data ?? []).map(({ id, name }) => [id, name])),
          }}
        />
        <label class="check">
          <input
            type="checkbox"
            checked={asked.withParts}
            onChange={(event) => setQuery({ parts: event.currentTarget.checked ? '1' : null })}
          />
          Jobs of searches too
        </label>
      </div>
      <p class="actions">
        {chosen.length >= 2 ? (
          <a class="button" href={hrefOf('/compare', { ids: chosen.join(',') })}>
            Compare {chosen.length} side by side
          </a>
        ) : (
          <span class="muted">Tick two to four to compare them.</span>
        )}
      </p>
      {error && <Refusal error={error} />}
      {!listed && !error && <p class="muted">Loading…</p>}
      {listed?.work.length === 0 && <p>There is nothing of this kind yet.</p>}
      {listed && listed.work.length > 0 && (
        <ScrollTable
          caption="Jobs and searches"
          columns={['Compare', 'What it was', 'Status', 'What came out', 'Begun', 'End it']}
        >
          {listed.work.map((work) => (
            <WorkRow
              key={work.id}
              work={work}
              model={nameOf(work.model_id)}
              isChosen={chosen.includes(work.id)}
              mayChoose={chosen.length < MOST_COMPARED}
              onChoose={choose}
            />
          ))}
        </ScrollTable>
      )}
      {listed?.hasMore && (
        <p>
          <button
            type="button"
            class="secondary"
            onClick={() => setQuery({ count: String(asked.count + ROWS) })}
          >
            Show more
          </button>
        </p>
      )}
    </>
  );
}

function Choice({
  label,
  name,
  options,
}: {
  label: string;
  name: string;
  options: Readonly<Record<string, string>>;
}) {
  return (
    <label class="field">
      {label}
      <select
        value={route.value.query.get(name) ?? ''}
        onChange={(event) => setQuery({ [name]: event.currentTarget.value || null, count: null })}
      >
        {Object.entries(options).map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}
