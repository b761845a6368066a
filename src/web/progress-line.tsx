import { useEffect, useState } from 'preact/hooks';
import { counted } from '../report/wording.ts';
import { say } from './announcements.ts';
import { post, read } from './api-requests.ts';
import type { Job } from './api-types.ts';
import { Refusal } from './drop-zone.tsx';

interface Going {
  readonly id: string;
  readonly status: string;
  readonly progress: { readonly stage: string; readonly percent: number };
  readonly created_at: string;
  readonly position?: number | null;
  readonly eta?: string | null;
}

const STAGES: Readonly<Record<string, string>> = {
  queued: 'Waits for its turn',
  explore: 'Trying recipes',
  write: 'Writing the best model',
};
const JOBS = { one: 'job', many: 'jobs' };
/** Before that, what it has taken says little of what is left. */
const TOLD_FROM_PERCENT = 10;

interface ProgressLineProps<T> {
  readonly kind: 'jobs' | 'searches';
  readonly resource: T;
  /** The job of a search that waits in its place. */
  readonly queuedJob?: string | null;
  readonly onCanceled: (data: T) => void;
}

/** How far it is, what is before it, when it may have ended, and the way to end it now. */
export function ProgressLine<T extends Going>({
  kind,
  resource,
  queuedJob = null,
  onCanceled,
}: ProgressLineProps<T>) {
  const { id, status, progress, created_at } = resource;
  const [job, setJob] = useState<Job | null>(null);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => {
    if (queuedJob === null) return setJob(null);
    const gone = new AbortController();
    read<Job>(`/v1/jobs/${queuedJob}`, gone.signal).then(setJob, () => {});
    return () => gone.abort();
  }, [queuedJob, resource]);
  const position = resource.position ?? job?.position ?? null;
  const eta =
    resource.eta ?? (status === 'queued' ? job?.eta : null) ?? extrapolate(created_at, progress.percent);
  const cancel = async () => {
    setError(null);
    try {
      onCanceled(await post<T>(`/v1/${kind}/${id}/cancel`));
      say('Canceled.');
    } catch (failure) {
      setError(failure as Error);
    }
  };
  const stage = STAGES[progress.stage] ?? progress.stage.replaceAll('_', ' ');
  return (
    <div class="progress">
      <progress value={progress.percent} max={100} aria-label="Progress" />
      <p>
        <span>
          {status === 'waiting' ? 'Waits for your metric' : stage}, {Math.round(progress.percent)} %
        </span>
        <span class="muted">{describeQueue(position, eta)}</span>
        <button type="button" class="secondary" onClick={cancel}>
          Cancel
        </button>
      </p>
      <div role="alert">{error && <Refusal error={error} />}</div>
    </div>
  );
}

/** `2 jobs before it, done in about 3 minutes`; nothing where nothing is known. */
export function describeQueue(position: number | null | undefined, eta: string | null | undefined): string {
  const before =
    position == null ? '' : position === 0 ? 'next in line' : `${counted(position, JOBS)} before it`;
  return [before, eta == null ? '' : `done in about ${untilWords(eta)}`].filter(Boolean).join(', ');
}

function untilWords(time: string): string {
  const seconds = Math.max(1, Math.round((Date.parse(time) - Date.now()) / 1000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

function extrapolate(begun: string, percent: number): string | null {
  if (percent < TOLD_FROM_PERCENT) return null;
  const taken = Date.now() - Date.parse(begun);
  return new Date(Date.now() + (taken * (100 - percent)) / percent).toISOString();
}
