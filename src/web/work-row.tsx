import { useState } from 'preact/hooks';
import { accuracy, times } from '../report/wording.ts';
import { say } from './announcements.ts';
import { post } from './api-requests.ts';
import type { Job } from './api-types.ts';
import { Badge } from './candidates-table.tsx';
import { Refusal } from './drop-zone.tsx';
import type { Work } from './listed-work.ts';
import { isOver } from './live-resource.ts';
import { hrefOf } from './page-route.ts';
import { describeQueue } from './progress-line.tsx';
import { AIM_WORDS, describePromise } from './promise-words.ts';
import { describeDetails, describeRecipe } from './recipe-words.ts';

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

interface RowProps {
  readonly work: Work;
  readonly model: string;
  readonly isChosen: boolean;
  readonly mayChoose: boolean;
  readonly onChoose: (id: string, isChosen: boolean) => void;
}

/** One search or job of the list. */
export function WorkRow({ work, model, isChosen, mayChoose, onChoose }: RowProps) {
  const [error, setError] = useState<Error | null>(null);
  const path = work.kind === 'search' ? 'searches' : 'jobs';
  const cancel = async () => {
    setError(null);
    try {
      await post(`/v1/${path}/${work.id}/cancel`);
      say(`Canceled ${model}.`);
    } catch (failure) {
      setError(failure as Error);
    }
  };
  const what =
    work.kind === 'search'
      ? `${AIM_WORDS[work.aim]?.title ?? work.aim}, while ${describePromise(work.promise)}`
      : `${describeRecipe(work.recipe)} · ${describeDetails(work.recipe)}`;
  return (
    <tr>
      <td>
        <input
          type="checkbox"
          aria-label={`Compare ${work.id}`}
          checked={isChosen}
          disabled={!isChosen && !mayChoose}
          onChange={(event) => onChoose(work.id, event.currentTarget.checked)}
        />
      </td>
      <th scope="row">
        <a href={hrefOf(`/${path}/${work.id}`)}>{model}</a>
        <small>
          {work.kind === 'search' ? 'Search: ' : 'Job: '}
          {what}
        </small>
      </th>
      <td>
        <Status work={work} />
      </td>
      <td class="words">{describeOutcome(work)}</td>
      <td>
        <time dateTime={work.created_at}>{WHEN.format(new Date(work.created_at))}</time>
      </td>
      <td>
        {!isOver(work) && (
          <button type="button" class="secondary" aria-label={`Cancel ${work.id}`} onClick={cancel}>
            Cancel
          </button>
        )}
        {error && <Refusal error={error} />}
      </td>
    </tr>
  );
}

function Status({ work }: { work: Work }) {
  const { status, progress } = work;
  const [position, eta] = work.kind === 'job' ? [work.position, work.eta] : [null, null];
  const note = describeQueue(position, eta);
  return (
    <>
      {isEmpty(work) ? (
        <Badge kind="warn">nothing within</Badge>
      ) : status === 'succeeded' ? (
        <Badge kind="good">{status}</Badge>
      ) : status === 'failed' ? (
        <Badge kind="over">{status}</Badge>
      ) : (
        `${status}${status === 'running' ? `, ${Math.round(progress.percent)} %` : ''}`
      )}
      {note !== '' && <small>{note}</small>}
    </>
  );
}

/** A search that found nothing has ended well, and brought nothing. */
const isEmpty = (work: Work): boolean =>
  work.kind === 'search' && work.status === 'succeeded' && work.best === null;

/** The figures that one remembers a piece of work by. */
function describeOutcome(work: Work): string {
  if (work.error) return work.error.detail;
  const job: Job | null = work.kind === 'search' ? (work.best?.job ?? null) : work;
  if (isEmpty(work)) return 'nothing within the promise';
  if (!job?.summary) return '–';
  const { dense_zstd_bytes, pruned_zstd_bytes, accuracy: share, dense_accuracy, met } = job.summary;
  return [
    dense_zstd_bytes && pruned_zstd_bytes ? `${times(dense_zstd_bytes, pruned_zstd_bytes)} × smaller` : '',
    share != null && dense_accuracy != null
      ? `accuracy ${accuracy(share)}, was ${accuracy(dense_accuracy)}`
      : '',
    met === true ? 'promise kept' : met === false ? 'promise missed' : '',
  ]
    .filter(Boolean)
    .join(', ');
}
