import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { bytes, formatPercent, number } from '../report/wording.ts';
import { post } from './api-requests.ts';
import type { Search } from './api-types.ts';
import { Badge } from './candidates-table.tsx';
import { Refusal } from './drop-zone.tsx';
import { hrefOf } from './page-route.ts';
import { ScrollTable } from './paged-table.tsx';
import { describeDetails, describeRecipe } from './recipe-words.ts';

interface ExternalCandidatesProps {
  readonly search: Search;
  readonly onTold: (search: Search) => void;
}

/** The models of a search by the client's own metric: where each is, and a field for what the metric says of it. */
export function ExternalCandidates({ search, onTold }: ExternalCandidatesProps) {
  const { id, model_id, external } = search;
  if (external === null) return null;
  return (
    <>
      <p>
        Your own metric says what a model is worth. Measure each model on your side, and say what came of it.
      </p>
      <ScrollTable
        caption="Models to measure"
        columns={['Model', 'Your metric', 'Promise', 'Gone', 'Download']}
      >
        {external.map(
          ({ recipe, job_id, status, metric, drop, within, sparsity, compressed_bytes }, place) => (
            <tr key={job_id ?? 'dense'}>
              <th scope="row">
                {recipe === null || job_id === null ? (
                  <a href={hrefOf('/', { model: model_id })}>The original</a>
                ) : (
                  <a href={hrefOf(`/jobs/${job_id}`)}>{describeRecipe(recipe)}</a>
                )}
                {recipe && <small>{describeDetails(recipe)}</small>}
              </th>
              <td>
                <Metric
                  label={`Metric of model ${place}`}
                  path={`/v1/searches/${id}/candidates/${place}/metric`}
                  isAsked={metric === null && status === 'succeeded' && search.finished_at === null}
                  onTold={onTold}
                >
                  {metric !== null ? (
                    number(metric)
                  ) : (
                    <span class="muted">{status === 'succeeded' ? 'not told' : status}</span>
                  )}
                </Metric>
                {drop !== null && place > 0 && <small>{number(drop)} worse</small>}
              </td>
              <td>
                {within === null || place === 0 ? null : within ? (
                  <Badge kind="good">within</Badge>
                ) : (
                  <Badge kind="over">over</Badge>
                )}
              </td>
              <td>{sparsity === null ? '–' : formatPercent(sparsity)}</td>
              <td>{compressed_bytes === null ? '–' : bytes(compressed_bytes)}</td>
            </tr>
          ),
        )}
      </ScrollTable>
    </>
  );
}

interface MetricProps {
  readonly label: string;
  readonly path: string;
  readonly isAsked: boolean;
  /** What is said of it where it is not asked for. */
  readonly children: ComponentChildren;
  readonly onTold: (search: Search) => void;
}

/** A metric, or the field for it. Why one was refused stays when another client's has taken its place. */
function Metric({ label, path, isAsked, children, onTold }: MetricProps) {
  const [value, setValue] = useState('');
  const [isSending, setIsSending] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const tell = async (event: Event) => {
    event.preventDefault();
    if (isSending) return;
    setIsSending(true);
    setError(null);
    try {
      onTold(await post<Search>(path, { value: Number(value) }));
    } catch (failure) {
      setError(failure as Error);
    } finally {
      setIsSending(false);
    }
  };
  return (
    <>
      {isAsked ? (
        <form class="metric" onSubmit={tell}>
          <input
            type="number"
            step="any"
            required
            aria-label={label}
            value={value}
            onInput={(event) => setValue(event.currentTarget.value)}
          />
          <button type="submit" class="secondary" aria-disabled={isSending}>
            Tell
          </button>
        </form>
      ) : (
        children
      )}
      <div role="alert">{error && <Refusal error={error} />}</div>
    </>
  );
}
